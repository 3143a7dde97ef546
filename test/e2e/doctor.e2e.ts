/** `cms doctor`: a chain that is whole, and then one link broken at a time; the link that is broken is the one named. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { leaks } from '../support/canary.ts';
import { untrustedCertificate } from '../support/certificates.ts';
import { CMS_PROGRAM, runCms, spawnCms, temporaryHome } from '../support/environment.ts';
import { type Environment, run, type RunningProcess, start } from '../support/processes.ts';
import { faults } from '../support/provider.ts';
import { asRoot, requires, requiresRoot } from '../support/requirements.ts';
import { ImapServer } from '../support/imap.ts';
import { startPop } from '../support/pop.ts';
import { startProxy } from '../support/proxy.ts';
import { startWorld, type World } from '../support/world.ts';

const JANE = 'jane@example.org';

interface Check {
  id: string;
  subject: string;
  status: 'ok' | 'warning' | 'failure' | 'skipped';
  summary: string;
  cause?: string;
  fix?: string[];
  who?: string;
  ms: number;
}
interface Examination {
  status: number | null;
  checks: Check[];
  summary: string;
  stderr: string;
}

interface Account {
  client: Record<string, unknown>;
}

describe('cms doctor', function () {
  this.timeout(60_000);
  let world: World;
  let broker: RunningProcess | undefined;
  const undo: (() => unknown)[] = [];

  before(async () => {
    world = await startWorld();
    const added = await world.add(JANE);
    assert.equal(added.status, 0, added.stderr);
  });
  afterEach(async () => {
    for (const each of undo.splice(0).reverse()) await each();
    await broker?.stop();
    broker = undefined;
  });
  after(() => world[Symbol.asyncDispose]());

  async function doctor(argv: string[] = [], env: Environment = {}): Promise<Examination> {
    const { status, stdout, stderr } = await runCms(['doctor', '--json', ...argv], { env: { ...world.env, ...env } });
    assert.notEqual(stdout, '', stderr);
    return { status, stderr, ...(JSON.parse(stdout) as { checks: Check[]; summary: string }) };
  }

  async function serve(socket = /listening.*cms\.sock/): Promise<void> {
    broker = spawnCms(['serve'], { env: world.env });
    await broker.waitFor(socket);
  }

  const named = (checks: readonly Check[], ...statuses: string[]): string[] =>
    checks.filter(({ status }) => statuses.includes(status)).map(({ id }) => id);

  /** Only this link is broken, what hangs on it is left out because of it, and it says what to do. */
  function assertBroken({ checks, status, summary }: Examination, id: string, exit: number, words: RegExp): Check {
    assert.deepEqual(named(checks, 'failure'), [id], JSON.stringify(checks, null, 1));
    assert.equal(status, exit);
    const broken = checks.find((check) => check.id === id && check.status === 'failure');
    assert.ok(broken);
    assert.match([broken.subject, broken.summary, broken.cause].join(' '), words);
    assert.ok((broken.fix ?? []).length > 0, 'no fix');
    assert.match(summary, new RegExp(`^1 failure.*first: ${id.replace('.', '\\.')}`));
    return broken;
  }

  /** Changes a file and puts it back after the test. */
  function change(path: string, edit: (text: string) => string): void {
    const text = readFileSync(path, 'utf8');
    undo.push(() => writeFileSync(path, text));
    writeFileSync(path, edit(text));
  }

  function mode(path: string, bits: number, normal: number): void {
    chmodSync(path, bits);
    undo.push(() => chmodSync(path, normal));
  }

  function changeAccount(edit: (account: Account) => void): void {
    change(join(world.home.configDir, 'accounts.json'), (text) => {
      const data = JSON.parse(text) as { accounts: Record<string, Account> };
      const account = data.accounts[JANE];
      assert.ok(account);
      edit(account);
      return JSON.stringify(data);
    });
  }

  async function expire(): Promise<void> {
    world.provider.accessTokenTtl = 1;
    const { status, stderr } = await world.cms('token', JANE, '--force-refresh');
    assert.equal(status, 0, stderr);
    world.provider.accessTokenTtl = 3600;
    await new Promise((resolve) => setTimeout(resolve, 1100));
    undo.push(async () => {
      const again = await world.cms('token', JANE, '--force-refresh');
      assert.equal(again.status, 0, again.stderr);
    });
  }

  it('finds nothing wrong where nothing is, without a refresh, and with a broker too', async () => {
    const before = world.provider.count('refresh_token');
    const alone = await doctor();
    assert.deepEqual(named(alone.checks, 'failure'), []);
    assert.deepEqual(named(alone.checks, 'warning'), ['broker']);
    await serve();
    const { checks, status, summary } = await doctor();
    assert.deepEqual(named(checks, 'failure', 'warning'), [], JSON.stringify(checks, null, 1));
    assert.deepEqual([status, summary], [0, 'all is well']);
    const sound = named(checks, 'ok');
    for (const id of [
      'files.accounts',
      'key',
      'provider.answer',
      'provider.clock',
      'token',
      'token.scope',
      'login.smtp',
    ])
      assert.ok(sound.includes(id), id);
    for (const id of ['login.imap', 'broker', 'socket']) assert.ok(sound.includes(id), id);
    assert.equal(world.provider.count('refresh_token'), before, 'no exchange');
  });

  describe('names the link that is broken:', () => {
    const accountsFile = (): string => join(world.home.configDir, 'accounts.json');

    it('a folder that others can write to', async () => {
      mode(world.home.configDir, 0o777, 0o700);
      const { fix } = assertBroken(await doctor(), 'files.folder', 78, /config others can write to it \(mode 0777\)/);
      assert.deepEqual(fix, [`chmod go-w ${world.home.configDir}`]);
    });

    it('a folder that the owner cannot write to', async () => {
      mode(join(world.home.stateDir, 'vault'), 0o500, 0o700);
      const { fix } = assertBroken(await doctor(), 'files.folder', 74, /vault closed to yourself \(mode 0500\)/);
      assert.deepEqual(fix, [`chmod 700 ${join(world.home.stateDir, 'vault')}`]);
    });

    it('a folder that is closed to its owner, once, and each command names the cure', async function () {
      // Root may enter whatever the mode says.
      if (process.getuid?.() === 0) this.skip();
      const { stateDir } = world.home;
      const env = { ...world.env, CMS_RUNTIME_DIR: undefined };
      mode(stateDir, 0, 0o700);
      const examined = await doctor([], env);
      const { fix } = assertBroken(examined, 'files.folder', 74, /state closed to yourself \(mode 0000\)/);
      assert.deepEqual(fix, [`chmod 700 ${stateDir}`]);
      for (const argv of [['token', JANE], ['status'], ['serve'], ['status', '--log']]) {
        const { status, stderr } = await runCms(argv, { env });
        assert.notEqual(status, 0);
        assert.match(stderr, new RegExp(`^cms: try: chmod 700 ${stateDir}$`, 'm'), argv.join(' '));
      }
      chmodSync(stateDir, 0o700);
      mode(world.home.configDir, 0, 0o700);
      assertBroken(await doctor(), 'files.folder', 74, /config closed to yourself/);
      assert.match((await world.cms('token', JANE)).stderr, new RegExp(`try: chmod 700 ${world.home.configDir}$`, 'm'));
    });

    it('a folder in which nothing can be stored', async () => {
      // What a full disk would refuse is refused to root as well.
      const obstacle = join(world.home.stateDir, 'probe');
      mkdirSync(obstacle);
      undo.push(() => rmSync(obstacle, { recursive: true }));
      assertBroken(await doctor(), 'files.folder', 74, /cannot write .*probe: /);
    });

    it('accounts.json, damaged', async () => {
      change(accountsFile(), (text) => text.slice(0, -20));
      const examined = await doctor();
      assertBroken(examined, 'files.accounts', 78, /cannot read/);
      assert.ok(examined.checks.some(({ id, status }) => id === 'token' && status === 'skipped'));
    });

    it('config.toml, with a key that is none', async () => {
      await world.home.writeConfig('config.toml', '[hooks]\nrefreshd = ["/bin/true"]\n');
      undo.push(() => rmSync(join(world.home.configDir, 'config.toml')));
      assertBroken(await doctor(), 'files.config', 78, /unknown key refreshd/);
    });

    it('another vault key', async () => {
      change(join(world.home.configDir, 'vault.key'), () => `${randomBytes(32).toString('base64')}\n`);
      const examined = await doctor();
      assertBroken(examined, 'key', 69, /is not the one that sealed the accounts/);
      const token = examined.checks.find(({ id }) => id === 'token');
      assert.deepEqual([token?.status, token?.summary], ['skipped', 'because of key']);
    });

    it('a provider that is down, while the token at hand is good', async () => {
      await world.provider.pause();
      undo.push(() => world.provider.resume());
      const examined = await doctor();
      assertBroken(examined, 'provider.connection', 75, /connection refused/);
      assert.ok(named(examined.checks, 'ok').includes('login.smtp'));
    });

    it('a provider that is down, when a token is needed', async () => {
      await expire();
      await world.provider.pause();
      undo.push(() => world.provider.resume());
      const examined = await doctor();
      assertBroken(examined, 'provider.connection', 75, /connection refused/);
      for (const id of ['token', 'token.scope', 'login.smtp', 'login.imap'])
        assert.match(
          examined.checks.find((check) => check.id === id)?.summary ?? '',
          /because of provider\.connection/,
        );
    });

    it('a name that nobody knows', async () => {
      changeAccount(({ client }) => (client.token_endpoint = 'https://login.example.invalid/token'));
      assertBroken(await doctor(), 'provider.name', 75, /login\.example\.invalid: .*\(DNS\)/);
    });

    it('a certificate of a stranger', async () => {
      const { key, cert } = await untrustedCertificate();
      const server = createServer({ key, cert }, (_request, response) => response.end('{}')).listen(0, '127.0.0.1');
      undo.push(() => server.close());
      await new Promise((resolve) => server.once('listening', resolve));
      const { port } = server.address() as AddressInfo;
      changeAccount(({ client }) => (client.token_endpoint = `https://localhost:${port}/token`));
      const { fix } = assertBroken(await doctor(), 'provider.answer', 75, /certificate/);
      assert.match(fix?.join('\n') ?? '', /--ca-file FILE/);
    });

    it('a proxy that refuses', async () => {
      const proxy = await startProxy({ refuse: 403 });
      undo.push(() => proxy.stop());
      changeAccount(({ client }) => (client.token_endpoint = 'https://login.example.test/token'));
      const words = /the proxy .* does not let anybody through to login\.example\.test/;
      assertBroken(await doctor([], { HTTPS_PROXY: proxy.url }), 'provider.answer', 75, words);
    });

    it('a clock that goes wrong', async () => {
      const date = new Date(Date.now() - 3_600_000).toUTCString();
      world.provider.setFault(faults.answer(404, '', { date }));
      undo.push(() => world.provider.setFault(undefined));
      const { fix, who } = assertBroken(await doctor(), 'provider.clock', 78, /3\d{3} s ahead of the provider's/);
      assert.deepEqual([fix?.[0], who], ['sudo timedatectl set-ntp true', 'root']);
    });

    it('a scope that was not granted', async () => {
      world.provider.setFault(faults.rewrite((answer) => ({ ...answer, scope: 'openid email mail.smtp' })));
      assert.equal((await world.cms('token', JANE, '--force-refresh')).status, 0);
      world.provider.setFault(undefined);
      undo.push(() => world.cms('token', JANE, '--force-refresh'));
      const examined = await doctor();
      assertBroken(examined, 'token.scope', 78, /not granted: mail\.imap \(imap\)/);
      assert.ok(named(examined.checks, 'ok').includes('login.smtp'));
      assert.ok(named(examined.checks, 'skipped').includes('login.imap'));
    });

    it('a token that is made for Microsoft Graph', async () => {
      const scope = 'https://outlook.office.com/SMTP.Send https://outlook.office.com/IMAP.AccessAsUser.All';
      const claims = Buffer.from(JSON.stringify({ aud: 'https://graph.microsoft.com' })).toString('base64url');
      const access_token = `e30.${claims}.c2ln`;
      world.provider.setFault(faults.rewrite((answer) => ({ ...answer, access_token, scope })));
      assert.equal((await world.cms('token', JANE, '--force-refresh')).status, 0);
      world.provider.setFault(undefined);
      undo.push(() => world.cms('token', JANE, '--force-refresh'));
      changeAccount(({ client }) => (client.scope = `${scope} offline_access`));
      const before = world.provider.count('refresh_token');
      const examined = await doctor();
      assertBroken(examined, 'token.audience', 78, /made for Microsoft Graph/);
      const skipped = examined.checks.filter(({ summary }) => summary === `because of token.audience ${JANE}`);
      assert.deepEqual(named(skipped, 'skipped'), ['login.smtp', 'login.imap']);
      assert.equal(world.provider.count('refresh_token'), before, 'a new token would not help');
    });

    it('a tenant that has SMTP switched off', async () => {
      const words = '535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant.';
      world.submission.refuse('*', words);
      undo.push(() => world.submission.refuse('*', undefined));
      const before = world.provider.count('refresh_token');
      const { who, fix } = assertBroken(await doctor(), 'login.smtp', 77, /login: .*5\.7\.139/);
      assert.equal(who, 'administrator');
      const mail =
        fix
          ?.at(-1)
          ?.replace(/ {3}#.*/, '')
          .split(' ') ?? [];
      assert.match((await world.cms(...mail.slice(1))).stdout, /^Subject: Please allow jane@example\.org to send mail/);
      assert.equal(world.provider.count('refresh_token'), before, 'a new token would not help');
    });

    it('an IMAP server that refuses', async () => {
      world.imap.refuse(JANE, 'NO [ALERT] Your account is not enabled for IMAP use. (Failure)');
      undo.push(() => world.imap.refuse(JANE, undefined));
      assertBroken(await doctor(), 'login.imap', 77, /not enabled for IMAP/);
    });

    const configure = async (text: string): Promise<void> => {
      await world.home.writeConfig('config.toml', text);
      undo.push(() => rmSync(join(world.home.configDir, 'config.toml')));
    };
    const further = (): string => join(world.home.runtimeDir, 'further.sock');

    it('a broker that does not run, where a socket is wanted', async () => {
      await configure(`[[socket]]\npath = "${further()}"\n`);
      const examined = await doctor();
      assertBroken(examined, 'broker', 69, /not running.*the sockets of config\.toml/);
      assert.deepEqual(named(examined.checks, 'ok').includes('socket'), false);
    });

    it('a socket of another mode', async () => {
      await configure(`[[socket]]\npath = "${further()}"\n`);
      await serve(/listening.*further\.sock/);
      chmodSync(further(), 0o640);
      assertBroken(await doctor(), 'socket', 78, /further\.sock mode 0640 in place of 0600/);
    });

    it('a socket that could not be made', async () => {
      await configure(`[[socket]]\npath = "${world.home.path}/nowhere/further.sock"\n`);
      await serve(/cannot be opened.*mkdir/);
      const { fix = [] } = assertBroken(await doctor(), 'socket', 73, /further\.sock the broker could not open it: /);
      assert.equal((await run('sh', ['-c', fix.join('\n')])).status, 0);
      await broker?.waitFor(/listening.*nowhere.*further\.sock/);
      assert.deepEqual(named((await doctor()).checks, 'failure'), []);
    });

    it('a socket that the broker has not read of', async () => {
      await serve();
      await configure(`[[socket]]\npath = "${further()}"\n`);
      const { fix = [] } = assertBroken(await doctor(), 'socket', 78, /further\.sock the broker does not know it/);
      const [command = ''] = fix;
      assert.equal(command, `kill -HUP ${broker?.pid}`);
      assert.equal((await run('sh', ['-c', command])).status, 0);
      await broker?.waitFor(/listening.*further\.sock/);
      assert.deepEqual(named((await doctor()).checks, 'failure'), []);
    });

    it('a socket whose file is gone', async () => {
      // A socket alone would be made anew by the broker; not so the folder that was taken away with it.
      const folder = join(world.home.path, 'own');
      mkdirSync(folder, { mode: 0o700 });
      await configure(`[[socket]]\npath = "${folder}/further.sock"\n`);
      await serve(/listening.*further\.sock/);
      rmSync(folder, { recursive: true });
      assertBroken(await doctor(), 'socket', 73, /further\.sock the broker could not open it/);
    });

    it('a POP server that refuses, and one that nobody finds', async () => {
      await using pop = await startPop({ provider: world.provider, scope: 'mail.imap' });
      change(accountsFile(), (text) => {
        const data = JSON.parse(text);
        const account = data.accounts[JANE];
        account.protocols = ['smtp', 'imap', 'pop'];
        account.servers.pop = { host: 'localhost', port: pop.port, tls: 'implicit' };
        return JSON.stringify(data);
      });
      assert.deepEqual(named((await doctor()).checks, 'failure'), []);
      pop.refuse(JANE, '-ERR [SYS/PERM] Your account is not enabled for POP access.');
      assertBroken(await doctor(), 'login.pop', 77, /not enabled for POP/);
      pop.refuse(JANE, '-ERR User is authenticated but not connected.');
      const { fix } = assertBroken(await doctor(), 'login.pop', 77, /authenticated but not connected/);
      assert.ok(fix?.some((line) => line.includes('Add-MailboxPermission -Identity jane@example.org')));
      await pop.stop();
      assertBroken(await doctor(), 'login.pop', 75, /connect: .*ECONNREFUSED/);
    });

    it('an IMAP mailbox that the login is not connected to', async () => {
      world.imap.refuse(JANE, ImapServer.NOT_CONNECTED);
      undo.push(() => world.imap.refuse(JANE, undefined));
      assertBroken(await doctor(), 'login.imap', 77, /authenticated but not connected/);
    });

    it('a user of a socket who cannot open it', async function () {
      requires(this, 'sudo');
      await configure(`[[socket]]\npath = "${further()}"\nmode = "0660"\nusers = ["nobody"]\n`);
      await serve(/listening.*further\.sock/);
      assertBroken(await doctor(), 'mta', 77, /nobody cannot open it: EACCES/);
    });

    it("a user who is let in by the socket's group and sent away by its list", async function () {
      requires(this, 'sudo');
      const folder = mkdtempSync(join(tmpdir(), 'cms-socket-'));
      undo.push(() => rmSync(folder, { recursive: true }));
      // Giving a socket to a group takes membership or root; a folder hands its group on.
      const mine = ['-o', String(process.getuid?.()), '-g', 'games'];
      const [file = '', ...args] = asRoot(['install', '-d', '-m', '2755', ...mine, folder]);
      assert.equal((await run(file, args)).status, 0);
      const socket = `[[socket]]\npath = "${folder}/s.sock"\nmode = "0660"\ngroup = "games"\n`;
      await configure(socket);
      await serve(/listening.*s\.sock/);
      const { checks } = await doctor();
      assert.deepEqual(
        checks.filter(({ id }) => id === 'mta').map(({ status, subject }) => [status, subject.split(' ')[0]]),
        [['ok', 'games']],
      );
      await broker?.stop();
      writeFileSync(join(world.home.configDir, 'config.toml'), `${socket}users = ["0"]\n`);
      await serve(/listening.*s\.sock/);
      const examined = await doctor();
      const [first] = examined.checks.filter(({ id }) => id === 'mta');
      assert.match(first?.summary ?? '', /games reaches the broker, which sends it away/);
      assert.equal(examined.status, 77);
    });

    it('a broker that cannot store what it was given', async function () {
      requires(this, 'prlimit');
      // SIGXFSZ would end it; a full disk does not.
      broker = start('sh', ['-c', `trap '' XFSZ; exec "$0" "$@"`, process.execPath, CMS_PROGRAM, 'serve'], {
        env: world.env,
      });
      await broker.waitFor(/listening.*cms\.sock/);
      const room = (size: string): void =>
        void execFileSync('prlimit', ['--pid', String(broker?.pid), `--fsize=${size}:unlimited`]);
      world.provider.setFault(
        faults.rewrite((answer) => {
          room('0');
          return answer;
        }),
      );
      undo.push(() => world.provider.setFault(undefined));
      assert.equal((await world.cms('token', JANE, '--force-refresh')).status, 0);
      undo.push(() => room('unlimited'));
      const words = /jane@example\.org: the newest grant is in memory only/;
      assertBroken(await doctor(), 'broker.grants', 74, words);
    });

    it('a group that is gone, which costs its socket', async () => {
      await configure(`[[socket]]\npath = "${further()}"\ngroup = "no-such-group"\n`);
      await serve();
      assertBroken(await doctor(), 'socket', 78, /no group no-such-group for the socket \S+ of \S+config\.toml/);
    });

    it('a mail about an outage that no account can send', async () => {
      await serve();
      await configure('[notify]\nmail = "nobody@example.org"\n');
      const { checks, status } = await doctor();
      assert.deepEqual([status, named(checks, 'failure', 'warning')], [0, ['notify.mail']]);
      const broken = checks.find(({ id }) => id === 'notify.mail');
      assert.match(broken?.summary ?? '', /there is no account nobody@example\.org/);
      assert.ok(broken?.fix?.includes('cms account list'));
    });

    it('a hook that others can change', async () => {
      const program = join(world.home.home, 'hook');
      writeFileSync(program, '#!/bin/sh\n');
      chmodSync(program, 0o777);
      await configure(`[hooks]\nrefreshed = ["${program}"]\n`);
      const { fix } = assertBroken(await doctor(), 'hook', 78, /others may write to/);
      assert.deepEqual(fix, [`chmod go-w ${program}`]);
    });

    it('a service of another program, and one that is gone', async () => {
      const tools = join(world.home.path, 'tools');
      const units = join(world.home.home, 'xdg', 'systemd', 'user');
      for (const folder of [tools, units]) mkdirSync(folder, { recursive: true });
      undo.push(() => rmSync(join(world.home.home, 'xdg'), { recursive: true }));
      const env = {
        PATH: `${tools}:${process.env.PATH ?? ''}`,
        XDG_CONFIG_HOME: join(world.home.home, 'xdg'),
        DISPLAY: ':0',
      };
      await serve();
      const shown = `ActiveState=active\\nUnitFileState=enabled\\nMainPID=${broker?.pid}\\nStatusText=1 account\\n`;
      writeFileSync(
        join(tools, 'systemctl'),
        `#!/bin/sh\ncase "$*" in *Version*) echo 252;; *) printf '${shown}';; esac\n`,
      );
      chmodSync(join(tools, 'systemctl'), 0o755);
      const unit = (program: string): void =>
        writeFileSync(
          join(units, 'cms.service'),
          `# Made by "cms service install"; put changes into: x\n[Service]\nExecStart=${program} serve\n`,
        );
      unit('/bin/true');
      const old = await doctor([], env);
      assert.deepEqual(named(old.checks, 'failure', 'warning'), ['service.units'], JSON.stringify(old.checks));
      unit('/opt/no-such-node /opt/no-such-script');
      const { fix } = assertBroken(
        await doctor([], env),
        'service.units',
        78,
        /starts \/opt\/no-such-node, which is gone/,
      );
      assert.deepEqual(fix, ['cms service install --now']);
    });

    it('a sign-in that was revoked, although the token at hand is not old', async () => {
      world.provider.revokeGrants(JANE);
      undo.push(async () => {
        const again = await world.add(JANE);
        assert.equal(again.status, 0, again.stderr);
      });
      const examined = await doctor();
      const { fix } = assertBroken(examined, 'token', 77, /no longer accepted/);
      assert.ok(fix?.some((line) => line.startsWith(`cms account add ${JANE}`)));
    });
  });

  it('does not wait for a program that does not end', async () => {
    const tools = join(world.home.path, 'slow');
    mkdirSync(tools);
    undo.push(() => rmSync(tools, { recursive: true }));
    // The one that is killed leaves another one behind, which holds its pipes.
    writeFileSync(join(tools, 'gnome-keyring-daemon'), "#!/bin/sh\ntrap '' TERM\nsleep 40\n", { mode: 0o755 });
    const began = Date.now();
    const env = { ...world.env, PATH: `${tools}:${process.env.PATH ?? ''}` };
    const { status, stdout } = await runCms(['doctor', '--report'], { env });
    assert.equal(status, 0);
    assert.match(stdout, /^\| gnome-keyring \| does not answer \|$/m);
    assert.ok(Date.now() - began < 20_000);
  });

  it('begins at the beginning where there is no account', async () => {
    await using home = await temporaryHome();
    const { status, stdout } = await runCms(['doctor'], { env: home.env });
    assert.equal(status, 0);
    assert.match(stdout, /warning {2}accounts: no account yet\n +do: cms account add /);
  });

  it('looks only at the accounts that are named, and refuses one that it does not know', async () => {
    const { checks } = await doctor([JANE]);
    assert.ok(checks.some(({ id, subject }) => id === 'token' && subject === JANE));
    const unknown = await runCms(['doctor', 'bob@example.org'], { env: world.env });
    assert.equal(unknown.status, 67);
  });

  it('exchanges when told to', async () => {
    const before = world.provider.count('refresh_token');
    const { checks } = await doctor(['--refresh']);
    assert.equal(checks.find(({ id }) => id === 'token')?.summary, 'refreshed');
    assert.equal(world.provider.count('refresh_token'), before + 1);
  });

  it('tells people on stdout, in lines without colour, what to do and who has to', async () => {
    world.submission.refuse(
      '*',
      '535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant.',
    );
    undo.push(() => world.submission.refuse('*', undefined));
    const { status, stdout, stderr } = await runCms(['doctor'], { env: world.env });
    assert.deepEqual([status, stderr], [77, '']);
    assert.match(stdout, /^mail servers\n {2}failure {2}login\.smtp jane@example\.org: /m);
    assert.match(stdout, /^ +do: .*\n[^]*^ +who: administrator$/m);
    assert.match(stdout, /\n\n1 failure, 1 warning; first: login\.smtp jane@example\.org: [^\n]*\n$/);
    assert.doesNotMatch(stdout, /\x1b/);
  });

  describe('in a report for others', () => {
    const PRIVATE = 'w.hohenstein@sekret-werke.example';
    const TENANT = '6f1c2b3a-0d4e-4f5a-8b6c-7d8e9fa0b1c2';
    let home: World;
    before(async () => {
      home = await startWorld({ clientId: 'client-of-sekret-werke-4711' });
      Object.assign(home.env, { USER: 'whohenstein', LOGNAME: 'whohenstein' });
      const added = await home.add(PRIVATE, '--alias', 'vorstand@sekret-werke.example', '--alias', '@tochter.example');
      assert.equal(added.status, 0, added.stderr);
    });
    after(() => home[Symbol.asyncDispose]());

    it('nothing secret and nothing personal stands, and all that helps', async () => {
      const words = `535 5.7.139 ${PRIVATE} (whohenstein, w.hohenstein) at mx7.sekret-werke.example [198.51.100.77] tenant ${TENANT} has SMTP off, see ${home.home.home}/x; W%2Ehohenstein w.hohenstein%40sekret-werke.example`;
      home.submission.refuse('*', words);
      const token = (await home.cms('token', PRIVATE)).stdout.trim();
      home.imap.refuse(PRIVATE, `NO [AUTHENTICATIONFAILED] no ${token} for w.hohenstein@sekret-werke.example`);
      const secret = 'hook-argument-secret-0815';
      await home.home.writeConfig(
        'config.toml',
        `# ${secret}\n[hooks]\nrefreshed = ["${home.home.home}/whohenstein-hook", "${secret}"]\n[notify]\nmail_to = "chef@sekret-werke.example"\n[[socket]]\npath = "/run/whohenstein/x.sock"\naccounts = ["${PRIVATE}"]\n`,
      );
      const proxy = `http://user-0815:${secret}@proxy.sekret-werke.example:3128`;
      const env = { ...home.env, HTTPS_PROXY: proxy };
      const { status, stdout, stderr } = await runCms(['doctor', '--report'], { env });
      assert.deepEqual([status, stderr], [77, '']);
      const key = readFileSync(join(home.home.configDir, 'vault.key'), 'utf8').trim();
      const secrets = [...home.provider.issuedTokens, key, secret];
      assert.deepEqual(leaks([{ name: 'report', text: stdout }], secrets), []);
      const personal = [
        'hohenstein',
        'sekret',
        'werke',
        'vorstand',
        'tochter',
        'chef',
        '4711',
        '198.51.100.77',
        TENANT,
      ];
      const low = stdout.toLowerCase();
      for (const each of [...personal, home.home.path, 'user-0815'])
        assert.ok(!low.includes(each.toLowerCase()), `${each} in\n${stdout}`);
      assert.match(stdout, /login\.smtp user1@domain1 \| failure \| login: /);
      assert.match(stdout, /\| user1@domain1 \| oauth \| custom \| smtp, imap \| client1 \(none\)/);
      assert.match(stdout, /^\| node \| v\d+\./m);
      assert.match(stdout, /^Set: .*HTTPS_PROXY/m);
      assert.match(stdout, /^\[hooks\]\nrefreshed = \(set\)$/m);
      assert.match(stdout, /^path = "\/run\/user\d+\/x\.sock"$/m);
    });

    it('the name of the machine does not stand, not even as that of a folder', async function () {
      requiresRoot(this);
      const ids = [`--reuid=${process.getuid?.()}`, `--regid=${process.getgid?.()}`, '--clear-groups'];
      const env = Object.entries<string | undefined>({ ...home.env, CMS_RUNTIME_DIR: '' }).map(
        ([name, value]) => `${name}=${value ?? ''}`,
      );
      const [file = '', ...args] = asRoot([
        ...['unshare', '--uts', 'sh', '-ec', 'hostname "$1"; shift; exec "$@"', 'sh', 'sekret-rechner'],
        ...['setpriv', ...ids, '--', 'env', '-i', ...env, process.execPath, CMS_PROGRAM, 'doctor', '--report'],
      ]);
      const { stdout, stderr } = await run(file, args);
      assert.match(stdout, /\$STATE\/run-this-host\/cms\.sock/, stderr);
      assert.doesNotMatch(stdout, /rechner/i);
    });
  });
});
