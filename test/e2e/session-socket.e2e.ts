/** Programs that are started outside of a session (cron, timers, `sudo -u`) and the broker of the session. */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, renameSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { CMS_PROGRAM, runCms, spawnCms } from '../support/environment.ts';
import { type Environment, run, type RunningProcess } from '../support/processes.ts';
import { asRoot, requires, requiresRoot } from '../support/requirements.ts';
import { startWorld, type World } from '../support/world.ts';

const JANE = 'jane@example.org';
const UID = process.getuid?.() ?? -1;
const SESSION = `/run/user/${UID}`;

describe('the broker of the session', function () {
  this.timeout(60_000);
  requiresRoot(this);
  requires(this, 'nc');
  let world: World | undefined;
  let broker: RunningProcess | undefined;
  let outside: Environment;
  let made = false;

  before(async function () {
    // A broker that is at work on this machine is left alone.
    if (existsSync(join(SESSION, 'cms'))) this.skip();
    if (!existsSync(SESSION)) {
      const [install = '', ...argv] = asRoot(['install', '-d', '-m', '0700', '-o', String(UID), SESSION]);
      await run('sh', ['-c', '"$@"', 'sh', ...asRoot(['mkdir', '-p', dirname(SESSION)])]);
      assert.equal((await run(install, argv)).status, 0);
      made = true;
    }
    world = await startWorld();
    assert.equal((await world.add(JANE)).status, 0);
    outside = { ...world.env, CMS_RUNTIME_DIR: undefined, DBUS_SESSION_BUS_ADDRESS: undefined };
    broker = spawnCms(['serve'], { env: { ...outside, XDG_RUNTIME_DIR: SESSION } });
    await broker.waitFor(new RegExp(`listening socket=${SESSION}/cms/cms.sock`));
    assert.equal((await world.cms('token', JANE)).status, 0);
    assert.equal((await runCms(['token', JANE], { env: { ...outside, XDG_RUNTIME_DIR: SESSION } })).status, 0);
    // From here on only the broker has the key.
    renameSync(join(world.home.configDir, 'vault.key'), join(world.home.path, 'vault.key'));
  });
  after(async () => {
    await broker?.stop();
    await world?.[Symbol.asyncDispose]();
    const [remove = '', ...argv] = asRoot(['rm', '-rf', made ? SESSION : join(SESSION, 'cms')]);
    if (broker !== undefined) await run(remove, argv);
  });

  const cms = (...argv: string[]) => runCms(argv, { env: outside });

  it('answers cms token, with and without an exchange', async () => {
    for (const more of [[], ['--force-refresh'], ['-o', 'xoauth2']]) {
      const { status, stdout, stderr } = await cms('token', JANE, ...more);
      assert.deepEqual([status, stderr], [0, '']);
      assert.match(stdout, /\S{20}/);
    }
  });

  it('answers cms-token, without cms', async () => {
    const script = join(dirname(CMS_PROGRAM), 'cms-token');
    const { status, stdout, stderr } = await run('sh', [script, JANE], {
      env: { ...outside, PATH: '/usr/bin:/bin', NODE_OPTIONS: '--require=/nonexistent' },
    });
    assert.deepEqual([status, stderr], [0, '']);
    assert.equal(stdout, (await cms('token', JANE)).stdout);
  });

  it('is what status and doctor look at', async () => {
    const status = await cms('status', '--json');
    assert.equal(status.status, 0, status.stderr);
    assert.equal((JSON.parse(status.stdout) as { broker: { pid: number } }).broker.pid, broker?.pid);
    const { stdout } = await cms('doctor', '--json');
    const { checks } = JSON.parse(stdout) as { checks: Record<'id' | 'subject' | 'status' | 'summary', string>[] };
    for (const id of ['broker', 'socket', 'token'])
      assert.equal(checks.find((check) => check.id === id)?.status, 'ok', JSON.stringify(checks, null, 1));
    assert.equal(checks.find(({ id }) => id === 'socket')?.subject, `${SESSION}/cms/cms.sock`);
  });

  it('is not looked for where the environment names a place, nor in a folder that others may enter', async () => {
    for (const env of [{ CMS_RUNTIME_DIR: '/nonexistent' }, { XDG_RUNTIME_DIR: '/nonexistent' }]) {
      const { status } = await runCms(['status'], { env: { ...outside, ...env } });
      assert.equal(status, 69);
    }
    chmodSync(SESSION, 0o711);
    try {
      assert.equal((await cms('status')).status, 69);
    } finally {
      chmodSync(SESSION, 0o700);
    }
    assert.notEqual((await cms('status')).status, 69);
  });

  it('gives way to one at the place that the environment leads to', async () => {
    const folder = join(outside.CMS_STATE_DIR ?? '', `run-${(await run('uname', ['-n'])).stdout.trim()}`);
    await run('mkdir', ['-m', '0700', folder]);
    const server = createServer((socket) => void socket.end('{"broker":{"pid":1},"accounts":[],"sockets":[]}'));
    await new Promise<void>((resolve) => server.listen(join(folder, 'cms.sock'), resolve));
    const { stdout } = await cms('status', '--json');
    server.close();
    assert.equal((JSON.parse(stdout) as { broker: { pid: number } }).broker.pid, 1);
  });

  it('is told when an account goes', async () => {
    const { status, stderr } = await cms('account', 'remove', JANE, '--keep-grant', '--yes');
    assert.equal(status, 0, stderr);
    await broker?.waitFor(/ reloaded /);
  });
});
