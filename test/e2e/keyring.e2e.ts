import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { CMS_PROGRAM, runCms, spawnCms } from '../support/environment.ts';
import { type Keyring, startKeyring } from '../support/keyring.ts';
import { type Finished, run } from '../support/processes.ts';
import { runInTerminal } from '../support/pty.ts';
import { requires } from '../support/requirements.ts';
import { talk } from '../support/wire.ts';
import { startWorld, type World } from '../support/world.ts';

const JANE = 'jane@example.org';
const ITEM = { service: 'cms', username: 'vault-key' };
const TOKEN = /^[A-Za-z0-9._~+/-]+=*\n$/;

describe('the vault key in a real keyring', function () {
  this.timeout(40_000);
  requires(this, 'gnome-keyring');
  let world: World;
  let keyring: Keyring;
  let env: Record<string, string | undefined>;
  const cms = (...argv: string[]): Promise<Finished> => runCms(argv, { env });

  beforeEach(async () => {
    [world, keyring] = await Promise.all([startWorld(), startKeyring()]);
    const { DBUS_SESSION_BUS_ADDRESS, XDG_RUNTIME_DIR } = keyring.env;
    Object.assign(world.env, { DBUS_SESSION_BUS_ADDRESS, XDG_RUNTIME_DIR, CMS_STORE: undefined });
    env = world.env;
  });
  afterEach(async () => {
    await keyring.stop();
    await world[Symbol.asyncDispose]();
  });

  async function added(): Promise<void> {
    const { status, stderr } = await world.add(JANE, '--no-test');
    assert.equal(status, 0, stderr);
  }

  it('is used without being named, and is nowhere else', async () => {
    await added();
    const key = (await keyring.lookup(ITEM)) ?? '';
    assert.equal(Buffer.from(key, 'base64').length, 32);
    assert.ok(!existsSync(join(world.home.configDir, 'vault.key')));
    assert.ok(!readFileSync(join(world.home.configDir, 'accounts.json'), 'utf8').includes(key));
    assert.match((await cms('token', JANE)).stdout, TOKEN);
  });

  it('is missed at once when the keyring is locked, without a dialog, and is there again after cms unlock', async () => {
    await added();
    await keyring.lock();
    const began = Date.now();
    const locked = await cms('token', JANE);
    assert.equal(locked.status, 69);
    assert.equal(locked.stdout, '');
    assert.match(locked.stderr, /locked[^]*cms unlock/);
    assert.ok(Date.now() - began < 10_000);
    const shown = await cms('status');
    assert.equal(shown.status, 69);
    assert.match(shown.stdout, /jane@example\.org +custom +LOCKED[^]*LOCKED: the keyring is locked\n +cms unlock/);
    await keyring.unlock();
    assert.equal((await cms('unlock')).status, 0);
    assert.match((await cms('token', JANE)).stdout, TOKEN);
  });

  it('is the link that cms doctor names while it is locked, and no more than a warning beside a broker that has it', async () => {
    await added();
    const look = async () => {
      const { status, stdout } = await cms('doctor', '--json');
      const { checks } = JSON.parse(stdout) as { checks: { id: string; status: string; summary: string }[] };
      return {
        status,
        of: (state: string) => checks.filter((each) => each.status === state).map(({ id }) => id),
        checks,
      };
    };
    await keyring.lock();
    const alone = await look();
    assert.deepEqual([alone.status, alone.of('failure')], [69, ['key']]);
    assert.match(alone.checks.find(({ id }) => id === 'token')?.summary ?? '', /because of key/);
    await keyring.unlock();
    await using broker = spawnCms(['serve'], { env });
    await broker.waitFor(/listening/);
    assert.equal((await cms('token', JANE)).status, 0);
    await keyring.lock();
    const beside = await look();
    assert.deepEqual([beside.status, beside.of('failure'), beside.of('warning')], [0, [], ['key']]);
  });

  it('lets a broker that has it refresh on while the keyring is locked and then gone', async () => {
    await added();
    const broker = spawnCms(['serve'], { env });
    try {
      await broker.waitFor(/listening/);
      const socket = join(world.home.runtimeDir, 'cms.sock');
      const first = await talk(socket, `SMTP,token ${JANE}`);
      await keyring.lock();
      assert.match(await talk(socket, `REFRESH ${JANE}`), /expires_at/);
      await keyring.stopDaemon();
      assert.match(await talk(socket, `REFRESH ${JANE}`), /expires_at/);
      const now = await talk(socket, `SMTP,token ${JANE}`);
      assert.notEqual(now, first);
      assert.equal((await world.provider.introspect(now)).active, true);
    } finally {
      await broker.stop();
    }
  });

  it('is waited for by a broker that starts while the keyring is locked', async () => {
    await added();
    await keyring.lock();
    const broker = spawnCms(['serve'], { env });
    try {
      await broker.waitFor(/listening/);
      const socket = join(world.home.runtimeDir, 'cms.sock');
      assert.equal(await talk(socket, `SMTP ${JANE}`), '');
      assert.match(await talk(socket, `SMTP,ready ${JANE}`), /locked.*run cms unlock/);
      const status = await cms('status');
      assert.equal(status.status, 69);
      assert.match(status.stdout, /LOCKED for \d+ s: [^\n]*the keyring is locked[^]*cms unlock/);
      await keyring.unlock();
      assert.match((await cms('unlock')).stderr, /broker has been told/);
      assert.match(await talk(socket, `SMTP ${JANE}`), /^user=/);
    } finally {
      await broker.stop();
    }
  });

  it('survives a keyring that is stopped and started', async () => {
    await added();
    await keyring.stopDaemon();
    await keyring.startDaemon();
    assert.match((await cms('token', JANE)).stdout, TOKEN);
  });

  it('is not mistaken for another key', async () => {
    await added();
    const right = (await keyring.lookup(ITEM)) ?? '';
    await keyring.store(ITEM, randomBytes(32).toString('base64'));
    const { status, stderr } = await cms('token', JANE);
    assert.equal(status, 69);
    assert.match(stderr, /not the one that sealed/);
    await keyring.store(ITEM, right);
    assert.match((await cms('token', JANE)).stdout, TOKEN);
  });

  it('moves to a file and back without a new sign-in', async () => {
    await added();
    assert.equal((await cms('store', 'move', 'file')).status, 0);
    assert.equal(await keyring.lookup(ITEM), undefined);
    await keyring.lock();
    assert.match((await cms('token', JANE)).stdout, TOKEN);
    const refused = await cms('store', 'move', 'keyring');
    assert.equal(refused.status, 69);
    assert.match((await cms('token', JANE, '--force-refresh')).stdout, TOKEN, 'a move that failed changed nothing');
    await keyring.unlock();
    assert.equal((await cms('store', 'move', 'keyring')).status, 0);
    assert.ok(!existsSync(join(world.home.configDir, 'vault.key')));
    assert.match((await cms('token', JANE)).stdout, TOKEN);
  });

  it('stays where it was after Ctrl-C while a keyring that may have opened its dialog is waited for', async () => {
    await added();
    const file = join(world.home.configDir, 'accounts.json');
    for (const [argv, prepare] of [
      [['unlock'], []],
      [['store', 'move', 'file'], []],
      [
        ['store', 'move', 'keyring'],
        ['store', 'move', 'file'],
      ],
    ] as const) {
      if (prepare.length > 0) assert.equal((await cms(...prepare)).status, 0);
      const before = readFileSync(file, 'utf8');
      await keyring.pause();
      await using terminal = runInTerminal(process.execPath, [CMS_PROGRAM, ...argv], { env });
      const helper = await childOf(terminal.pid);
      terminal.press('ctrl-c');
      const { status, signal } = await terminal.wait();
      assert.ok(status !== 0 || signal !== undefined, terminal.screen);
      await gone(helper);
      keyring.resume();
      assert.equal(readFileSync(file, 'utf8'), before, argv.join(' '));
      assert.match((await cms('token', JANE, '--force-refresh')).stdout, TOKEN);
    }
  });
});

/** Of the process that talks to the keyring, once there is one. */
async function childOf(pid: number): Promise<number> {
  for (;;) {
    const { stdout } = await run('pgrep', ['-P', String(pid)]);
    if (stdout !== '') return Number(stdout.split('\n')[0]);
  }
}

async function gone(pid: number): Promise<void> {
  while ((await run('kill', ['-0', String(pid)])).status === 0);
}

describe('the vault key without a keyring', function () {
  this.timeout(30_000);
  let world: World;
  beforeEach(async () => {
    world = await startWorld();
    world.env.CMS_STORE = undefined;
  });
  afterEach(() => world[Symbol.asyncDispose]());

  it('is never put into a file unasked', async () => {
    const { status, stderr } = await world.add(JANE, '--no-test', '--yes');
    assert.equal(status, 69);
    assert.match(stderr, /--store file/);
    assert.equal(world.provider.count(), 0, 'no sign-in was begun');
    assert.deepEqual(JSON.parse((await world.cms('account', 'list', '--json')).stdout), []);
    assert.equal((await world.add(JANE, '--no-test', '--store', 'file')).status, 0);
    assert.match((await world.cms('token', JANE)).stdout, TOKEN);
  });

  it('stays in its file where no keyring can be reached, and nothing else is proposed', async () => {
    assert.equal((await world.add(JANE, '--no-test', '--store', 'file')).status, 0);
    const { status, stderr } = await world.cms('store', 'move', 'keyring');
    assert.equal(status, 69);
    assert.match(stderr, /nothing was moved\ncms: try: run it in your desktop session, [^\n]*\n$/);
    assert.match((await world.cms('token', JANE)).stdout, TOKEN);
  });

  it('in a keyring that cannot be reached from here is not given up for one in a file', async () => {
    assert.equal((await world.add(JANE, '--no-test', '--store', 'file')).status, 0);
    const file = join(world.home.configDir, 'accounts.json');
    writeFileSync(file, readFileSync(file, 'utf8').replace('"source": "file"', '"source": "keyring"'));
    const { status, stderr } = await world.cms('token', JANE);
    assert.equal(status, 69);
    assert.match(stderr, /try: run it in your desktop session[^]*try: cms store move file/);
    assert.doesNotMatch(stderr, /account add/);
  });

  it('that is another one names the sign-in that gives the lost one up', async () => {
    assert.equal((await world.add(JANE, '--no-test', '--store', 'file')).status, 0);
    writeFileSync(join(world.home.configDir, 'vault.key'), `${Buffer.alloc(32, 7).toString('base64')}\n`);
    const { stderr } = await world.cms('token', JANE);
    assert.match(stderr, /not the one that sealed[^]*try: put back[^]*try: cms account add ADDRESS --store file/);
  });

  it('comes from CMS_VAULT_KEY_FILE, which is made private', async () => {
    const file = join(world.home.path, 'key');
    world.env.CMS_VAULT_KEY_FILE = file;
    assert.equal((await world.add(JANE, '--no-test')).status, 0);
    assert.match((await world.cms('token', JANE)).stdout, TOKEN);
    chmodSync(file, 0o644);
    const open = await world.cms('token', JANE);
    assert.equal(open.status, 78);
    assert.match(open.stderr, /chmod/);
    rmSync(file);
    assert.equal((await world.cms('token', JANE)).status, 69);
  });

  it('comes from the service manager’s credential', async () => {
    const folder = join(world.home.path, 'credentials');
    mkdirSync(folder, { mode: 0o700 });
    writeFileSync(join(folder, 'cms-vault-key'), randomBytes(32), { mode: 0o400 });
    world.env.CREDENTIALS_DIRECTORY = folder;
    assert.equal((await world.add(JANE, '--no-test')).status, 0);
    assert.match((await world.cms('token', JANE)).stdout, TOKEN);
    world.env.CREDENTIALS_DIRECTORY = undefined;
    const { status, stderr } = await world.cms('token', JANE);
    assert.equal(status, 69);
    assert.match(stderr, /CREDENTIALS_DIRECTORY/);
  });
});
