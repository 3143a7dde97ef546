/** `cms exim-config` on the command line, without installing anything. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { connect, createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { oauthAccount, passwordAccount } from '../lib/exim/fixtures.ts';
import { CMS_PROGRAM, runCms, temporaryHome, type TemporaryHome } from '../support/environment.ts';
import { PERSON, PrivateExim, requireExim } from '../support/exim.ts';
import { start } from '../support/processes.ts';
import { runInTerminal } from '../support/pty.ts';
import { requires } from '../support/requirements.ts';

describe('cms exim-config', function () {
  this.timeout(20_000);

  let home: TemporaryHome;

  before(async () => {
    home = await temporaryHome();
    const accounts = [
      oauthAccount('jane@example.org', { aliases: ['@alias.example'] }),
      passwordAccount('pw@example.net'),
      oauthAccount('reader@example.net', { protocols: ['imap'] }),
    ];
    const file = { version: 1, accounts: Object.fromEntries(accounts.map((one) => [one.address, one])) };
    await home.writeConfig('accounts.json', JSON.stringify(file));
  });

  after(() => home.remove());

  const cms = (...args: string[]) => runCms(['exim-config', ...args], { env: home.env });

  it('prints the configuration on stdout and remarks on stderr', async () => {
    const { status, stdout, stderr } = await cms();
    assert.equal(status, 0);
    assert.match(stdout, /^begin routers$/m);
    assert.doesNotMatch(stdout, /example\.(org|net)/);
    assert.match(stderr, /reader@example\.net is left out/);
    assert.match(stderr, /no --default ADDRESS/);
  });

  it('lets exim judge, and says what keeps each sender from sending', async function () {
    requires(this, 'exim4');
    const { status, stdout, stderr } = await cms('--check', '--json', '--socket', join(home.path, 'none.sock'));
    assert.equal(status, 78, 'and nothing is installed');
    const rows = JSON.parse(stdout) as { sender: string; ok: boolean; detail: string; account: string }[];
    assert.deepEqual(
      rows.map(({ sender, account, ok }) => [sender, account, ok]),
      [
        ['<jane@example.org>', 'jane@example.org', false],
        ['<pw@example.net>', 'pw@example.net', false],
        ['<postmaster@alias.example>', 'jane@example.org', false],
      ],
    );
    assert.match(rows[0]?.detail ?? '', /^not running: nothing answers at .*cms\.sock/);
    assert.match(stderr, /"cms exim-config --install","cms serve"/);
  });

  describe('on a host with exim', () => {
    let exim: PrivateExim;
    const cleanups: (() => Promise<void>)[] = [];

    before(async function () {
      requireExim(this);
      exim = await PrivateExim.start('installable');
      cleanups.push(() => exim[Symbol.asyncDispose]());
    });

    after(async () => {
      for (const cleanup of cleanups) await cleanup();
    });

    /** Runs the daemon with the configuration that these flags make, while `use` looks at it. */
    async function withDaemon(flags: string[], use: (pid: string) => Promise<void>): Promise<void> {
      await exim.install('exim4.conf', (await cms(...flags)).stdout, '0644');
      await exim.install('exim-smart-hosts', '', '0640');
      const pidFile = join(exim.folder, 'daemon.pid');
      await exim.asRoot(['rm', '-f', pidFile]);
      const argv = exim.commandLine(['exim4', '-bdf', '-q30m', '-oP', pidFile]);
      const daemon = start(argv[0] ?? '', argv.slice(1));
      try {
        await use(await pidIn(pidFile));
      } finally {
        await exim.asRoot(['sh', '-c', `kill "$(cat ${pidFile})"`]);
        await daemon.stop();
      }
    }

    async function pidIn(file: string): Promise<string> {
      for (let tries = 0; tries < 100; tries++) {
        const { stdout } = await exim.asRoot(['sh', '-c', `cat ${file} 2>/dev/null || :`]);
        if (stdout.trim() !== '') return stdout.trim();
        await sleep(50);
      }
      throw new Error('exim does not start');
    }

    /** Inodes of the sockets that this process has open and that listen. */
    async function listening(pid: string): Promise<string[]> {
      const { stdout } = await exim.asRoot(['sh', '-c', `ls -l /proc/${pid}/fd`]);
      const open = [...stdout.matchAll(/socket:\[(\d+)\]/g)].map((match) => match[1]);
      const tables = await Promise.all(['tcp', 'tcp6'].map((name) => readFile(`/proc/net/${name}`, 'utf8')));
      const rows = tables.flatMap((table) => table.split('\n').map((row) => row.trim().split(/\s+/)));
      return rows.filter((row) => row[3] === '0A' && open.includes(row[9])).map((row) => row[1] ?? '');
    }

    it('asks at a terminal before it runs the install script, and takes Enter for a no', async () => {
      const variables = Object.entries({ ...home.env, TERM: 'xterm' }).map((pair) => pair.join('='));
      const cmsArgv = [process.execPath, CMS_PROGRAM, 'exim-config', '--install'];
      const self = process.getuid?.() === 0 ? 'root' : PERSON;
      const [file = '', ...args] = exim.commandLine(['env', '-i', ...variables, ...cmsArgv], self);
      await using terminal = runInTerminal(file, args, { env: process.env, cols: 200 });
      await terminal.waitFor(/Run this script as root\? \(y\/N\)/);
      terminal.press('enter');
      assert.equal((await terminal.wait()).status, 64);
      assert.match(
        terminal.screen,
        /^The script above\n- writes \/etc\/exim4\/exim4\.conf and your lines in .*\n- keeps/m,
      );
      assert.match(terminal.screen, /^cms: error: nothing was changed$/m);
      assert.match(terminal.screen, /^#!\/bin\/sh$/m);
      assert.doesNotMatch(terminal.screen, /^cms: exim is installed/m);
      assert.equal((await exim.asRoot(['ls', '-A', '/etc/exim4'])).stdout, '');
    });

    it('opens no port unless told to', async () => {
      await withDaemon([], async (pid) => assert.deepEqual(await listening(pid), []));
    });

    it('takes mail over SMTP where it is told to, from this host', async () => {
      const probe = createServer().listen(0, '127.0.0.1');
      await once(probe, 'listening');
      const { port } = probe.address() as AddressInfo;
      await new Promise((resolve) => probe.close(resolve));
      await withDaemon(['--listen', `127.0.0.1:${port}`], async (pid) => {
        assert.equal((await listening(pid)).length, 1);
        const socket = connect(port, '127.0.0.1').setEncoding('utf8');
        let said = '';
        socket.on('data', (chunk: string) => (said += chunk));
        for (const line of ['EHLO x', 'MAIL FROM:<jane@example.org>', 'RCPT TO:<x@elsewhere.example>', 'QUIT']) {
          const before = said.length;
          while (said.length === before) await once(socket, 'data');
          socket.write(`${line}\r\n`);
        }
        await once(socket, 'close');
        assert.match(said, /250 OK[^]*250 Accepted/);
      });
    });
  });
});
