import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, symlinkSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { tryLock } from '../../../../src/lib/os/libc.ts';
import {
  helperEnvironment,
  type Keyring,
  KEYRING_DEADLINE_MS,
  openKeyring,
} from '../../../../src/lib/vault/keyring/keyring.ts';
import { KeyringError, type KeyringErrorKind } from '../../../../src/lib/vault/keyring/keyring-errors.ts';
import { startKeyring } from '../../../support/keyring.ts';
import { requires } from '../../../support/requirements.ts';
import { watchDialogs } from './dialogs.ts';

const SECRET = 'c2VjcmV0IG9mIHRoZSB0ZXN0';
const ITEM = { service: 'cms', username: 'vault-key' };

async function kindOf(work: Promise<unknown>): Promise<KeyringErrorKind | 'no error'> {
  try {
    await work;
    return 'no error';
  } catch (error) {
    assert.ok(error instanceof KeyringError, String(error));
    return error.kind;
  }
}

async function kinds(keyring: Keyring): Promise<Record<string, string>> {
  return {
    read: await kindOf(keyring.read()),
    write: await kindOf(keyring.write(SECRET)),
    remove: await kindOf(keyring.remove()),
    probe: await kindOf(keyring.probe()),
  };
}

function all(kind: string): Record<string, string> {
  return { read: kind, write: kind, remove: kind, probe: kind };
}

/** Command line and environment of each process whose command line names the helper and whose parent we are. */
function helpers(parent = process.pid): { pid: number; text: string }[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const [command, environment, stat] = ['cmdline', 'environ', 'stat'].map((file) =>
          readFileSync(join('/proc', name, file), 'utf8'),
        ) as [string, string, string];
        const ppid = Number(stat.slice(stat.lastIndexOf(')') + 4).split(' ')[0]);
        return command.includes('keyring-helper') && ppid === parent
          ? [{ pid: +name, text: command + environment }]
          : [];
      } catch {
        return [];
      }
    });
}

async function until<T>(condition: () => T | Promise<T>, limit = 8_000): Promise<NonNullable<T>> {
  const deadline = performance.now() + limit;
  for (;;) {
    const value = await condition();
    if (value) return value;
    assert.ok(performance.now() < deadline, 'waited too long');
    await sleep(10);
  }
}

describe('the keyring', function () {
  this.timeout(40_000);
  requires(this, 'gnome-keyring');

  it('keeps, gives and deletes one item that other programs find under service cms, user vault-key', async () => {
    await using session = await startKeyring();
    const keyring = openKeyring(session.env);
    assert.equal(await keyring.read(), undefined);
    assert.equal(await keyring.remove(), false);
    await keyring.write(SECRET);
    assert.equal(await keyring.read(), SECRET);
    assert.equal(await keyring.read({ interactive: true }), SECRET);
    assert.equal(await session.lookup(ITEM), SECRET);
    assert.equal(await keyring.remove(), true);
    assert.equal(await session.lookup(ITEM), undefined);
  });

  it('is probed with an item that is gone afterwards and leaves the key alone', async () => {
    await using session = await startKeyring();
    const keyring = openKeyring(session.env);
    await keyring.write(SECRET);
    await keyring.probe();
    assert.equal(await session.lookup({ service: 'cms', username: 'probe' }), undefined);
    assert.equal(await keyring.read(), SECRET);
  });

  it('says locked for every operation and opens no dialog, with an item and without, and works after an unlock', async () => {
    await using session = await startKeyring();
    const dialogs = await watchDialogs(session);
    const keyring = openKeyring(session.env);
    await session.lock();
    assert.deepEqual(await kinds(keyring), all('locked'));
    await session.unlock();
    await keyring.write(SECRET);
    await session.lock();
    assert.deepEqual(await kinds(keyring), all('locked'));
    assert.equal(dialogs(), 0);
    await session.unlock();
    assert.equal(await keyring.read(), SECRET);
  });

  it('waits for a dialog only when it may, and no longer than its deadline', async () => {
    await using session = await startKeyring();
    const dialogs = await watchDialogs(session);
    const keyring = openKeyring(session.env);
    await keyring.write(SECRET);
    await session.lock();
    const start = performance.now();
    assert.equal(await kindOf(keyring.read({ interactive: true, deadlineMs: 1_500 })), 'timeout');
    assert.ok(performance.now() - start < 4_000);
    assert.equal(dialogs(), 1);
    await until(() => helpers().length === 0);
  });

  it('says that a dialog was dismissed when it could not be shown', async () => {
    await using session = await startKeyring();
    await openKeyring(session.env).write(SECRET);
    await session.lock();
    assert.equal(await kindOf(openKeyring(session.env).read({ interactive: true })), 'dismissed');
  });

  it('calls a keyring without a default collection unavailable, not empty', async () => {
    await using session = await startKeyring();
    await session.stopDaemon();
    rmSync(join(session.env.XDG_DATA_HOME!, 'keyrings'), { recursive: true });
    const dialogs = await watchDialogs(session);
    assert.deepEqual(await kinds(openKeyring(session.env)), all('unavailable'));
    assert.equal(dialogs(), 0);
  });

  it('calls a missing bus unavailable and never falls back to the keyring of the kernel', async () => {
    const env = { PATH: process.env.PATH, DBUS_SESSION_BUS_ADDRESS: 'unix:path=/nonexistent/bus' };
    assert.deepEqual(await kinds(openKeyring(env)), all('unavailable'));
    assert.equal(await kindOf(openKeyring(env).write(SECRET, { interactive: true })), 'unavailable');
    assert.doesNotMatch(readFileSync('/proc/keys', 'utf8'), /keyring-rs|vault-key/);
  });

  it('comes back after its daemon was ended and started again', async () => {
    await using session = await startKeyring();
    const dialogs = await watchDialogs(session);
    const keyring = openKeyring(session.env);
    await keyring.write(SECRET);
    const pid = await session.daemonPid();
    assert.ok(pid);
    process.kill(pid, 'SIGKILL');
    await until(async () => (await session.daemonPid()) !== pid);
    assert.equal(await kindOf(keyring.read()), 'locked');
    await session.startDaemon();
    assert.equal(await keyring.read(), SECRET);
    assert.equal(dialogs(), 0);
  });

  it('gives up within two seconds on a daemon that is stopped, and works once it goes on', async () => {
    await using session = await startKeyring();
    const keyring = openKeyring(session.env);
    await keyring.write(SECRET);
    await session.pause();
    const start = performance.now();
    assert.equal(await kindOf(keyring.read()), 'timeout');
    const took = performance.now() - start;
    // And what it takes to load the helper from its sources.
    assert.ok(took >= KEYRING_DEADLINE_MS - 50 && took < 4_000, `${took} ms`);
    session.resume();
    assert.equal(await keyring.read(), SECRET);
  });

  it('shows no secret in the arguments or the environment of its helper', async () => {
    await using session = await startKeyring();
    await session.pause();
    const env = { ...session.env, CMS_OTHER: SECRET };
    const writing = kindOf(openKeyring(env).write(SECRET, { deadlineMs: 1_000 }));
    const helper = await until(() => helpers()[0]);
    assert.ok(!helper.text.includes(SECRET));
    assert.equal(await writing, 'timeout');
  });

  it('leaves no helper behind when the asking process is killed, and the helper shares its lock until then', async () => {
    await using session = await startKeyring();
    const dialogs = await watchDialogs(session);
    await openKeyring(session.env).write(SECRET);
    await session.lock();
    const lockPath = join(session.env.HOME!, 'lock');
    const script = `
      import { open } from 'node:fs/promises';
      import { tryLock } from '${new URL('../../../../src/lib/os/libc.ts', import.meta.url).href}';
      import { openKeyring } from '${new URL('../../../../src/lib/vault/keyring/keyring.ts', import.meta.url).href}';
      const file = await open(${JSON.stringify(lockPath)}, 'w');
      tryLock(file.fd);
      await openKeyring(process.env).read({ interactive: true, lockFd: file.fd });`;
    const asking = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
      env: session.env,
      stdio: 'ignore',
    });
    await until(() => dialogs() > 0);
    const [helper] = helpers(asking.pid);
    assert.ok(helper, 'the helper runs');
    assert.equal(readlinkSync(`/proc/${helper.pid}/fd/3`), lockPath);
    const gone = once(asking, 'exit');
    asking.kill('SIGKILL');
    await gone;
    const file = await open(lockPath, 'r');
    await until(() => tryLock(file.fd), 3_000);
    await file.close();
  });

  it('gives the helper nothing to show a dialog with, unless it may show one', () => {
    const env = { PATH: '/bin', DISPLAY: ':0', WAYLAND_DISPLAY: 'w', CMS_VAULT_KEY_FILE: '/x', HOME: '/h' };
    const without = helperEnvironment({ ...env, DBUS_SESSION_BUS_ADDRESS: 'unix:path=/b' }, false);
    assert.deepEqual(without, { PATH: '/bin', HOME: '/h', DBUS_SESSION_BUS_ADDRESS: 'unix:path=/b' });
    assert.equal(helperEnvironment(env, true).DISPLAY, ':0');
  });

  it('finds the bus of the user when no address is set, as under cron', async () => {
    await using session = await startKeyring();
    const runtime = mkdtempSync(join(session.env.HOME!, 'runtime-'));
    symlinkSync(/path=([^,]*)/.exec(session.env.DBUS_SESSION_BUS_ADDRESS!)![1]!, join(runtime, 'bus'));
    const env = { ...session.env, DBUS_SESSION_BUS_ADDRESS: undefined, XDG_RUNTIME_DIR: runtime };
    await openKeyring(env).write(SECRET);
    assert.equal(await session.lookup(ITEM), SECRET);
  });
});
