import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { type Command, type Interfaces, Parser } from '@oclif/core';
import { unknownCommand, withoutSynonyms } from '../src/command-line.ts';
import AccountAdd from '../src/commands/account/add.ts';
import AccountTest from '../src/commands/account/test.ts';
import EximConfig from '../src/commands/exim-config.ts';
import Serve from '../src/commands/serve.ts';
import { runCms, temporaryHome } from './support/environment.ts';

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
      const parsed = await Parser.parse(words, { args, flags, strict: false });
      assert.deepEqual(parsed.argv, ['jane@example.org'], name);
      assert.deepEqual(parsed.flags[name], [value, value]);
    }
  });

  it('answers a topic alone with JSON where JSON was asked for', async () => {
    await using home = await temporaryHome();
    const { status, stdout, stderr } = await runCms(['account', '--json'], { env: home.env });
    assert.deepEqual([status, stdout], [64, '']);
    assert.deepEqual(JSON.parse(stderr), {
      error: 'usage',
      error_description: 'which command of account?',
      suggestions: ['cms account --help'],
    });
    for (const argv of [['account'], ['account', '--json', '-h']]) {
      const help = await runCms(argv, { env: home.env });
      assert.equal(help.status, 0);
      assert.match(help.stdout, /^USAGE$/m);
    }
  });

  it('leaves stderr to the failure where JSON was asked for, and keeps remarks for a result', async () => {
    await using home = await temporaryHome();
    for (const [argv, expected, error] of [
      [['account', 'add', 'jane@gmail.com', '--json'], 78, 'client_invalid'],
      [['exim-config', '--split', '--json'], 64, 'usage'],
    ] as const) {
      const { status, stdout, stderr } = await runCms(argv, { env: home.env });
      assert.deepEqual([status, stdout, (JSON.parse(stderr) as { error: string }).error], [expected, '', error]);
    }
    const { status, stderr } = await runCms(['exim-config', '--section', 'smart-hosts', '--json'], { env: home.env });
    assert.equal(status, 0);
    assert.match(stderr, /^cms: .* no account that can send/);
  });

  it('ends with 64 and the way to the help, whatever is wrong', async () => {
    await using home = await temporaryHome();
    for (const [typed, expected] of [
      ['stat', /^cms: error: no command stat\ncms: try: cms status\ncms: try: cms --help\n$/],
      [
        'account list --jsno',
        /^cms: error: nonexistent flag: --jsno; did you mean --json\?\ncms: try: cms account list/,
      ],
      [
        'account test',
        /^cms: error: missing 1 required arg: address: the account[^;\n]*\ncms: try: cms account test --h/,
      ],
      ['account list -x', /^cms: error: nonexistent flag: -x\ncms: try: cms account list --help\n$/],
      ['token --jsno', /^cms: error: nonexistent flag: --jsno\ncms: try: cms token --help\n$/],
      ['serve --jsno', /^cms: error: nonexistent flag: --jsno\ncms: try: cms serve --help\n$/],
      [
        'status bob@example.org',
        /^cms: error: status shows all accounts.*\ncms: try: cms account show bob@example\.org\n/,
      ],
      ['status --watch 0', /^cms: error: --watch takes seconds, 1 to 86400, and not 0\n/],
      ['help stat', /^cms: error: no command stat\ncms: try: cms status\ncms: try: cms --help\n$/],
      ['--jsno', /^cms: error: nonexistent flag: --jsno\ncms: try: cms --help\n$/],
      ['status --log --lines x', /^cms: error: --lines: expected an integer but received: x\ncms: try: cms status --h/],
      ['status --lines 3', /^cms: error: --lines goes with --log\n/],
      ['exim-config --check --install', /^cms: error: --check and --install exclude each other\n/],
      ['status 7', /^cms: error: 7: a number of seconds belongs to --watch\ncms: try: cms status --watch 10\n$/],
    ] as const) {
      const { status, stdout, stderr } = await runCms(typed.split(' '), { env: home.env });
      assert.deepEqual([status, stdout], [64, ''], typed);
      assert.match(stderr, expected);
    }
  });

  it('shows help and version by any of their names', async () => {
    await using home = await temporaryHome();
    const said = async (...argv: string[]) => (await runCms(argv, { env: home.env })).stdout;
    for (const command of [[], ['account'], ['account', 'add'], ['token'], ['serve']]) {
      const help = await said(...command, '--help');
      assert.match(help, /^USAGE$/m);
      assert.equal(await said(...command, '-h'), help);
      assert.equal(await said('help', ...command), help);
    }
    const version = await said('--version');
    assert.match(version, /^cms-oauth\//);
    assert.deepEqual([await said('-v'), await said('version')], [version, version]);
  });

  it('shows help that fits the terminal, every flag after those that its text counts on', async () => {
    await using home = await temporaryHome();
    const { commands } = JSON.parse(
      await readFile(new URL('../oclif.manifest.json', import.meta.url), 'utf8'),
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
