/**
 * Every question outside of `account add`, one row each: answered with a yes, with Enter, given up, and without a
 * terminal. systemctl and sudo are stand-ins that write down what they are told.
 */
import assert from 'node:assert/strict';
import { chownSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { oauthAccount } from '../lib/exim/fixtures.ts';
import { CMS_PROGRAM, runCms, temporaryHome, type TemporaryHome } from '../support/environment.ts';
import { runInTerminal, type Terminal } from '../support/pty.ts';
import { recordingSystemctl } from '../support/systemctl.ts';

const JANE = 'jane@example.org';
const COMMANDS = join(import.meta.dirname, '..', '..', 'src', 'commands');
/** For root, somebody else runs the service of a user. */
const NOBODY = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : undefined;
/** The system's service is refused for a program in somebody's home. */
const PERSONAL = /^\/(home|root)\//.test(CMS_PROGRAM);

interface Row {
  argv: string[];
  question: RegExp;
  /** What Enter says. */
  preset: boolean;
  /** Exit status where nobody can be asked. */
  unattended: number;
  /** Whether it has been done. */
  done: () => boolean;
}

describe('a question before something is done', function () {
  this.timeout(30_000);
  let home: TemporaryHome;
  let env: Record<string, string | undefined>;
  let told: () => string[];
  let units: string;
  let terminal: Terminal | undefined;

  const sudo = (): string => join(home.path, 'sudo-was-told');
  const accounts = (): object =>
    (JSON.parse(readFileSync(join(home.configDir, 'accounts.json'), 'utf8')) as { accounts: object }).accounts;

  const rows: Record<string, Row> = {
    'account remove': {
      argv: ['account', 'remove', JANE, '--keep-grant'],
      question: /Remove jane@example\.org from this machine\?/,
      preset: false,
      unattended: 64,
      done: () => !(JANE in accounts()),
    },
    'service install': {
      argv: ['service', 'install', '--now'],
      question: /Write and enable these units\?/,
      preset: true,
      unattended: 0,
      done: () =>
        existsSync(join(units, 'cms.service')) && told().some((line) => line.includes(' restart cms.service')),
    },
    'service uninstall': {
      argv: ['service', 'uninstall'],
      question: /Stop and remove these\?/,
      preset: false,
      unattended: 0,
      done: () => !existsSync(join(units, 'cms.service')),
    },
    'service install --system': {
      argv: ['service', 'install', '--system'],
      question: /Run this script as root\?/,
      preset: false,
      unattended: 0,
      done: () => existsSync(sudo()),
    },
    'service uninstall --system': {
      argv: ['service', 'uninstall', '--system'],
      question: /Run this script as root\?/,
      preset: false,
      unattended: 0,
      done: () => existsSync(sudo()),
    },
    'exim-config --install': {
      argv: ['exim-config', '--install'],
      question: /Run this script as root\?/,
      preset: false,
      unattended: 0,
      done: () => existsSync(sudo()),
    },
  };

  beforeEach(async () => {
    home = await temporaryHome();
    const systemctl = recordingSystemctl(home.path);
    ({ told } = systemctl);
    writeFileSync(join(systemctl.tools, 'sudo'), `#!/bin/sh\necho "$*" >${sudo()}\n`, { mode: 0o755 });
    const file = { version: 1, accounts: { [JANE]: oauthAccount(JANE) } };
    await home.writeConfig('accounts.json', JSON.stringify(file));
    const xdg = join(home.home, 'xdg');
    units = join(xdg, 'systemd', 'user');
    for (const folder of [home.stateDir, home.runtimeDir, xdg]) mkdirSync(folder, { mode: 0o700 });
    for (const name of ['.', 'home', 'home/xdg', 'config', 'config/accounts.json', 'state', 'run', 'tools'])
      if (NOBODY) chownSync(join(home.path, name), NOBODY.uid, NOBODY.gid);
    const PATH = `${systemctl.tools}:${process.env.PATH ?? ''}`;
    env = { ...home.env, PATH, XDG_CONFIG_HOME: xdg, DISPLAY: ':0', TERM: 'xterm-256color' };
  });
  afterEach(async () => {
    await terminal?.stop();
    await home.remove();
  });

  const unattended = (argv: readonly string[]) => runCms(argv, { env, cwd: '/', ...NOBODY });

  async function ask({ argv, question }: Row): Promise<Terminal> {
    const ids = NOBODY ? ['setpriv', `--reuid=${NOBODY.uid}`, `--regid=${NOBODY.gid}`, '--clear-groups', '--'] : [];
    const [file = '', ...args] = [...ids, process.execPath, CMS_PROGRAM, ...argv];
    terminal = runInTerminal(file, args, { env, cwd: '/', cols: 200 });
    await terminal.waitFor(question, 20_000);
    return terminal;
  }

  async function end(at: Terminal, status: number): Promise<string> {
    assert.equal((await at.wait(20_000)).status, status, at.screen);
    assert.ok(at.output.lastIndexOf('\x1b[?25h') >= at.output.lastIndexOf('\x1b[?25l'), 'the cursor is shown again');
    return at.screen;
  }

  for (const [title, row] of Object.entries(rows)) {
    it(`of ${title}: a yes, Enter, Ctrl-C, and nobody there`, async function () {
      if (PERSONAL && title === 'service install --system') this.skip();
      const { argv, preset, done } = row;
      if (title === 'service uninstall') assert.equal((await unattended(['service', 'install', '--yes'])).status, 0);
      const withYes = `cms ${argv.join(' ')} --yes`;

      const nobody = await unattended(argv);
      assert.equal(nobody.status, row.unattended, nobody.stderr);
      assert.ok(nobody.stderr.includes(withYes), nobody.stderr);
      assert.equal(done(), false);

      const abandoned = await ask(row);
      abandoned.press('ctrl-c');
      const screen = await end(abandoned, 64);
      assert.ok(screen.endsWith(`cms: error: cancelled; nothing was changed\ncms: try: ${withYes}\n`), screen);
      assert.equal(done(), false);

      const declined = await ask(row);
      if (preset) declined.type('n');
      declined.press('enter');
      assert.match(await end(declined, 64), /cms: error: nothing was (?:changed|removed)\n/);
      assert.equal(done(), false);

      const agreed = await ask(row);
      if (!preset) agreed.type('y');
      agreed.press('enter');
      await end(agreed, 0);
      assert.equal(done(), true);
    });
  }

  it('is in this table', () => {
    const sources = readdirSync(COMMANDS, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts') && name !== 'base.ts')
      .map((name) => readFileSync(join(COMMANDS, name), 'utf8'));
    const questions = sources.flatMap((source) =>
      [...source.matchAll(/this\.agreed\(\s*'(.+?)'/g)].map(([, text]) => text),
    );
    assert.equal(questions.length, 5, questions.join('\n'));
    for (const text of questions)
      assert.ok(
        Object.values(rows).some(({ question }) => question.test(text ?? '')),
        text,
      );
    // Whoever asks in another way is not seen here.
    const others = sources.filter((source) => /\bask(?:YesNo|Choice|Text|Secret|Search)\b|\binquirer\b/.test(source));
    assert.deepEqual(others, []);
  });
});
