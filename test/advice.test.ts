/** Every command that is advised can be run as it stands: a shell takes it apart, and the command's own parser takes it. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Command, Parser } from '@oclif/core';
import AccountAdd from '../src/commands/account/add.ts';
import AccountList from '../src/commands/account/list.ts';
import AccountRemove from '../src/commands/account/remove.ts';
import AccountShow from '../src/commands/account/show.ts';
import AccountTest from '../src/commands/account/test.ts';
import Doctor from '../src/commands/doctor.ts';
import EximConfig from '../src/commands/exim-config.ts';
import Status from '../src/commands/status.ts';
import StoreMove from '../src/commands/store/move.ts';
import Token from '../src/commands/token.ts';
import Unlock from '../src/commands/unlock.ts';
import { CATALOGUE } from '../src/lib/explain/explain.ts';
import { fill } from '../src/lib/explain/fill.ts';
import { quoted } from '../src/lib/shell-word.ts';

type Parsable = Pick<typeof Command, 'args' | 'flags' | 'strict'>;

const COMMANDS: Readonly<Record<string, Parsable>> = {
  'account add': AccountAdd,
  'account list': AccountList,
  'account remove': AccountRemove,
  'account show': AccountShow,
  'account test': AccountTest,
  doctor: Doctor,
  'exim-config': EximConfig,
  status: Status,
  'store move': StoreMove,
  token: Token,
  unlock: Unlock,
};

const SRC = fileURLToPath(new URL('../src/', import.meta.url));
const ADDRESSES = ['jane@example.org', "o'neil@example.org", 'a&b|c@example.org', 'x`y`!z@xn--bcher-kva.example'];

/** As a shell sees it; what stands for a value of the reader's is one. */
function words(line: string): string[] {
  return execFileSync('sh', [
    '-c',
    `for word in ${line.replace(/^cms /, '').replace(/\s#\s.*$/s, '')}; do printf '%s\\0' "$word"; done`,
  ])
    .toString()
    .split('\0')
    .slice(0, -1);
}

async function assertRuns(line: string): Promise<void> {
  const all = words(line);
  const id = [all.slice(0, 2).join(' '), all[0] ?? ''].find((each) => Object.hasOwn(COMMANDS, each));
  if (id === undefined) return;
  const { args, flags, strict } = COMMANDS[id]!;
  // A name of a command alone is how it is spoken of; N stands for a number of the reader's.
  const argv = all.slice(id.split(' ').length).map((word) => (word === 'N' ? '4711' : word));
  if (argv.length === 0) return;
  await assert.doesNotReject(Parser.parse(argv, { args, flags, strict, '--': true }), line);
}

/** What source files say as texts; what is put in is quoted where it may need that. */
function texts(): string[] {
  const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
  return files.flatMap((file) =>
    [
      ...readFileSync(join(SRC, file), 'utf8').matchAll(
        /(['"`])(cms (?:account|doctor|exim-config|status|store|token|unlock)\b(?:(?!\1|\n).)*)\1/g,
      ),
    ]
      .map(([, , text = '']) => text.replace(/\$\{quoted\([^}]*\)\}/g, quoted('jane@example.org')))
      // Spoken of, or the beginning of one to which an address is added.
      .filter((text) => /@|ADDRESS/.test(text) || !/^cms (?:account (?:test|show|remove)|token)\b|--try$/.test(text))
      // A flag that is made up elsewhere, or a name that is filled in by the catalogue, is looked at there.
      .filter((text) => !/[${}|…]/.test(text.replace(/\s#\s.*$/s, ''))),
  );
}

describe('a command that is advised', () => {
  it('can be run as it stands, wherever the sources advise one', async () => {
    const all = texts();
    assert.ok(all.length > 40, `${all.length} were found`);
    for (const text of all) await assertRuns(text);
  });

  for (const address of ADDRESSES) {
    it(`can be run with ${address}, wherever the catalogue advises one`, async () => {
      const subject = { address, login: address, user: address, scope: 'a b', clientId: 'x', host: 'mail.example.org' };
      const lines = CATALOGUE.flatMap(({ fix }) => fix.map((each) => fill(each, subject)));
      const commands = lines.filter((line) => line.startsWith('cms '));
      assert.ok(commands.length > 40);
      for (const line of commands) {
        await assertRuns(line);
        if (/^cms (?:account|token) /.test(line)) assert.ok(words(line).includes(address), line);
      }
    });
  }

  it('names no path unquoted in the sources', () => {
    const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((file) => /^lib.*\.ts$/.test(file));
    const commands = files.flatMap((file) => [
      ...readFileSync(join(SRC, file), 'utf8').matchAll(
        /`(?:sudo |\$\{sudo\})?(?:chmod|chown|df|edit|findmnt|fuser|install|ls|mkdir|mv|namei|rm) (?:\$\{(?:quoted|quote)\(`[^`]*`|[^`])*`/g,
      ),
    ]);
    assert.ok(commands.length > 30, `${commands.length} were found`);
    for (const [command] of commands) {
      const bare = command.replace(/ {3}#.*/, '').replace(/\bquoted\(`[^`]*`\)/g, '');
      assert.doesNotMatch(bare, /\$\{(?:dirname\()?(?:file|folder|path|place|program)\b/, command);
    }
  });

  it('names no address unquoted in the sources', () => {
    const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((file) => /^lib.*\.ts$/.test(file));
    for (const file of files)
      assert.doesNotMatch(
        readFileSync(join(SRC, file), 'utf8'),
        /[`'"]cms (?:account|token|doctor|status|exim-config)[a-z -]*\$\{(?:\w+\.)*(?:address|login|user)\}/,
        file,
      );
  });
});
