/** The first run at a terminal: other ways while the browser is waited for, giving up, going on, and what comes after. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { connect } from 'node:net';
import { once } from 'node:events';
import { CMS_PROGRAM } from '../support/environment.ts';
import { approveDevice, BROWSER_PERSON, signInForCallbackUrl } from '../support/person.ts';
import { type Finished, run } from '../support/processes.ts';
import { runInTerminal, type Terminal } from '../support/pty.ts';
import { asRoot, requiresRoot } from '../support/requirements.ts';
import { startWorld, type World } from '../support/world.ts';

const JANE = 'jane@example.org';
const NOTHING_ELSE = ['--no-send', '--no-exim', '--no-service'];

describe('the first run of account add', function () {
  this.timeout(60_000);
  let world: World;
  let terminal: Terminal | undefined;

  beforeEach(async () => {
    world = await startWorld();
    Object.assign(world.env, { CMS_TEST_LOGIN: JANE, TERM: 'xterm-256color' });
  });

  afterEach(async () => {
    await terminal?.stop();
    await world[Symbol.asyncDispose]();
  });

  function add(more: readonly string[] = NOTHING_ELSE, cols = 80): Terminal {
    const argv = ['account', 'add', JANE, ...world.serverFlags, ...more];
    terminal = runInTerminal(process.execPath, [CMS_PROGRAM, ...argv], { env: world.env, cols });
    return terminal;
  }

  const childOf = (pid: number): number => Number(execFileSync('pgrep', ['-P', String(pid)], { encoding: 'utf8' }));

  /** Nobody answers in this browser. */
  const noBrowser = (): void => void (world.env.BROWSER = 'true');

  async function urlShown(adding: Terminal): Promise<string> {
    const [url] = await adding.waitFor(/^http:\/\/127\.0\.0\.1:\d+\/auth\?\S{200,}$/m, 20_000);
    return url;
  }

  async function portShown(adding: Terminal): Promise<number> {
    const [, port] = await adding.waitFor(/waiting for the browser on\s+http:\/\/127\.0\.0\.1:(\d+)\//);
    await adding.waitFor(/p: paste/);
    return Number(port);
  }

  async function signedIn(adding: Terminal): Promise<void> {
    assert.equal((await adding.wait(20_000)).status, 0, adding.screen);
    assert.match(adding.screen, /signed in as jane@example\.org/);
    assert.equal((await world.cms('token', JANE)).status, 0);
  }

  async function assertClosed(port: number): Promise<void> {
    const socket = connect(port, '127.0.0.1');
    const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException];
    assert.equal(error.code, 'ECONNREFUSED');
  }

  function assertNothingLeft(): void {
    assert.deepEqual(readdirSync(world.home.path), ['home']);
    assert.deepEqual(readdirSync(world.home.home), []);
  }

  it('takes the final address by hand at p, of the very page that was opened', async () => {
    noBrowser();
    const adding = add();
    const url = await urlShown(adding);
    const port = await portShown(adding);
    const callback = await signInForCallbackUrl(url, { login: JANE });
    assert.equal(new URL(callback).port, String(port));
    adding.type('p');
    await adding.waitFor(/Address or code:/);
    adding.type('https://example.org/?nothing=here');
    adding.press('enter');
    await adding.waitFor(/there is no code in it/);
    // What was wrong has made room.
    adding.type('garbage');
    adding.press('enter');
    await adding.waitFor(/neither an address nor a code/);
    adding.type(callback);
    adding.press('enter');
    await signedIn(adding);
    await assertClosed(port);
  });

  it('goes on by itself when the browser comes back after all, and takes the question away', async () => {
    noBrowser();
    const adding = add();
    const url = await urlShown(adding);
    await portShown(adding);
    adding.type('p');
    await adding.waitFor(/Address or code:/);
    await fetch(await signInForCallbackUrl(url, { login: JANE }));
    await signedIn(adding);
  });

  it('turns to a code for another device at d, and from there to pasting at p', async () => {
    noBrowser();
    const adding = add();
    const port = await portShown(adding);
    adding.type('d');
    await adding.waitFor(/enter the code:/);
    await assertClosed(port);
    await adding.waitFor(/p: paste/);
    adding.type('p');
    const url = await urlShown(adding);
    await adding.waitFor(/Address or code:/);
    adding.type(await signInForCallbackUrl(url, { login: JANE }));
    adding.press('enter');
    await signedIn(adding);
  });

  it('signs in with the code of another device', async () => {
    noBrowser();
    const adding = add();
    await portShown(adding);
    adding.type('d');
    const [, page = '', code = ''] = await adding.waitFor(/enter the code:\n(\S+)\n(\S+)\n/);
    await approveDevice(page, code, { login: JANE });
    await signedIn(adding);
  });

  it('counts the seconds in one line, and other keys do nothing', async () => {
    noBrowser();
    const adding = add(NOTHING_ELSE, 50);
    await portShown(adding);
    adding.type('xq \x1b[A');
    await adding.waitFor(/0:02 {2}p: paste/);
    const lines = adding.output.split('\r\x1b[K').filter((text) => /^[|/\\-] 0:/.test(text));
    assert.ok(lines.length > 4);
    for (const line of lines) assert.ok(line.length < 50, line);
    adding.press('ctrl-c');
    assert.equal((await adding.wait()).status, 64);
  });

  it('draws nothing and reads no key where the output is a pipe', async () => {
    const added = await world.add(JANE, '--no-test');
    assert.equal(added.status, 0, added.stderr);
    assert.doesNotMatch(added.stderr, /p: paste|\x1b\[/);
    assert.doesNotMatch(added.stderr, /Send yourself/);
  });

  for (const [what, stop] of [
    ['Ctrl-C', (adding: Terminal) => adding.press('ctrl-c')],
    ['SIGTERM', (adding: Terminal) => process.kill(childOf(adding.pid), 'SIGTERM')],
  ] as const) {
    it(`leaves neither account nor key, port or file after ${what}, and the terminal as it was`, async () => {
      noBrowser();
      world.env.CMS_STORE = undefined;
      // A shell that tells how it finds the terminal afterwards.
      const words = [CMS_PROGRAM, 'account', 'add', JANE, ...world.serverFlags, '--store', 'file'];
      terminal = runInTerminal(
        '/bin/sh',
        ['-c', 'stty -g; "$@"; echo "left $?"; stty -g', 'sh', process.execPath, ...words],
        {
          env: world.env,
        },
      );
      const [before] = await terminal.waitFor(/^[0-9a-f:]{40,}$/m);
      const port = await portShown(terminal);
      stop(terminal);
      await terminal.waitFor(/left 64\n/);
      const [after] = await terminal.waitFor(/^[0-9a-f:]{40,}$/m);
      assert.equal(after, before);
      await assertClosed(port);
      assertNothingLeft();
    });
  }

  for (const [what, key, seen] of [
    ['the question for the final address', 'p', /Address or code:/],
    ['the code for another device', 'd', /enter the code:[^]*p: paste/],
  ] as const) {
    it(`leaves nothing after Ctrl-C at ${what}`, async () => {
      noBrowser();
      const adding = add();
      const port = await portShown(adding);
      adding.type(key);
      await adding.waitFor(seen);
      adding.press('ctrl-c');
      assert.equal((await adding.wait()).status, 64, adding.screen);
      assert.match(adding.screen, /cms: error: cancelled; nothing was changed\n/);
      await assertClosed(port);
      assertNothingLeft();
    });
  }

  it('is ended by SIGTERM at the question for the final address, too', async () => {
    const adding = add(['--flow', 'manual']);
    await adding.waitFor(/Address or code:/);
    adding.kill('SIGTERM');
    assert.equal((await adding.wait()).status, 64, adding.screen);
    assert.match(adding.screen, /cms: error: cancelled/);
    assertNothingLeft();
  });

  it('proves the store before a browser is opened', async () => {
    world.env.CMS_STORE = 'keyring';
    const added = await world.add(JANE);
    assert.equal(added.status, 69, added.stderr);
    assert.doesNotMatch(added.stderr, /browser/);
    assertNothingLeft();
  });

  it('names the command that goes on where somebody stopped, with what was answered', async () => {
    noBrowser();
    world.env.CMS_STORE = undefined;
    const servers = world.serverFlags.slice(4);
    terminal = runInTerminal(
      process.execPath,
      [CMS_PROGRAM, 'account', 'add', JANE, '--issuer', world.provider.issuer, ...servers, ...NOTHING_ELSE],
      { env: world.env },
    );
    await terminal.waitFor(/Client id:/, 20_000);
    terminal.type(world.provider.clientId);
    terminal.press('enter');
    await terminal.waitFor(/Client secret/);
    terminal.press('enter');
    await terminal.waitFor(/vault key[^]*navigate/);
    terminal.press('enter');
    await portShown(terminal);
    terminal.press('ctrl-c');
    const [, command = ''] = await terminal.waitFor(/cms: try: cms (account add .*?) {3}# goes on where you stopped/);
    assert.equal((await terminal.wait()).status, 64);
    assertNothingLeft();
    assert.match(command, /--client-id cms-test .*--store file$/);
    world.env.BROWSER = `${process.execPath} ${BROWSER_PERSON}`;
    terminal = runInTerminal('/bin/sh', ['-c', `"$0" "$1" ${command}`, process.execPath, CMS_PROGRAM], {
      env: world.env,
    });
    await signedIn(terminal);
    assert.doesNotMatch(terminal.screen, /\?.*(?:Client|vault)/);
  });

  it('names the exact command of ssh -L in a session of SSH, and opens nothing there', async () => {
    Object.assign(world.env, { BROWSER: undefined, DISPLAY: ':9', SSH_CONNECTION: '192.0.2.9 5555 192.0.2.7 2222' });
    const adding = add([...NOTHING_ELSE, '--flow', 'browser']);
    const [, forwarded] = await adding.waitFor(
      /^ssh -N -p 2222 -L (\d+):127\.0\.0\.1:\1 \w[\w-]*@192\.0\.2\.7$/m,
      20_000,
    );
    assert.equal(await portShown(adding), Number(forwarded));
    assert.doesNotMatch(adding.screen, /Opening the browser/);
    adding.press('ctrl-c');
    await adding.wait();
  });

  describe('after the sign-in', () => {
    it('asks whether to send a mail, sends it, and says what works', async () => {
      const adding = add(['--no-exim', '--no-service']);
      await adding.waitFor(/Send yourself a test mail\?/, 20_000);
      adding.press('enter');
      await signedIn(adding);
      assert.match(adding.screen, /sent: localhost:\d+ has accepted\s+a\s+mail\s+to\s+jane@example\.org/);
      assert.match(adding.screen.replace(/\s+/g, ' '), /passwordeval "cms token jane@example\.org"/);
      assert.equal(world.submission.messages.length, 1);
      assert.equal(world.submission.messages[0]?.from, JANE);
    });

    it('keeps the account when somebody stops at one of the questions', async () => {
      const adding = add(['--no-exim', '--no-service']);
      await adding.waitFor(/Send yourself a test mail\?/, 20_000);
      adding.press('ctrl-c');
      await adding.waitFor(/the rest was left out; the account is kept/);
      await signedIn(adding);
      assert.equal(world.submission.messages.length, 0);
    });

    it('names no program for a protocol that has no server', async () => {
      const imap = world.serverFlags.indexOf('--imap-host');
      const flags = world.serverFlags.slice(0, imap);
      const argv = [CMS_PROGRAM, 'account', 'add', JANE, ...flags, ...NOTHING_ELSE];
      terminal = runInTerminal(process.execPath, argv, { env: world.env });
      await terminal.waitFor(/IMAP server of jane@example\.org/, 20_000);
      terminal.press('enter');
      await signedIn(terminal);
      assert.match(terminal.screen, /^msmtp: /m);
      assert.doesNotMatch(terminal.screen, /^(?:mutt|mbsync): /m);
    });

    it('asks nothing with --yes, and sends with --send', async () => {
      await signedIn(add(['--yes']));
      assert.equal(world.submission.messages.length, 0);
      const sent = await world.cms('account', 'add', JANE, '--send', '--json');
      assert.equal(sent.status, 0, sent.stderr);
      assert.equal((JSON.parse(sent.stdout) as { sent?: boolean }).sent, true);
      assert.equal(world.submission.messages.length, 1);
    });

    // Only root is refused a service of its own.
    it('keeps an account whose service could not be installed', async function () {
      requiresRoot(this);
      const environment = Object.entries(world.env).map(([name, value]) => `${name}=${value ?? ''}`);
      const cms = (...argv: string[]): Promise<Finished> => {
        const [file = '', ...args] = asRoot(['env', '-i', ...environment, process.execPath, CMS_PROGRAM, ...argv]);
        return run(file, args);
      };
      const giveHomeTo = (uid: number): Promise<Finished> => {
        const [file = '', ...args] = asRoot(['chown', '-R', String(uid), world.home.path]);
        return run(file, args);
      };
      // Root trusts no directory of another user.
      await giveHomeTo(0);
      const added = await cms('account', 'add', JANE, ...world.serverFlags, ...['--no-send', '--no-exim', '--service']);
      const token = await cms('token', JANE);
      await giveHomeTo(process.getuid?.() ?? 0);
      assert.equal(added.status, 64, added.stderr);
      assert.match(added.stderr, /the service of a user is not root's/);
      assert.equal(token.status, 0, token.stderr);
    });
  });
});
