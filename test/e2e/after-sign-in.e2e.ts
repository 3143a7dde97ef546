/** What the first run offers after the sign-in, with a yes: exim that delivers, and the broker as a service. */
import assert from 'node:assert/strict';
import { chownSync, existsSync, readdirSync } from 'node:fs';
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CMS_PROGRAM } from '../support/environment.ts';
import { PERSON, PrivateExim, requireExim, run, runAsRoot } from '../support/exim.ts';
import { start } from '../support/processes.ts';
import { runInTerminal, type Terminal } from '../support/pty.ts';
import { requires } from '../support/requirements.ts';
import { recordingSystemctl } from '../support/systemctl.ts';
import { startWorld, type World } from '../support/world.ts';

const JANE = 'jane@example.org';
const SYSTEM_CERTIFICATES = '/etc/ssl/certs/ca-certificates.crt';

describe('after the sign-in', function () {
  this.timeout(60_000);
  let world: World;
  let terminal: Terminal | undefined;

  beforeEach(async () => {
    world = await startWorld();
    Object.assign(world.env, { CMS_TEST_LOGIN: JANE, TERM: 'xterm-256color' });
  });

  afterEach(async () => {
    await terminal?.stop();
    await runAsRoot(['chown', '-R', String(process.getuid?.()), world.home.path]);
    await world[Symbol.asyncDispose]();
  });

  /** A command in the environment of the world, for whoever runs it. */
  const inWorld = (...argv: string[]): string[] => [
    ...['env', '-i'],
    ...Object.entries(world.env).flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${value}`])),
    ...[process.execPath, CMS_PROGRAM, ...argv],
  ];

  function add([command = '', ...args]: string[]): Terminal {
    terminal = runInTerminal(command, args, { env: { PATH: process.env.PATH } });
    return terminal;
  }

  describe('exim', () => {
    let exim: PrivateExim;

    beforeEach(async function () {
      requireExim(this);
      requires(this, 'sudo');
      exim = await PrivateExim.start('installable');
      await exim.asRoot(['sh', '-c', 'rm -f /etc/exim4/*']);
      // exim trusts what the system does.
      const bundle = join(exim.folder, 'certificates.pem');
      await writeFile(bundle, await readFile(world.submission.caFile));
      // A person who may use sudo without a password, for this file system alone.
      const sudoers = join(exim.folder, 'sudoers');
      const script = `set -e; mount --bind ${bundle} ${SYSTEM_CERTIFICATES}; mkdir ${sudoers}
        echo '${PERSON} ALL=(root) NOPASSWD: ALL' >${sudoers}/person; chmod 0440 ${sudoers}/person
        mount --bind ${sudoers} /etc/sudoers.d`;
      const done = await exim.asRoot(['sh', '-c', script]);
      assert.equal(done.status, 0, done.stderr);
      await chmod(world.home.path, 0o755);
      await runAsRoot(['chown', '-R', PERSON, world.home.path]);
    });

    afterEach(() => exim[Symbol.asyncDispose]());

    const addAsPerson = (...more: string[]): string[] =>
      exim.commandLine(
        inWorld('account', 'add', JANE, ...world.serverFlags, '--no-send', '--no-service', ...more),
        PERSON,
      );
    const inEtc = async (): Promise<string> => (await exim.asRoot(['ls', '/etc/exim4'])).stdout;

    async function assertDelivers(): Promise<void> {
      const argv = exim.commandLine(inWorld('serve'), PERSON);
      await using broker = start(argv[0] ?? '', argv.slice(1));
      await broker.waitFor(/listening.*exim\.sock/);
      await exim.submit(['-f', JANE, 'x@elsewhere.example'], 'Subject: from nothing\n\nbody\n');
      const sent = world.submission.messages.map(({ user, mechanism, from, to }) => ({ user, mechanism, from, to }));
      const expected = { user: JANE, mechanism: 'XOAUTH2', from: JANE, to: ['x@elsewhere.example'] };
      assert.deepEqual(sent, [expected], await exim.log());
    }

    it('is offered, shown as a diff, written after a yes, and delivers a mail', async () => {
      const adding = add(addAsPerson());
      await adding.waitFor(/exim4 is installed\. Have it send through this account\?[^]*navigate/, 20_000);
      adding.press('enter');
      await adding.waitFor(/--- \/etc\/exim4\/exim4\.conf\s[^]*\+never_users = root/);
      await adding.waitFor(/\+jane@example\.org: .*user=jane@example\.org/);
      await adding.waitFor(/EVERY LOCAL USER can then send as this account/);
      await adding.waitFor(/Write it\?/);
      assert.equal(await inEtc(), '');
      adding.type('y');
      adding.press('enter');
      assert.equal((await adding.wait(20_000)).status, 0, adding.screen);
      assert.match(adding.screen, /^next: .*cms exim-config --check/m);
      assert.match(await inEtc(), /^exim-smart-hosts\nexim4\.conf\n/);
      await assertDelivers();
    });

    it('is not offered where the login was refused, and named for later', async () => {
      world.submission.refuse('*', '535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled.');
      const adding = add(addAsPerson('--send').filter((word) => word !== '--no-send'));
      assert.equal((await adding.wait(20_000)).status, 77, adding.screen);
      assert.doesNotMatch(adding.screen, /exim4 is installed/);
      assert.match(adding.screen, /^not sent: /m, 'asked for by a flag, it is tried');
      assert.match(adding.screen, /^The account is kept\. Once that is fixed: cms account test jane@example\.org$/m);
      assert.match(adding.screen, /^next: .*cms exim-config --install/m);
    });

    it('is written without a question with --exim, and delivers a mail', async () => {
      const [command = '', ...args] = addAsPerson('--exim');
      const added = await run([command, ...args]);
      assert.equal(added.status, 0, added.stderr);
      assert.match(added.stderr, /^next: .*cms exim-config --check/m);
      await assertDelivers();
    });

    it('trusts the authority of the account, where the system does not', async () => {
      const caFile = join(exim.folder, 'organisation.pem');
      await writeFile(caFile, await readFile(world.submission.caFile), { mode: 0o644 });
      await exim.asRoot(['umount', SYSTEM_CERTIFICATES]);
      const adding = add(addAsPerson('--ca-file', caFile));
      await adding.waitFor(/exim4 is installed\. Have it send through this account\?[^]*navigate/, 20_000);
      adding.press('enter');
      await adding.waitFor(/Write it\?/);
      assert.ok(adding.screen.includes(`+  tls_verify_certificates = ${caFile}`), adding.screen);
      adding.type('y');
      adding.press('enter');
      assert.equal((await adding.wait(20_000)).status, 0, adding.screen);
      await assertDelivers();
    });

    it('is told of no authority that its user cannot read, and the system is named as the place for it', async () => {
      const caFile = join(world.home.home, 'organisation.pem');
      await exim.asRoot(['install', '-m', '0600', '-o', PERSON, world.submission.caFile, caFile]);
      await exim.asRoot(['umount', SYSTEM_CERTIFICATES]);
      const [command = '', ...args] = addAsPerson('--exim', '--ca-file', caFile);
      const added = await run([command, ...args]);
      assert.equal(added.status, 0, added.stderr);
      assert.match(
        added.stderr,
        /^cms: exim will not trust .* before the system does:\nsudo install .*update-ca-certificates$/m,
      );
      assert.match((await exim.asRoot(['cat', '/etc/exim4/exim4.conf'])).stdout, /tls_verify_certificates = system/);
    });

    for (const [what, at] of [
      ['the offer', /exim4 is installed[^]*navigate/],
      ['the diff', /Write it\?/],
    ] as const) {
      it(`is left alone after Ctrl-C at ${what}, and the account is kept`, async () => {
        const adding = add(addAsPerson());
        await adding.waitFor(/exim4 is installed/, 20_000);
        if (what === 'the diff') {
          await adding.waitFor(/navigate/);
          adding.press('enter');
          await adding.waitFor(at);
        }
        adding.press('ctrl-c');
        await adding.waitFor(/the rest was left out; the account is kept/);
        assert.equal((await adding.wait()).status, 0, adding.screen);
        assert.match(adding.screen, /^next: .*cms exim-config --install/m);
        assert.equal(await inEtc(), '');
      });
    }

    it('is no question where nobody can be asked, and none where it is set up already', async () => {
      const [command = '', ...args] = addAsPerson();
      const added = await run([command, ...args]);
      assert.equal(added.status, 0, added.stderr);
      assert.equal(await inEtc(), '');
      assert.equal((await run(addAsPerson('--exim'))).status, 0);
      const again = add(addAsPerson());
      assert.equal((await again.wait(20_000)).status, 0, again.screen);
      assert.doesNotMatch(again.screen, /exim4 is installed/);
    });
  });

  describe('the broker', () => {
    /** For root, who gets no service, somebody else. */
    const asSomebody = (argv: string[]): string[] =>
      process.getuid?.() === 0 ? ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--', ...argv] : argv;
    let told: () => string[];
    let units: string;

    beforeEach(() => {
      const systemctl = recordingSystemctl(world.home.path);
      ({ told } = systemctl);
      const xdg = join(world.home.home, 'xdg');
      units = join(xdg, 'systemd', 'user');
      const PATH = `${systemctl.tools}:${process.env.PATH ?? ''}`;
      Object.assign(world.env, { PATH, XDG_CONFIG_HOME: xdg, DISPLAY: ':0' });
      if (process.getuid?.() !== 0) return;
      for (const path of [world.home.path, world.home.home]) chownSync(path, 65_534, 65_534);
    });

    const addAsSomebody = (...more: string[]): string[] =>
      asSomebody(inWorld('account', 'add', JANE, ...world.serverFlags, '--no-send', '--no-exim', ...more));

    const assertInstalled = (): void => {
      assert.deepEqual(readdirSync(units).sort(), ['cms.service', 'cms.socket']);
      assert.equal(told().at(-1), 'systemctl --user restart cms.service cms.socket');
    };

    it('is offered as a service, and started after Enter', async () => {
      const adding = add(addAsSomebody());
      await adding.waitFor(/Start the broker now and at each login\?/, 20_000);
      assert.equal(existsSync(units), false);
      adding.press('enter');
      assert.equal((await adding.wait(20_000)).status, 0, adding.screen);
      assertInstalled();
      // It runs: how to start it is no advice any more.
      assert.match(adding.screen, /^next: (?!.*(?:cms serve|cms service)).*cms status/m);
    });

    it('is started without a question with --service', async () => {
      const added = await run(addAsSomebody('--service'));
      assert.equal(added.status, 0, added.stderr);
      assertInstalled();
    });

    for (const [what, press] of [
      ['a no', (at: Terminal) => at.type('n\r')],
      ['Ctrl-C', (at: Terminal) => at.press('ctrl-c')],
    ] as const) {
      it(`is left alone after ${what}`, async () => {
        const adding = add(addAsSomebody());
        await adding.waitFor(/Start the broker now and at each login\?/, 20_000);
        press(adding);
        assert.equal((await adding.wait()).status, 0, adding.screen);
        assert.match(adding.screen, /^next: +cms service install --now/m);
        assert.equal(existsSync(units), false);
      });
    }
  });
});
