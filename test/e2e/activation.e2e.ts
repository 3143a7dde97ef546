/** The broker under systemd's own tools: sockets handed over, and a service manager that is told. */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, lstatSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CMS_PROGRAM, spawnCms } from '../support/environment.ts';
import { type Environment, type RunningProcess, start } from '../support/processes.ts';
import { requires } from '../support/requirements.ts';
import { talk } from '../support/wire.ts';
import { startWorld, type World } from '../support/world.ts';

const JANE = 'jane@example.org';
const XOAUTH2 = /^user=jane@example\.org\x01auth=Bearer [A-Za-z0-9._~+/-]+=*\x01\x01$/;

describe('the broker as a service', function () {
  this.timeout(30_000);
  requires(this, 'systemd', 'socat');
  let world: World;
  let own: string;
  let exim: string;

  const eximMode = (): number => statSync(exim).mode & 0o777;

  /** Binds both sockets, with mode 0644, and at the first connection becomes the broker. */
  async function activate(env: Environment = {}): Promise<RunningProcess> {
    const passed = Object.entries({ ...world.env, ...env }).flatMap(([name, value]) =>
      value === undefined ? [] : ['-E', `${name}=${value}`],
    );
    const sockets = ['-l', own, '-l', exim, '--fdname=private:exim'];
    const broker = [process.execPath, CMS_PROGRAM, 'serve', '--log-level', 'debug'];
    const service = start('systemd-socket-activate', [...sockets, ...passed, ...broker]);
    await service.waitFor(/Listening on .*exim\.sock/);
    return service;
  }

  const writeSockets = (text: string): Promise<string> => world.home.writeConfig('config.toml', text);

  before(async () => {
    world = await startWorld();
    const added = await world.add(JANE);
    assert.equal(added.status, 0, added.stderr);
    mkdirSync(world.home.runtimeDir, { mode: 0o700 });
    own = join(world.home.runtimeDir, 'cms.sock');
    exim = join(world.home.runtimeDir, 'exim.sock');
  });
  beforeEach(() => writeSockets(`[[socket]]\npath = "${exim}"\nmode = "0660"\nprotocols = ["smtp"]\n`));
  afterEach(() => {
    for (const file of [own, exim]) rmSync(file, { force: true });
  });
  after(() => world[Symbol.asyncDispose]());

  it('answers on the sockets that were handed over, each by its own policy, and leaves their files', async () => {
    await using service = await activate();
    const inodes = [own, exim].map((file) => lstatSync(file).ino);
    assert.match(await talk(own, `IMAP ${JANE}`), XOAUTH2, 'the connection that woke it');
    assert.match(await talk(exim, `SMTP ${JANE}`), XOAUTH2);
    assert.equal(await talk(exim, `IMAP ${JANE}`), '', 'the policy of config.toml');
    assert.equal(await talk(exim, 'STATUS'), '');
    const { sockets } = JSON.parse(await talk(own, 'STATUS')) as { sockets: { path: string; mode: string }[] };
    assert.deepEqual(
      sockets.map(({ path, mode }) => [path, mode]),
      [own, exim].map((path) => [path, '0644']),
    );
    const { status } = await service.stop();
    assert.equal(status, 0, service.stderr);
    assert.deepEqual(
      [own, exim].map((file) => lstatSync(file).ino),
      inodes,
      'neither bound anew nor removed',
    );
  });

  it('keeps them when their policy changes', async () => {
    await using service = await activate();
    assert.equal(await talk(exim, `IMAP ${JANE}`), '');
    await writeSockets(`[[socket]]\npath = "${exim}"\nprotocols = ["imap"]\n`);
    service.kill('SIGHUP');
    await service.waitFor(/reloaded/);
    assert.match(await talk(exim, `IMAP ${JANE}`), XOAUTH2);
    assert.equal(eximMode(), 0o644);
  });

  it('binds a socket of its own where the file was taken away', async () => {
    await using service = await activate();
    assert.match(await talk(exim, `SMTP ${JANE}`), XOAUTH2);
    rmSync(exim);
    await service.waitFor(/gone or not ours/);
    await service.waitFor(/listening socket=\S+exim\.sock mode=660/);
    assert.match(await talk(exim, `SMTP ${JANE}`), XOAUTH2);
    await service.stop();
    assert.ok(!existsSync(exim), 'its own file is its to remove');
  });

  it('does not answer on a socket that everybody may write to', async () => {
    await using service = await activate();
    chmodSync(own, 0o666);
    assert.doesNotMatch(await talk(own, `SMTP ${JANE}`), /Bearer/);
    assert.equal((await service.exited).status, 78);
    assert.match(service.stderr, /made \S+cms\.sock with mode 666: open to others/);
    assert.match(service.stderr, /SocketMode=0600/);
  });

  it('says which socket nobody has configured', async () => {
    await writeSockets('');
    await using service = await activate();
    assert.match(await talk(own, `SMTP ${JANE}`), XOAUTH2);
    await service.waitFor(/that no \[\[socket\]\] of config\.toml names socket=\S+exim\.sock name=exim/);
  });

  it('ignores descriptors that are meant for another process', async () => {
    const env = { ...world.env, LISTEN_PID: '1', LISTEN_FDS: '2', LISTEN_FDNAMES: 'private:exim' };
    await using service = spawnCms(['serve'], { env });
    await service.waitFor(/listening socket=\S+exim\.sock/);
    assert.match(await talk(own, `SMTP ${JANE}`), XOAUTH2);
    assert.equal(eximMode(), 0o660);
    await service.stop();
    assert.ok(!existsSync(own) && !existsSync(exim));
  });

  it('hands neither the sockets nor their variables to its children', async () => {
    const tools = join(world.home.path, 'tools');
    const seen = join(world.home.path, 'seen');
    mkdirSync(tools, { recursive: true });
    const getent = join(tools, 'getent');
    writeFileSync(getent, `#!/bin/sh\n{ env; ls -l /proc/$$/fd; } >${seen}\nPATH=\${PATH#*:} exec getent "$@"\n`);
    chmodSync(getent, 0o755);
    await writeSockets(`[[socket]]\npath = "${exim}"\nusers = ["root"]\n`);
    const PATH = `${tools}:${process.env.PATH ?? ''}`;
    await using _service = await activate({ PATH, NOTIFY_SOCKET: '@cms-nobody', WATCHDOG_USEC: '60000000' });
    assert.match(await talk(own, `SMTP ${JANE}`), XOAUTH2);
    const text = readFileSync(seen, 'utf8');
    assert.match(text, /^HOME=/m, 'the child was seen');
    assert.doesNotMatch(text, /LISTEN_|NOTIFY_SOCKET|WATCHDOG_/);
    // Flag __SO_ACCEPTCON: an accepted connection that is still closing bears the same path.
    const listening = [...readFileSync('/proc/net/unix', 'utf8').matchAll(/ 00010000 .* (\d+) (\/\S+\.sock)$/gm)];
    const ours = listening
      .filter(([, , path]) => path === own || path === exim)
      .map(([, inode]) => `socket:[${inode}]`);
    assert.equal(ours.length, 2);
    for (const socket of ours) assert.ok(!text.includes(socket), text);
  });

  for (const [kind, address] of [
    ['a path', (folder: string): string => join(folder, 'notify')],
    ['an abstract name', (): string => `@cms-test-${process.pid}`],
  ] as const) {
    it(`tells the service manager of its life, through ${kind}`, async () => {
      const notify = address(world.home.path);
      const receiver = notify.startsWith('@') ? `ABSTRACT-RECV:${notify.slice(1)}` : `UNIX-RECV:${notify}`;
      await using manager = start('socat', ['-d', '-d', '-u', receiver, 'STDOUT']);
      await manager.waitFor(/starting data transfer loop/);
      const env = { ...world.env, NOTIFY_SOCKET: notify, WATCHDOG_USEC: '1000000' };
      await using service = spawnCms(['serve'], { env });
      await manager.waitFor(/READY=1\nSTATUS=1 account, 2 sockets/);
      const signs = (): number => manager.stdout.split('WATCHDOG=1').length - 1;
      await manager.waitFor(/(WATCHDOG=1[\s\S]*){4}/, { timeoutMs: 5000 });
      assert.ok(signs() < 20, 'not more often than needed');
      service.kill('SIGHUP');
      const [, microseconds] = await manager.waitFor(/RELOADING=1\nMONOTONIC_USEC=(\d+)[\s\S]*READY=1/);
      const apart = Number(process.hrtime.bigint() / 1000n) - Number(microseconds);
      assert.ok(apart >= 0 && apart < 10_000_000, String(apart));
      assert.equal((await service.stop()).status, 0);
      await manager.waitFor(/STOPPING=1/);
      assert.ok(manager.stdout.indexOf('STOPPING=1') > manager.stdout.lastIndexOf('WATCHDOG=1'), 'the last word');
      assert.doesNotMatch(manager.stdout, /jane/);
    });
  }

  it('waits while another broker runs, without being started again for each client, and then takes over', async () => {
    const elsewhere = join(world.home.path, 'elsewhere');
    await writeSockets('');
    await using other = spawnCms(['serve'], { env: { ...world.env, CMS_RUNTIME_DIR: elsewhere } });
    await other.waitFor(/listening socket=/);
    await writeSockets(`[[socket]]\npath = "${exim}"\nmode = "0660"\n`);
    await using service = await activate();
    for (const path of [own, exim, own]) assert.equal(await talk(path, `SMTP ${JANE}`), '');
    assert.equal(service.stderr.split('this one waits for its end').length - 1, 1, service.stderr);
    assert.match(await talk(join(elsewhere, 'cms.sock'), `SMTP ${JANE}`), XOAUTH2);
    await other.stop();
    await service.waitFor(/listening socket=\S+exim\.sock/);
    assert.match(await talk(own, `SMTP ${JANE}`), XOAUTH2);
    assert.equal((await service.stop()).status, 0);
  });

  it('ends when it is told to, also while it waits', async () => {
    await writeSockets('');
    const env = { ...world.env, CMS_RUNTIME_DIR: join(world.home.path, 'elsewhere') };
    await using other = spawnCms(['serve'], { env });
    await other.waitFor(/listening socket=/);
    await using service = await activate();
    assert.equal(await talk(own, `SMTP ${JANE}`), '');
    await service.waitFor(/waits for its end/);
    assert.equal((await service.stop()).status, 0);
    assert.ok(other.running);
  });

  it('keeps off a socket that waits for its first client, and does not wake it', async () => {
    await using service = await activate();
    await using second = spawnCms(['serve'], { env: world.env });
    assert.equal((await second.exited).status, 73);
    assert.match(second.stderr, /another program listens on \S+cms\.sock/);
    assert.doesNotMatch(service.stderr, /Communication attempt|Execing|listening socket/);
  });

  it('is silent towards the watchdog while its event loop hangs', async () => {
    await using manager = start('socat', [
      ...['-d', '-d', '-u', `UNIX-RECV:${join(world.home.path, 'watch')}`, 'STDOUT'],
    ]);
    await manager.waitFor(/starting data transfer loop/);
    const env = { ...world.env, NOTIFY_SOCKET: join(world.home.path, 'watch'), WATCHDOG_USEC: '400000' };
    await using service = spawnCms(['serve'], { env });
    await manager.waitFor(/(WATCHDOG=1[\s\S]*){2}/);
    service.kill('SIGSTOP');
    await new Promise((resolve) => setTimeout(resolve, 300));
    const before = manager.stdout.length;
    await new Promise((resolve) => setTimeout(resolve, 900));
    assert.equal(manager.stdout.length, before, 'nobody else says that it lives');
    service.kill('SIGCONT');
  });
});
