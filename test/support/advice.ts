/** Commands that are advised: a shell takes each apart, and the command's own parser takes it. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { type Command, Parser } from '@oclif/core';
import AccountAdd from '../../src/commands/account/add.ts';
import AccountList from '../../src/commands/account/list.ts';
import AccountRemove from '../../src/commands/account/remove.ts';
import AccountShow from '../../src/commands/account/show.ts';
import AccountTest from '../../src/commands/account/test.ts';
import Doctor from '../../src/commands/doctor.ts';
import EximConfig from '../../src/commands/exim-config.ts';
import Serve from '../../src/commands/serve.ts';
import ServiceInstall from '../../src/commands/service/install.ts';
import ServiceUninstall from '../../src/commands/service/uninstall.ts';
import Status from '../../src/commands/status.ts';
import StoreMove from '../../src/commands/store/move.ts';
import Token from '../../src/commands/token.ts';
import Unlock from '../../src/commands/unlock.ts';

type Parsable = Pick<typeof Command, 'args' | 'flags' | 'strict'>;

const COMMANDS: Readonly<Record<string, Parsable>> = {
  'account add': AccountAdd,
  'account list': AccountList,
  'account remove': AccountRemove,
  'account show': AccountShow,
  'account test': AccountTest,
  doctor: Doctor,
  'exim-config': EximConfig,
  serve: Serve,
  'service install': ServiceInstall,
  'service uninstall': ServiceUninstall,
  status: Status,
  'store move': StoreMove,
  token: Token,
  unlock: Unlock,
};

/** As a shell sees it; what stands for a value of the reader's is one. */
export function words(line: string): string[] {
  return execFileSync('sh', [
    '-c',
    `for word in ${line.replace(/^(?:sudo (?:-\w+ (?:\w+ )?)*)?cms /, '').replace(/\s#\s.*$/s, '')}; do printf '%s\\0' "$word"; done`,
  ])
    .toString()
    .split('\0')
    .slice(0, -1);
}

/** @throws AssertionError when the command does not take it */
export async function assertRuns(line: string): Promise<void> {
  const all = words(line);
  const id = [all.slice(0, 2).join(' '), all[0] ?? ''].find((each) => Object.hasOwn(COMMANDS, each));
  if (id === undefined) return;
  const { args, flags, strict } = COMMANDS[id]!;
  // A name of a command alone is how it is spoken of; N stands for a number of the reader's.
  const argv = all.slice(id.split(' ').length).map((word) => (word === 'N' ? '4711' : word));
  if (argv.length === 0 || argv.includes('--help')) return;
  await assert.doesNotReject(Parser.parse(argv, { args, flags: copied(flags), strict, '--': true }), line);
}

/** The parser adds to what it is given, which commands have in common. */
export function copied<T extends object>(all: Record<string, T>): Record<string, T> {
  return Object.fromEntries(Object.entries(all).map(([name, each]) => [name, { ...each }]));
}
