/** `cms service` where systemd is process 1: units that it really starts, watches and takes away. */
import assert from 'node:assert/strict';
import { lstatSync, readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { bootMachine, canBoot, type Machine } from '../support/machine.ts';
import { signIn } from '../support/person.ts';
import { startWorld, type World } from '../support/world.ts';

const ADDRESS = 'jane@example.org';
const TOKEN_LINE = /^user=jane@example\.org\x01auth=Bearer [A-Za-z0-9._~+/-]+=*\x01\x01$/;
const NOTHING_ELSE = ['--no-test', '--no-send', '--no-exim', '--no-service', '--yes'];

const MAIL_SOCKET = `[Socket]
ListenStream=%t/mail/mutt.sock
FileDescriptorName=mutt
SocketMode=0600
Service=cms.service
`;
/** Much shorter than a person has to wait for it. */
const QUICK = '[Service]\nWatchdogSec=3\nRestartSec=100ms\n';

if (canBoot()) {
  describe('cms service under systemd', function () {
    this.timeout(40_000);
    let world: World;
    let machine: Machine;
    let jane: { name: string; uid: string };

    const must = async (argv: readonly string[], user?: typeof jane): Promise<string> => {
      const { status, stdout, stderr } = await machine.run(argv, user);
      assert.equal(status, 0, `${argv.join(' ')}: ${stdout}${stderr}`);
      return stdout.trim();
    };
    const cms = async (argv: readonly string[], user?: typeof jane): Promise<string> => {
      const { status, stdout, stderr } = await machine.cms(argv, user);
      assert.equal(status, 0, `cms ${argv.join(' ')}: ${stdout}${stderr}`);
      return stdout;
    };
    const write = (path: string, text: string, user?: typeof jane): Promise<string> =>
      must(['sh', '-c', 'mkdir -p "${1%/*}" && printf %s "$2" >"$1"', 'sh', path, text], user);
    const systemctl = (...words: string[]): Promise<string> => must(['systemctl', '--user', ...words], jane);
    const show = (property: string): Promise<string> =>
      systemctl('show', 'cms.service', `--property=${property}`, '--value');
    const ask = (socket: string, user: typeof jane | undefined): Promise<string> => {
      const script =
        'const s = net.connect(process.argv[1], () => s.end("IMAP jane@example.org")); s.pipe(process.stdout)';
      return must(['timeout', '20', '/opt/cms/node', '-e', script, socket], user);
    };

    /** The sign-in goes over the loopback interface, which the machine shares with us. */
    async function addAccount(before: readonly string[], user?: typeof jane): Promise<void> {
      const flags = [...world.serverFlags, ...NOTHING_ELSE, '--flow', 'browser', '--no-browser'];
      const adding = machine.startCms([...before, 'account', 'add', ADDRESS, ...flags], user);
      const [url] = await adding.waitFor(/http:\S+\/auth\?\S+/);
      await signIn(url, { login: ADDRESS });
      assert.equal((await adding.exited).status, 0, adding.stderr);
    }

    before(async () => {
      [world, machine] = await Promise.all([startWorld(), bootMachine()]);
      await must(['useradd', '--create-home', '--shell', '/bin/sh', 'cms-jane']);
      jane = { name: 'cms-jane', uid: await must(['id', '-u', 'cms-jane']) };
      await must(['loginctl', 'enable-linger', jane.name]);
      await must(['systemctl', 'start', `user@${jane.uid}.service`]);
    });
    after(() => Promise.all([machine[Symbol.asyncDispose](), world[Symbol.asyncDispose]()]));

    describe('of a user', () => {
      let own: string;
      let mail: string;
      before(async () => {
        own = `/run/user/${jane.uid}/cms/cms.sock`;
        mail = `/run/user/${jane.uid}/mail/mutt.sock`;
        await addAccount([], jane);
        await write(`/home/${jane.name}/.config/systemd/user/mail.socket`, MAIL_SOCKET, jane);
        const config = `[[socket]]\npath = "${mail}"\nmode = "0600"\n`;
        await write(`/home/${jane.name}/.config/cms/config.toml`, config, jane);
        await cms(['service', 'install', '--now', '--yes'], jane);
      });

      it('says that it is ready, and is found to run', async () => {
        assert.deepEqual([await show('Type'), await show('ActiveState')], ['notify', 'active']);
        const { stdout, status } = await machine.cms(['service', 'status'], jane);
        assert.equal(status, 0);
        assert.match(stdout, new RegExp(`^active +yes, pid ${await show('MainPID')}$`, 'm'));
        assert.match(stdout, /^says +1 account/m);
        assert.doesNotMatch(stdout, /stale/);
      });

      it('is woken by any of its sockets, by name', async () => {
        for (const socket of [mail, own]) {
          await systemctl('stop', 'cms.service');
          await systemctl('start', 'cms.socket', 'mail.socket');
          assert.equal(await show('ActiveState'), 'inactive');
          assert.match(await ask(socket, jane), TOKEN_LINE);
          assert.match(await show('StatusText'), /2 sockets/);
        }
      });

      it('keeps its sockets over a restart, during which questions wait', async () => {
        const inode = lstatSync(machine.path(own)).ino;
        const pid = await show('MainPID');
        const [, ...answers] = await Promise.all([
          systemctl('restart', 'cms.service'),
          ask(own, jane),
          ask(mail, jane),
        ]);
        for (const answer of answers) assert.match(answer, TOKEN_LINE);
        assert.notEqual(await show('MainPID'), pid);
        assert.equal(lstatSync(machine.path(own)).ino, inode);
      });

      it('goes down and comes back with its socket', async () => {
        await systemctl('restart', 'cms.socket');
        assert.match(await ask(own, jane), TOKEN_LINE);
      });

      it('is started anew when it has stopped to answer', async () => {
        await write(`/home/${jane.name}/.config/systemd/user/cms.service.d/quick.conf`, QUICK, jane);
        await systemctl('daemon-reload');
        await systemctl('restart', 'cms.service');
        const pid = await show('MainPID');
        await sleep(4000);
        assert.equal(await show('MainPID'), pid, 'one that answers is left alone');
        await must(['kill', '-STOP', pid]);
        assert.match(await ask(own, jane), TOKEN_LINE, 'the question waited for the next one');
        assert.notEqual(await show('MainPID'), pid);
        assert.equal(await show('NRestarts'), '1');
      });

      it('leaves nothing behind', async () => {
        await must(['rm', '-r', `/home/${jane.name}/.config/systemd/user/cms.service.d`]);
        const pid = await show('MainPID');
        await cms(['service', 'uninstall', '--yes'], jane);
        const units = readdirSync(machine.path(`/home/${jane.name}/.config/systemd/user`), { recursive: true });
        assert.deepEqual(
          units.filter((name) => String(name).includes('cms')),
          [],
        );
        assert.deepEqual(
          readdirSync(machine.path(`/run/user/${jane.uid}/cms`)),
          [],
          'no socket that nobody listens on',
        );
        assert.notEqual((await machine.run(['kill', '-0', pid])).status, 0);
        assert.equal(await show('LoadState'), 'not-found');
        assert.equal((await machine.cms(['service', 'status'], jane)).status, 69);
      });
    });

    describe('of the system', () => {
      const SOCKET = '/run/cms-broker/cms.sock';
      const own = (property: string): Promise<string> =>
        must(['systemctl', 'show', 'cms.service', `--property=${property}`, '--value']);

      it('starts in its sandbox, with a key that only it can open, and answers', async () => {
        await cms(['service', 'install', '--system', '--now', '--yes']);
        const pid = await own('MainPID');
        const status = await must(['cat', `/proc/${pid}/status`]);
        for (const line of [/^CapBnd:\s+0+$/m, /^NoNewPrivs:\s+1$/m, /^Seccomp:\s+2$/m]) assert.match(status, line);
        const touching = await machine.run(['nsenter', '-t', pid, '-m', 'touch', '/usr/cms-was-here']);
        assert.match(touching.stderr, /Read-only file system/);
        await addAccount(['service', 'run']);
        assert.match(await ask(SOCKET, undefined), TOKEN_LINE);
        assert.match(await cms(['service', 'status', '--system']), new RegExp(`^active +yes, pid ${pid}$`, 'm'));
      });

      it('opens the accounts after a restart too', async () => {
        await must(['systemctl', 'restart', 'cms.service']);
        assert.match(await ask(SOCKET, undefined), TOKEN_LINE);
      });

      it('gets the socket for exim at a later installation, while it runs', async () => {
        await must(['install', '-d', '-o', 'cms', '-g', 'cms', '/run/cms/cms']);
        await must(['install', '-o', 'cms', '-g', 'cms', '-m', '600', '/dev/null', '/var/lib/cms/config/exim.json']);
        await write('/var/lib/cms/config/exim.json', '{}');
        await must(['groupadd', '--force', 'Debian-exim']);
        await cms(['service', 'install', '--system', '--now', '--yes']);
        assert.equal(await must(['systemctl', 'is-active', 'cms-exim.socket', 'cms.service']), 'active\nactive');
        assert.match(await ask(SOCKET, undefined), TOKEN_LINE);
      });

      it('goes, and leaves accounts and key', async () => {
        await cms(['service', 'uninstall', '--system', '--yes']);
        assert.equal(await own('LoadState'), 'not-found');
        assert.ok(!readdirSync(machine.path('/run')).includes('cms-broker'));
        assert.deepEqual(readdirSync(machine.path('/etc/cms')), ['cms-vault-key.cred']);
        assert.equal((await machine.cms(['service', 'status', '--system'])).status, 69);
      });
    });
  });
}
