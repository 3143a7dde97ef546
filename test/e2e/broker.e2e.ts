import assert from 'node:assert/strict';
import { chmodSync, lstatSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { runCms, spawnCms } from '../support/environment.ts';
import { run, type RunningProcess, start } from '../support/processes.ts';
import { faults } from '../support/provider.ts';
import { isPresent, requires } from '../support/requirements.ts';
import { talk } from '../support/wire.ts';
import { startWorld, type World } from '../support/world.ts';

const JANE = 'jane@example.org';
const XOAUTH2 = /^user=jane@example\.org\x01auth=Bearer [A-Za-z0-9._~+/-]+=*\x01\x01$/;

describe('cms serve', function () {
  this.timeout(30_000);
  let world: World;
  let broker: RunningProcess;
  let socket: string;

  async function serve(...argv: string[]): Promise<RunningProcess> {
    const process = spawnCms(['serve', '--log-level', 'debug', ...argv], { env: world.env });
    await Promise.race([
      process.waitFor(/listening socket=\S+cms\.sock/),
      process.exited.then(() => assert.fail(`the broker ended: ${process.stderr}`)),
    ]);
    return process;
  }

  before(async () => {
    world = await startWorld();
    socket = join(world.home.runtimeDir, 'cms.sock');
    assert.equal((await world.add(JANE, '--alias', 'sales@example.org', '--alias', '@jane.example')).status, 0);
  });
  beforeEach(async () => {
    broker = await serve();
  });
  afterEach(async () => {
    world.provider.setFault(undefined);
    if (broker.running) await broker.stop();
  });
  after(() => world[Symbol.asyncDispose]());

  it('answers exim and older clients byte for byte', async () => {
    for (const request of [`SMTP ${JANE}`, `SMTP ${JANE}\n`, `SMTP ${JANE}\r\n`, `SMTP,unknown ${JANE}`]) {
      assert.match(await talk(socket, request), XOAUTH2);
    }
    assert.match(await talk(socket, `SMTP ${JANE}\n`, { halfClose: false }), XOAUTH2, 'without half-close');
    assert.match(await talk(socket, Array.from(`IMAP ${JANE}`), { pauseMs: 1 }), XOAUTH2, 'byte by byte');
    assert.match(await talk(socket, `SMTP ${JANE}\nand more that nobody reads`), XOAUTH2);
    assert.match(await talk(socket, 'SMTP SALES@example.org'), XOAUTH2, 'an alias');
    assert.match(await talk(socket, 'SMTP anybody@jane.example'), XOAUTH2, 'an alias for a domain');
  });

  it('has a form for every client', async () => {
    const token = await talk(socket, `SMTP,token ${JANE}`);
    assert.match(token, /^[A-Za-z0-9._~+/-]+=*$/);
    assert.equal(await talk(socket, `SMTP ${JANE}`), `user=${JANE}\x01auth=Bearer ${token}\x01\x01`);
    const encoded = await talk(socket, `SMTP,xoauth2-b64 ${JANE}`);
    assert.equal(Buffer.from(encoded, 'base64').toString(), `user=${JANE}\x01auth=Bearer ${token}\x01\x01`);
    assert.equal(
      await talk(socket, `SMTP,oauthbearer,host=h,port=25 ${JANE}`),
      `n,a=${JANE},\x01host=h\x01port=25\x01auth=Bearer ${token}\x01\x01`,
    );
    const json = JSON.parse(await talk(socket, `SMTP,json ${JANE}`)) as Record<string, unknown>;
    assert.deepEqual(
      { ...json, expires_at: undefined },
      { access_token: token, token_type: 'Bearer', expires_at: undefined, user: JANE },
    );
    assert.equal(await talk(socket, `SMTP,ready ${JANE}`), '');
    assert.equal(await talk(socket, `SMTP,password ${JANE}`), '', 'no password for an OAuth account');
    assert.match(
      await talk(socket, 'SMTP,ready nobody@example.org'),
      /^account unknown: [\x20-\x7e]+; run cms account add nobody@example\.org$/,
    );
    assert.equal(
      (JSON.parse(await talk(socket, 'SMTP,json nobody@example.org')) as { error: string }).error,
      'account_unknown',
    );
  });

  it('answers anything else with nothing', async () => {
    for (const request of [
      '',
      '\n',
      'smtp jane@example.org',
      'SMTP nobody@example.org',
      `POP ${JANE}`,
      'x'.repeat(511),
      'x'.repeat(5000),
      `SMTP ${JANE}\0`,
    ]) {
      const answer = await talk(socket, request);
      assert.ok(answer === '' || answer === 'ECONNRESET' || answer === 'EPIPE', `${request.slice(0, 30)} → ${answer}`);
    }
  });

  it('takes a request of 512 bytes and none of 513', async () => {
    const request = (bytes: number): string =>
      `SMTP${`,${'o'.repeat(99)}`.repeat(4)},`.padEnd(bytes - JANE.length - 2, 'o') + ` ${JANE}\n`;
    assert.equal(request(512).length, 512);
    assert.match(await talk(socket, request(512)), XOAUTH2);
    assert.doesNotMatch(await talk(socket, request(513)), /Bearer/);
  });

  it('closes on a client that says nothing after 4 s, while others are served', async () => {
    const began = Date.now();
    const silent = Array.from({ length: 50 }, () => talk(socket, [], { halfClose: false }));
    assert.match(await talk(socket, `SMTP ${JANE}`), XOAUTH2);
    assert.ok(Date.now() - began < 3900);
    assert.deepEqual(new Set(await Promise.all(silent)), new Set(['']));
    assert.ok(Date.now() - began >= 3900 && Date.now() - began < 8000);
  });

  it('lets nobody but its user see its socket', () => {
    assert.equal(statSync(socket).mode & 0o777, 0o600);
    assert.equal(statSync(world.home.runtimeDir).mode & 0o777, 0o700);
  });

  it('refuses to be the second one, and does not take a live socket', async () => {
    const second = await world.cms('serve');
    assert.equal(second.status, 73);
    assert.match(second.stderr, /a broker runs already[^]*cms status/);
    const path = join(world.home.path, 'taken.sock');
    const other = createServer().listen(path);
    await broker.stop();
    const third = await world.cms('serve', '--socket', path);
    other.close();
    assert.equal(third.status, 73);
    assert.match(third.stderr, /another program listens/);
  });

  it('replaces the socket file of a broker that was killed', async () => {
    broker.kill('SIGKILL');
    await broker.exited;
    assert.ok(lstatSync(socket).isSocket());
    broker = await serve();
    assert.match(await talk(socket, `SMTP ${JANE}`), XOAUTH2);
  });

  it('puts its socket back when somebody deletes it, and keeps off one that somebody else put there', async () => {
    rmSync(socket);
    await broker.waitFor(/gone or not ours any more[^]*listening/);
    assert.match(await talk(socket, `SMTP ${JANE}`), XOAUTH2);
    rmSync(socket);
    const other = createServer((client) => client.on('error', () => undefined).end('other')).listen(socket);
    await broker.waitFor(/cannot be opened/);
    await broker.stop();
    assert.equal(await talk(socket, 'hello'), 'other', 'the socket of somebody else stays');
    other.close();
  });

  it('writes refusals that come in masses as a few lines and a count', async () => {
    await Promise.all(Array.from({ length: 200 }, () => talk(socket, 'SMTP nobody@example.org')));
    await broker.stop();
    const lines = JSON.parse((await world.cms('status', '--log', '--lines', '500', '--json')).stdout) as {
      account?: string;
      reason?: string;
    }[];
    const about = lines.filter(({ account }) => account === 'nobody@example.org');
    assert.ok(about.length > 0 && about.length <= 15, String(about.length));
    assert.ok(about.some(({ reason }) => /^\d+ more like this$/.test(reason ?? '')));
  });

  it('does not replace a file that is no socket', async () => {
    const path = join(world.home.path, 'precious');
    writeFileSync(path, 'data');
    await broker.stop();
    const { status, stderr } = await world.cms('serve', '--socket', path);
    assert.equal(status, 73);
    assert.match(stderr, /is no socket/);
    assert.equal(readFileSync(path, 'utf8'), 'data');
  });

  it('gives further sockets their own rules', async () => {
    const path = join(world.home.path, 'more.sock');
    await broker.stop();
    broker = await serve('--socket', path, '--mode', '0660', '--protocol', 'smtp', '--account', JANE);
    await broker.waitFor(/listening socket=\S+more\.sock/);
    assert.equal(statSync(path).mode & 0o777, 0o660);
    assert.match(await talk(path, `SMTP ${JANE}`), XOAUTH2);
    assert.equal(await talk(path, `IMAP ${JANE}`), '');
    assert.equal(await talk(path, 'STATUS'), '', 'administration is for the private socket');
    assert.equal(await talk(path, `REFRESH ${JANE}`), '');
  });

  it('refuses unusable socket flags with a sentence each', async () => {
    await broker.stop();
    const cases: [string[], number, RegExp][] = [
      [['--socket', `/tmp/${'x'.repeat(120)}`], 78, /too long/],
      [['--socket', 'relative.sock'], 78, /absolute path/],
      [['--socket', '/no/such/folder/x.sock'], 78, /no folder/],
      [['--socket', join(world.home.path, 'a.sock'), '--mode', '0666'], 64, /every user/],
      [['--socket', join(world.home.path, 'a.sock'), '--group', 'no-such-group'], 78, /no group no-such-group/],
      [['--socket', join(world.home.path, 'a.sock'), '--allow-user', 'no-such-user'], 78, /no user no-such-user/],
      [['--mode', '0600'], 64, /--socket/],
    ];
    for (const [argv, status, message] of cases) {
      const ended = await world.cms('serve', ...argv);
      assert.match(ended.stderr, message, argv.join(' '));
      assert.equal(ended.status, status, argv.join(' '));
      assert.equal(ended.stdout, '');
    }
  });

  it('does without a socket whose group is none, and names the file', async () => {
    const path = join(world.home.path, 'config.sock');
    await world.home.writeConfig('config.toml', `[[socket]]\npath = "${path}"\ngroup = "no-such-group"\n`);
    broker.kill('SIGHUP');
    await broker.waitFor(/there is no group no-such-group for the socket \S+config\.sock of \S+config\.toml/);
    assert.equal(await talk(socket, `SMTP,ready ${JANE}`), '');
    await world.home.writeConfig('config.toml', '');
  });

  it('reads config.toml, and reads it anew on SIGHUP and RELOAD', async () => {
    const path = join(world.home.path, 'config.sock');
    await world.home.writeConfig('config.toml', `[[socket]]\npath = "${path}"\nprotocols = ["imap"]\n`);
    broker.kill('SIGHUP');
    await broker.waitFor(/listening socket=\S+config\.sock/);
    assert.match(await talk(path, `IMAP ${JANE}`), XOAUTH2);
    assert.equal(await talk(path, `SMTP ${JANE}`), '');
    await world.home.writeConfig('config.toml', 'nonsense');
    assert.equal((JSON.parse(await talk(socket, 'RELOAD')) as { error: string }).error, 'config_invalid');
    assert.match(await talk(path, `IMAP ${JANE}`), XOAUTH2, 'a broken file changes nothing');
    await world.home.writeConfig('config.toml', '');
    assert.deepEqual(JSON.parse(await talk(socket, 'RELOAD')), { reloaded: true });
    assert.equal(await talk(path, `IMAP ${JANE}`), 'ENOENT');
  });

  it('goes on without a socket of config.toml that cannot be had, and opens it when it can', async () => {
    const folder = join(world.home.path, 'later');
    await world.home.writeConfig('config.toml', `[[socket]]\npath = "${folder}/late.sock"\n`);
    assert.deepEqual(JSON.parse(await talk(socket, 'RELOAD')), { reloaded: true });
    assert.match((await world.cms('status')).stdout, /late\.sock.*NOT THERE/);
    mkdirSync(folder, { mode: 0o700 });
    assert.deepEqual(JSON.parse(await talk(socket, 'RELOAD')), { reloaded: true });
    assert.match(await talk(join(folder, 'late.sock'), `SMTP ${JANE}`), XOAUTH2);
    await world.home.writeConfig('config.toml', '');
  });

  it('refreshes ahead of expiry, without being asked', async () => {
    world.provider.accessTokenTtl = 3;
    await talk(socket, `REFRESH ${JANE}`);
    world.provider.clearRequests();
    const first = await talk(socket, `SMTP,token ${JANE}`);
    await broker.waitFor(/refreshed account=jane/, { timeoutMs: 5000 });
    const deadline = Date.now() + 6000;
    while (world.provider.count('refresh_token') < 2 && Date.now() < deadline) await sleep(100);
    assert.ok(world.provider.count('refresh_token') >= 2, 'nobody asked, and it was refreshed');
    world.provider.accessTokenTtl = 3600;
    await talk(socket, `REFRESH ${JANE}`);
    assert.notEqual(await talk(socket, `SMTP,token ${JANE}`), first);
  });

  it('picks up accounts that are added, signed in anew and removed, by itself', async () => {
    const bob = 'bob@example.org';
    assert.equal(await talk(socket, `SMTP ${bob}`), '');
    assert.equal((await world.add(bob)).status, 0);
    assert.match(await talk(socket, `SMTP ${bob}`), /^user=bob@/);
    assert.equal((await world.add(bob)).status, 0, 'signed in anew');
    const token = await talk(socket, `SMTP,token ${bob}`);
    assert.equal((await world.provider.introspect(token)).active, true);
    assert.equal((await world.cms('account', 'remove', bob, '--yes')).status, 0);
    assert.equal(await talk(socket, `SMTP ${bob}`), '');
  });

  it('says so when a person is needed, and keeps serving others', async () => {
    const carol = 'carol@example.org';
    assert.equal((await world.add(carol)).status, 0);
    world.provider.revokeGrants(carol);
    const refreshed = JSON.parse(await talk(socket, `REFRESH ${carol}`)) as { error: string };
    assert.equal(refreshed.error, 'authorization_required');
    const status = await world.cms('status');
    assert.equal(status.status, 77);
    assert.match(
      status.stdout,
      /carol@example\.org +custom +AUTHORIZATION REQUIRED +[^]* now [^]*AUTHORIZATION REQUIRED for \d+ s: [^]*invalid_grant[^]*cms account add carol@example\.org/,
    );
    assert.match(await talk(socket, `SMTP ${JANE}`), XOAUTH2);
    assert.equal((await world.add(carol)).status, 0);
    assert.match(await talk(socket, `SMTP ${carol}`), /^user=carol@/);
    assert.equal((await world.cms('account', 'remove', carol, '--yes')).status, 0);
  });

  it('fetches one new token when a server refused the last one', async () => {
    const before = await talk(socket, `SMTP,token ${JANE}`);
    world.provider.clearRequests();
    assert.deepEqual(await Promise.all([1, 2, 3].map(() => talk(socket, `SMTP,refused ${JANE}`))), ['', '', '']);
    await broker.waitFor(/refreshed account=jane/);
    assert.notEqual(await talk(socket, `SMTP,token ${JANE}`), before);
    assert.equal(world.provider.count('refresh_token'), 1);
    assert.equal(await talk(socket, `SMTP,ready ${JANE}`), '');
    await sleep(2100);
    await talk(socket, `SMTP,refused ${JANE}`);
    assert.equal(world.provider.count('refresh_token'), 1, 'a refused fresh token is no reason for another one');
    assert.match(await talk(socket, `SMTP,ready ${JANE}`), /refuses even a fresh token/, 'the MTA is kept from trying');
    assert.match((await world.cms('status')).stdout, /REFUSED/);
    assert.equal((await world.add(JANE)).status, 0);
    assert.equal(await talk(socket, `SMTP,ready ${JANE}`), '', 'until somebody signed in anew');
  });

  it('serves the token it has while the provider is down, and gives up in time when it has none', async () => {
    const token = await talk(socket, `SMTP,token ${JANE}`);
    world.provider.setFault(faults.hang);
    assert.equal(await talk(socket, `SMTP,token ${JANE}`), token);
    world.provider.setFault(undefined);
    world.provider.accessTokenTtl = 1;
    await talk(socket, `REFRESH ${JANE}`);
    world.provider.setFault(faults.hang);
    await sleep(1100);
    const began = Date.now();
    const [plain, json] = await Promise.all([talk(socket, `SMTP ${JANE}`), talk(socket, `SMTP,json,wait=1 ${JANE}`)]);
    assert.equal(plain, '');
    assert.ok(Date.now() - began < 5000, 'exim waits 5 s');
    assert.equal((JSON.parse(json) as { error: string }).error, 'temporarily_unavailable');
    world.provider.setFault(undefined);
    world.provider.accessTokenTtl = 3600;
    broker.kill('SIGKILL');
    await broker.exited;
    assert.equal((await world.cms('token', JANE, '--force-refresh')).status, 0);
  });

  it('drains on SIGTERM: what was asked is answered', async () => {
    world.provider.setFault(faults.delay(700));
    const before = world.provider.count('refresh_token');
    const asked = talk(socket, `REFRESH ${JANE}`);
    while (world.provider.count('refresh_token') === before) await sleep(5);
    broker.kill('SIGTERM');
    assert.match(await asked, /"expires_at"/);
    const { status } = await broker.exited;
    assert.equal(status, 0);
    assert.equal(await talk(socket, `SMTP ${JANE}`), 'ENOENT', 'the socket is gone');
  });

  it('ends at once on SIGTERM while it reads its settings anew, and leaves no socket', async () => {
    const settings = join(world.home.configDir, 'config.toml');
    const late = join(world.home.runtimeDir, 'late.sock');
    for (let round = 0; round < 8; round++) {
      writeFileSync(settings, `[[socket]]\npath = "${late}"\n`);
      broker.kill('SIGHUP');
      await sleep(round);
      const began = Date.now();
      const { status, signal, stderr } = await broker.stop();
      assert.deepEqual([status, signal], [0, null], stderr);
      assert.ok(Date.now() - began < 4800, 'not as long as open connections are given');
      for (const path of [socket, late]) assert.equal(await talk(path, `SMTP ${JANE}`), 'ENOENT', path);
      rmSync(settings);
      broker = await serve();
    }
  });

  it('keeps serving when accounts.json becomes unreadable or newer than it', async () => {
    const file = join(world.home.configDir, 'accounts.json');
    const text = readFileSync(file, 'utf8');
    assert.match(await talk(socket, `SMTP ${JANE}`), XOAUTH2);
    for (const broken of ['{', JSON.stringify({ version: 99, accounts: {} })]) {
      writeFileSync(file, broken);
      await broker.waitFor(/those of before are served/);
      assert.match(await talk(socket, `SMTP ${JANE}`), XOAUTH2);
      const { status, stderr } = await world.cms('account', 'list');
      assert.equal(status, 78);
      assert.match(stderr, /accounts\.json/);
      assert.equal(readFileSync(file, 'utf8'), broken, 'nothing was written over it');
    }
    writeFileSync(file, text);
    chmodSync(file, 0o600);
  });

  it('is not fooled by a broker that is someone else’s', async function () {
    requires(this, 'sudo');
    await broker.stop();
    const folder = join(world.home.path, 'foreign');
    mkdirSync(folder);
    chmodSync(world.home.path, 0o755);
    chmodSync(folder, 0o777);
    const path = join(folder, 'cms.sock');
    const rogue = spawnForeign(path);
    try {
      const deadline = Date.now() + 5000;
      while (!exists(path) && Date.now() < deadline) await sleep(20);
      const { status, stderr, stdout } = await runCms(['token', JANE], { env: { ...world.env, CMS_SOCKET: path } });
      assert.equal(status, 69);
      assert.match(stderr, /belongs to uid/);
      assert.equal(stdout, '');
    } finally {
      await rogue.stop();
      rmSync(folder, { recursive: true, force: true });
      chmodSync(world.home.path, 0o700);
    }
  });

  it('lets another user in only where the socket names them', async function () {
    requires(this, 'sudo', 'socat');
    chmodSync(world.home.path, 0o755);
    const folder = join(world.home.path, 'shared');
    mkdirSync(folder, { recursive: true });
    chmodSync(folder, 0o755);
    const [named, other] = [join(folder, 'named.sock'), join(folder, 'other.sock')];
    await world.home.writeConfig(
      'config.toml',
      `[[socket]]\npath = "${named}"\nusers = ["games"]\nmode = "0660"\ngroup = "${isPresent('second-user') ? 'games' : String(process.getgid?.())}"\n` +
        `[[socket]]\npath = "${other}"\nusers = ["nobody"]\nmode = "0660"\n`,
    );
    assert.deepEqual(JSON.parse(await talk(socket, 'RELOAD')), { reloaded: true });
    await run('sudo', ['-n', 'chmod', '0666', named, other], {});
    const asGames = (path: string) =>
      run('sudo', ['-n', '-u', 'games', 'socat', '-t5', '-', `UNIX-CONNECT:${path}`], { input: `SMTP ${JANE}\n` });
    assert.match((await asGames(named)).stdout, XOAUTH2);
    assert.equal((await asGames(other)).stdout, '', 'the file mode let games in, its uid does not');
    await run('sudo', ['-n', 'chmod', '0666', socket], {});
    await run('sudo', ['-n', 'chmod', '0755', world.home.runtimeDir], {});
    assert.equal((await asGames(socket)).stdout, '', 'not even with the modes of the private socket thrown open');
    assert.match(broker.stderr, /not one of the users of this socket/);
    const trail = await world.cms('status', '--log', '--json');
    const lines = JSON.parse(trail.stdout) as Record<string, unknown>[];
    const served = lines.find(({ user, result }) => user === 'games' && result === 'served');
    assert.deepEqual(
      { ...served, time: 0, pid: 0 },
      {
        time: 0,
        pid: 0,
        result: 'served',
        socket: named,
        account: JANE,
        protocol: 'smtp',
        form: 'xoauth2',
        uid: 5,
        user: 'games',
        command: 'socat',
      },
    );
    assert.ok(
      lines.some(
        ({ user, result, socket: where }) => user === 'games' && result === 'access_denied' && where === other,
      ),
    );
    assert.equal(statSync(join(world.home.stateDir, 'audit.jsonl')).mode & 0o777, 0o600);
    chmodSync(world.home.path, 0o700);
    chmodSync(world.home.runtimeDir, 0o700);
    await world.home.writeConfig('config.toml', '');
  });
});

function exists(path: string): boolean {
  try {
    return lstatSync(path).isSocket();
  } catch {
    return false;
  }
}

/** Another user's program on a socket, which would like to be asked. */
function spawnForeign(path: string): RunningProcess {
  const answer = JSON.stringify({ access_token: 'evil', token_type: 'Bearer', expires_at: 9_999_999_999, user: JANE });
  return start(
    'sudo',
    ['-n', '-u', 'games', 'socat', `UNIX-LISTEN:${path},fork,mode=0666`, `SYSTEM:echo '${answer}'`],
    {},
  );
}
