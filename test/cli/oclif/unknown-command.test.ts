import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { type Command, type Interfaces, Parser } from '@oclif/core';
import { unknownCommand, withoutSynonyms } from '../../../src/cli/oclif/unknown-command.ts';
import AccountAdd from '../../../src/commands/account/add.ts';
import AccountTest from '../../../src/commands/account/test.ts';
import EximConfig from '../../../src/commands/exim-config.ts';
import Serve from '../../../src/commands/serve.ts';
import { copied } from '../../support/advice.ts';
import { runCms, temporaryHome } from '../../support/environment.ts';

const COMMANDS = ['account add', 'account list', 'serve', 'service install', 'status', 'store move', 'token', 'unlock'];

describe('a command line that is not one', () => {
  for (const [typed, message, ...suggestions] of [
    ['stat', 'no command stat', 'cms status', 'cms --help'],
    ['tokne', 'no command tokne', 'cms token', 'cms --help'],
    ['stat now', 'no command stat now', 'cms status', 'cms --help'],
    ['service instal', 'no command service instal', 'cms service install', 'cms service --help'],
    ['acount ad', 'no command acount ad', 'cms account add', 'cms --help'],
    ['acount', 'no command acount', 'cms account --help', 'cms --help'],
    ['account nonsense', 'no command account nonsense', 'cms account --help'],
    ['nonsense', 'no command nonsense', 'cms --help'],
    ['unlock now', 'unexpected argument: now', 'cms unlock --help'],
    ['store mv', 'no command store mv', 'cms store move', 'cms store --help'],
    ['-x', 'nonexistent flag: -x', 'cms --help'],
    ['store move up down', 'unexpected argument: up down', 'cms store move --help'],
  ] as const) {
    it(`finds what was meant: cms ${typed}`, () => {
      const failure = unknownCommand(typed.split(' '), COMMANDS);
      assert.deepEqual([failure.code, failure.message, failure.suggestions], ['usage', message, suggestions]);
    });
  }

  it('takes the words that other programs have', () => {
    assert.deepEqual(withoutSynonyms(['help', 'account', 'add']), ['account', 'add', '--help']);
    assert.deepEqual(withoutSynonyms(['help']), ['--help']);
    assert.deepEqual(withoutSynonyms(['version']), ['--version']);
    assert.deepEqual(withoutSynonyms(['token', 'help']), ['token', 'help']);
    assert.deepEqual(withoutSynonyms([]), []);
    assert.deepEqual(withoutSynonyms(['service', 'run', 'status', '-h']), ['status', '-h']);
    for (const alone of [
      ['service', 'run', '-h'],
      ['service', 'run', 'status'],
    ])
      assert.deepEqual(withoutSynonyms(alone), alone);
  });

  it('takes one value for each flag that can be repeated, and leaves the next word to the address', async () => {
    const commands: readonly Pick<typeof Command, 'args' | 'flags'>[] = [AccountAdd, AccountTest, EximConfig, Serve];
    const repeatable = commands.flatMap(({ args, flags }) =>
      Object.entries(flags).flatMap(([name, flag]) =>
        flag.type === 'option' && flag.multiple === true
          ? [{ args, flags, name, value: flag.options?.[0] ?? 'x' }]
          : [],
      ),
    );
    assert.equal(repeatable.length, 7);
    for (const { args, flags, name, value } of repeatable) {
      const socket = 'group' in flags ? ['--socket', '/run/x.sock'] : [];
      const words = [...socket, `--${name}`, value, `--${name}`, value, 'jane@example.org'];
      const parsed = await Parser.parse(words, { args, flags: copied(flags), strict: false });
      assert.deepEqual(parsed.argv, ['jane@example.org'], name);
      assert.deepEqual(parsed.flags[name], [value, value]);
    }
  });

  it('shows help that fits the terminal, every flag after those that its text counts on', async () => {
    await using home = await temporaryHome();
    const { commands } = JSON.parse(
      await readFile(new URL('../../../oclif.manifest.json', import.meta.url), 'utf8'),
    ) as Interfaces.Manifest;
    const pages = [[], ['account'], ...Object.keys(commands).map((id) => id.split(':'))];
    const columns = 50;
    for (const words of pages) {
      const env = { ...home.env, OCLIF_COLUMNS: String(columns) };
      const lines = (await runCms([...words, '--help'], { env })).stdout.split('\n');
      // Commands are copied from there.
      const long = lines.filter((line) => line.length > columns && !/^ {2,4}(\$ cms|source) /.test(line));
      assert.deepEqual(long, [], words.join(' '));
      assert.deepEqual(
        lines.filter((line) => /^\s*<options: [^>]*\|/.test(line)),
        [],
      );
    }
    const { stdout } = await runCms(['account', 'add', '-h'], { env: home.env });
    const flags = [...stdout.matchAll(/^ {2}(?:-\w, | {4})(--[^ =]+)/gm)].map((found) => found[1]);
    assert.deepEqual(flags.slice(0, 3), ['--yes', '--provider', '--issuer']);
  });
});
