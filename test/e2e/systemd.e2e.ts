/** `cms service` where systemd is process 1: units that it really starts, watches and takes away. */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { bootMachine, canBoot, type Machine } from '../support/machine.ts';
import { signIn } from '../support/person.ts';
import type { Finished } from '../support/processes.ts';
import { isPresent, requires } from '../support/requirements.ts';
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
    const inodeOf = (path: string): Promise<string> => must(['stat', '-c', '%i', path], jane);
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

    it('names the person who has no service manager yet, in what is to be pasted', async () => {
      await must(['useradd', '--create-home', 'cms-joe']);
      const joe = { name: 'cms-joe', uid: await must(['id', '-u', 'cms-joe']) };
      for (const argv of [
        ['service', 'status'],
        ['service', 'install', '--now', '--yes'],
      ]) {
        const { status, stderr } = await machine.cms(argv, joe);
        assert.equal(status, 69, stderr);
        assert.match(stderr, /no service manager of yours answers/);
        const [, command = ''] = /try: sudo (loginctl .*)/.exec(stderr) ?? [];
        assert.equal(command, 'loginctl enable-linger cms-joe');
      }
      await must(['loginctl', 'enable-linger', 'cms-joe']);
      await must(['systemctl', 'start', `user@${joe.uid}.service`]);
      assert.match((await machine.cms(['service', 'status'], joe)).stdout, /^active +no/m);
    });

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
        const inode = await inodeOf(own);
        const pid = await show('MainPID');
        const [, ...answers] = await Promise.all([
          systemctl('restart', 'cms.service'),
          ask(own, jane),
          ask(mail, jane),
        ]);
        for (const answer of answers) assert.match(answer, TOKEN_LINE);
        assert.notEqual(await show('MainPID'), pid);
        assert.equal(await inodeOf(own), inode);
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

      describe('is examined by cms doctor:', () => {
        const unit = `/home/cms-jane/.config/systemd/user/cms.service`;
        const linger = '/var/lib/systemd/linger/cms-jane';
        const AS_JANE = 'setpriv --reuid=cms-jane --regid=cms-jane --init-groups env HOME=/home/cms-jane';
        const userctl = (words: string): string => `systemctl --user -M cms-jane@ ${words}`;

        async function doctor(env: readonly string[] = []): Promise<{ id: string; status: string; summary: string }[]> {
          const argv = ['env', ...env, '/opt/cms/node', '/opt/cms/bin/run.js', 'doctor', '--json'];
          const { stdout, stderr } = await machine.run(argv, jane);
          assert.notEqual(stdout, '', stderr);
          const { checks } = JSON.parse(stdout) as { checks: { id: string; status: string; summary: string }[] };
          // The mail servers' authority is none of this user's.
          const bad = checks.filter(({ status }) => status === 'failure' || status === 'warning');
          return bad.filter(({ id }) => !id.startsWith('login.'));
        }

        before(() => must(['chmod', '0600', '/home/cms-jane/.config/cms/config.toml']));

        it('nothing is wrong', async () => assert.deepEqual(await doctor(), []));

        for (const [what, harm, undo, id, words] of [
          [
            'a unit that somebody changed',
            `sed -i.kept s/TimeoutStopSec=.*/TimeoutStopSec=2/ ${unit}`,
            `mv ${unit}.kept ${unit}`,
            'service.units',
            /cms\.service is not what would be written now/,
          ],
          [
            'a service that no login starts',
            userctl('disable cms.service'),
            userctl('enable cms.service'),
            'service.enabled',
            /not started by itself/,
          ],
          [
            'a broker that was started by hand',
            `${userctl('stop cms.service cms.socket mail.socket')}; ${AS_JANE} XDG_RUNTIME_DIR=/run/user/$(id -u cms-jane) sh -c '/opt/cms/node /opt/cms/bin/run.js serve >/run/user/$(id -u)/by-hand 2>&1 & echo $!' >/run/by-hand.pid; timeout 20 sh -c 'until grep -q listening /run/user/$(id -u cms-jane)/by-hand; do sleep 0.1; done'`,
            `kill $(cat /run/by-hand.pid); timeout 20 tail --pid=$(cat /run/by-hand.pid) -f /dev/null; ${userctl('start cms.socket mail.socket cms.service')}`,
            'service.active',
            /the service is inactive, and a broker runs without it/,
          ],
          [
            'a service that ends with the session',
            `rm ${linger}`,
            `touch ${linger}`,
            'service.linger',
            /it ends when you log out/,
          ],
        ] as const) {
          it(`names ${what}`, async () => {
            await must(['sh', '-ec', harm]);
            try {
              const bad = await doctor();
              assert.deepEqual(
                bad.map((check) => check.id),
                [id],
                JSON.stringify(bad, null, 1),
              );
              assert.match(bad[0]?.summary ?? '', words);
            } finally {
              await must(['sh', '-ec', undo]);
            }
          });
        }

        it('names a manager that does not answer', async () => {
          await must([
            'sh',
            '-ec',
            'mkdir /run/deaf; printf "#!/bin/sh\nexit 1\n" >/run/deaf/systemctl; chmod +x /run/deaf/*',
          ]);
          const bad = await doctor(['PATH=/run/deaf:/usr/bin:/bin']);
          assert.deepEqual(
            bad.map(({ id }) => id),
            ['service'],
            JSON.stringify(bad, null, 1),
          );
        });
      });

      describe('when it is uninstalled', () => {
        it('leaves nothing behind', async () => {
          await must(['rm', '-r', `/home/${jane.name}/.config/systemd/user/cms.service.d`]);
          const pid = await show('MainPID');
          await cms(['service', 'uninstall', '--yes'], jane);
          const units = await must(['find', `/home/${jane.name}/.config/systemd/user`]);
          assert.doesNotMatch(units, /\/cms[^/]*$/m);
          assert.equal(await must(['ls', '-A', `/run/user/${jane.uid}/cms`]), '', 'no socket that nobody listens on');
          assert.notEqual((await machine.run(['kill', '-0', pid])).status, 0);
          assert.equal(await show('LoadState'), 'not-found');
          assert.equal((await machine.cms(['service', 'status'], jane)).status, 69);
        });
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

      it('gets an account from a person who may use sudo, with files that are the person’s own', async function () {
        if (!isPresent('sudo')) this.skip();
        await write('/etc/sudoers.d/cms-jane', `${jane.name} ALL=(ALL) NOPASSWD: ALL\n`);
        const home = `/home/${jane.name}`;
        await write(`${home}/closed/pw`, 'CANARY-password\n', jane);
        await must(['chmod', '700', `${home}/closed`], jane);
        const add = ['account', 'add', '--system', 'info@icloud.com', '--no-test', '--yes'];
        const cmsAt = (folder: string, ...argv: string[]): Promise<Finished> =>
          machine.run(['env', '-C', folder, '/opt/cms/node', '/opt/cms/bin/run.js', ...argv], jane);
        const added = await cmsAt(`${home}/closed`, ...add, '--password-file', 'pw');
        assert.equal(added.status, 0, added.stderr);
        assert.match(added.stderr, /^next: {3}cms service run status$/m);
        assert.doesNotMatch(added.stderr, /msmtp|cms serve/);
        assert.equal(
          await cms(['service', 'run', 'token', 'info@icloud.com', '-o', 'password'], jane),
          'CANARY-password\n',
        );
        assert.equal(await must(['sh', '-c', 'echo /run/cms-key*']), '/run/cms-key*', 'nothing is left of the copy');
        assert.equal(
          (await machine.cms(['account', 'list'], jane)).stdout.includes('info@'),
          false,
          'not among her own',
        );

        await write(`${home}/closed/ca.pem`, '-----BEGIN CERTIFICATE-----\n', jane);
        const hidden = await cmsAt(`${home}/closed`, ...add, '--password-file', 'pw', '--ca-file', 'ca.pem');
        assert.equal(hidden.status, 78);
        assert.match(
          hidden.stderr,
          /broker of the system cannot read \/home\/cms-jane\/closed\/ca\.pem\ncms: try: sudo install /,
        );
        const again = await cmsAt(home, ...add.slice(0, 3), 'info@icloud.com', '--yes');
        assert.equal(again.status, 78);
        assert.match(again.stderr, /^cms: try: cms account add --system info@icloud\.com --yes --password-file FILE/m);
        await must(['rm', '/etc/sudoers.d/cms-jane']);
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
        assert.equal((await machine.run(['test', '-e', '/run/cms-broker'])).status, 1);
        assert.equal(await must(['ls', '-A', '/etc/cms']), 'cms-vault-key.cred');
        assert.equal((await machine.cms(['service', 'status', '--system'])).status, 69);
      });
    });

    describe('of the system, examined by cms doctor with exim at its socket:', () => {
      const SOCKET = '/run/cms-broker/cms.sock';
      const EXIM_SOCKET = '/run/cms/cms/exim.sock';
      const units = '/etc/systemd/system';
      const key = '/etc/cms/cms-vault-key.cred';

      interface Check {
        id: string;
        subject: string;
        status: string;
        summary: string;
        fix?: string[];
        who?: string;
      }

      async function doctor(
        env: string[] = [],
        user?: typeof jane,
      ): Promise<{ checks: Check[]; status: number | null }> {
        const argv = ['env', ...env, '/opt/cms/node', '/opt/cms/bin/run.js', 'doctor', '--json'];
        const { stdout, stderr, status } = await machine.run(argv, user);
        assert.notEqual(stdout, '', stderr);
        const { checks } = JSON.parse(stdout) as { checks: Check[] };
        return { checks: checks.filter(({ id }) => /^system\b/.test(id)), status };
      }
      const named = (checks: readonly Check[], ...statuses: string[]): string[] =>
        checks.filter(({ status }) => statuses.includes(status)).map(({ id }) => id);

      before(async function () {
        requires(this, 'exim4');
        await must(['rm', '-f', '/var/lib/cms/config/exim.json']);
        const script = await cms(['service', 'run', 'exim-config', '--install', '--default', ADDRESS]);
        await write('/run/install.sh', script);
        await must(['sh', '/run/install.sh']);
        await cms(['service', 'install', '--system', '--now', '--yes']);
      });

      it('nothing is wrong', async () => {
        const { checks, status } = await doctor();
        assert.deepEqual(named(checks, 'failure', 'warning', 'skipped'), [], JSON.stringify(checks, null, 1));
        assert.equal(status, 0);
        const sockets = checks.filter(({ id }) => id === 'system.socket').map(({ subject }) => subject);
        assert.deepEqual(sockets, [SOCKET, EXIM_SOCKET]);
        const mta = checks.find(({ id }) => id === 'system.mta');
        assert.deepEqual([mta?.subject, mta?.summary], [`Debian-exim ${EXIM_SOCKET}`, 'opened it']);
      });

      it('a person sees of it what is open to everybody, and all by sudo', async () => {
        const { checks } = await doctor([], jane);
        assert.deepEqual(named(checks, 'failure', 'warning'), [], JSON.stringify(checks, null, 1));
        assert.ok(named(checks, 'ok').includes('system.active'));
        assert.deepEqual(named(checks, 'skipped'), ['system.socket', 'system.socket', 'system.mta']);
        const bySudo = await doctor([`SUDO_UID=${jane.uid}`, `SUDO_GID=${jane.uid}`, `SUDO_USER=${jane.name}`]);
        assert.deepEqual(named(bySudo.checks, 'failure', 'warning', 'skipped'), [], JSON.stringify(bySudo.checks));
      });

      it('says to its own user how it is started', async () => {
        await must(['systemctl', 'stop', 'cms.service', 'cms-exim.socket']);
        const { stdout } = await machine.cms(['service', 'run', 'doctor', '--json']);
        await must(['systemctl', 'start', 'cms-exim.socket', 'cms.service']);
        const { checks } = JSON.parse(stdout) as { checks: Check[] };
        // The mail servers' authority is none of this user's.
        const failures = named(checks, 'failure').filter((id) => !id.startsWith('login.'));
        assert.deepEqual(failures, ['broker', 'system.active'], JSON.stringify(checks, null, 1));
        assert.match(checks.find(({ id }) => id === 'broker')?.fix?.[0] ?? '', /^sudo systemctl restart cms\.service/);
      });

      const RESTART = 'systemctl stop cms-exim.socket cms.service; systemctl start cms-exim.socket cms.service';
      for (const [what, harm, undo, id, exit, words] of [
        [
          'a unit that is gone',
          `mv ${units}/cms.service /run/kept`,
          `mv /run/kept ${units}/cms.service`,
          'system.units',
          78,
          /cms\.service is missing/,
        ],
        [
          'a unit that somebody changed',
          `sed -i s/TimeoutStopSec=30/TimeoutStopSec=2/ ${units}/cms.service`,
          `sed -i s/TimeoutStopSec=2$/TimeoutStopSec=30/ ${units}/cms.service`,
          'system.units',
          0,
          /cms\.service is not what would be written now/,
        ],
        [
          'a program that is gone',
          `sed -i s,/opt/cms/node,/opt/gone/node, ${units}/cms.service`,
          `sed -i s,/opt/gone/node,/opt/cms/node, ${units}/cms.service`,
          'system.units',
          78,
          /starts \/opt\/gone\/node, which is gone/,
        ],
        [
          'a user that is gone',
          'sed -i.kept /^cms:/d /etc/passwd',
          'mv /etc/passwd.kept /etc/passwd',
          'system',
          78,
          /the user cms of the service is not there/,
        ],
        [
          'a key that is gone',
          `mv ${key} /run/kept`,
          `mv /run/kept ${key}`,
          'system.key',
          69,
          /the sealed vault key .* is gone/,
        ],
        [
          'a socket that no boot brings back',
          'systemctl disable cms-exim.socket',
          'systemctl enable cms-exim.socket',
          'system.enabled',
          0,
          /^cms-exim\.socket will not be started at boot/,
        ],
        [
          'a service that was stopped',
          'systemctl stop cms.service',
          RESTART,
          'system.active',
          69,
          /the service is inactive/,
        ],
        [
          'a socket of exim that was stopped',
          'systemctl stop cms-exim.socket',
          RESTART,
          'system.socket',
          69,
          /cms-exim\.socket is inactive/,
        ],
        [
          'a socket that went with its folder',
          'rm -r /run/cms/cms',
          `systemd-tmpfiles --create /etc/tmpfiles.d/cms-cms.conf; ${RESTART}`,
          'system.socket',
          69,
          /it is not there/,
        ],
        [
          'a socket of another mode',
          `chmod 0600 ${EXIM_SOCKET}`,
          `chmod 0660 ${EXIM_SOCKET}`,
          'system.socket',
          78,
          /mode 0600 in place of 0660/,
        ],
        [
          'a socket of another group',
          `chgrp cms ${EXIM_SOCKET}`,
          `chgrp Debian-exim ${EXIM_SOCKET}`,
          'system.socket',
          78,
          /group \d+ in place of Debian-exim/,
        ],
        [
          'a private socket that others may open',
          `chmod 0666 ${SOCKET}`,
          `chmod 0600 ${SOCKET}`,
          'system.socket',
          78,
          /mode 0666 in place of 0600/,
        ],
        [
          "a list of users that leaves exim's user out",
          `sed -i.kept '/^path = .*exim.sock/a users = ["0"]' /var/lib/cms/config/config.toml; ${RESTART}`,
          `cat /var/lib/cms/config/config.toml.kept >/var/lib/cms/config/config.toml; ${RESTART}`,
          'system.mta',
          77,
          /Debian-exim reaches the broker, which sends it away/,
        ],
        [
          "a folder that keeps exim's user out",
          'chmod 2700 /run/cms/cms',
          'chmod 2750 /run/cms/cms',
          'system.mta',
          77,
          /Debian-exim cannot open it: EACCES/,
        ],
      ] as const) {
        it(`names ${what}`, async () => {
          await must(['sh', '-ec', harm]);
          try {
            const { checks, status } = await doctor();
            assert.deepEqual(named(checks, 'failure', 'warning'), [id], JSON.stringify(checks, null, 1));
            const found = checks.find((check) => check.status === 'failure' || check.status === 'warning');
            assert.match(found?.summary ?? '', words);
            assert.equal(found?.who, 'root');
            assert.ok((found.fix ?? []).length > 0);
            assert.equal(status, exit);
          } finally {
            await must(['sh', '-ec', undo]);
          }
        });
      }
    });
  });
}
