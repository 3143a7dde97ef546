import assert from 'node:assert/strict';
import { startKeyring, withKeyring } from './keyring.ts';
import type { Keyring } from './keyring.ts';
import { requires } from './requirements.ts';

const ITEM = { service: 'cms-support-test', user: 'somebody' };

describe('the keyring', function () {
  requires(this, 'gnome-keyring');
  let keyring: Keyring;

  before(async () => {
    keyring = await startKeyring();
    await keyring.store(ITEM, 'a secret');
  });
  after(() => keyring.stop());

  it('keeps a secret for whoever is on its bus, and not on the bus of the caller', async () => {
    assert.equal(await keyring.lookup(ITEM), 'a secret');
    assert.notEqual(keyring.env.DBUS_SESSION_BUS_ADDRESS, process.env.DBUS_SESSION_BUS_ADDRESS);
  });

  it('gives nothing while it is locked and everything once it is unlocked, by the same daemon', async () => {
    const pid = await keyring.daemonPid();
    await keyring.lock();
    assert.equal(await keyring.lookup(ITEM), undefined);
    await keyring.unlock();
    assert.equal(await keyring.lookup(ITEM), 'a secret');
    assert.equal(await keyring.daemonPid(), pid);
  });

  it('comes back locked when its daemon has ended, and open when it is started again', async () => {
    await keyring.stopDaemon();
    assert.equal(await keyring.daemonPid(), undefined);
    assert.equal(await keyring.isLocked(), true);
    await keyring.startDaemon();
    assert.equal(await keyring.lookup(ITEM), 'a secret');
  });

  it('answers nothing while it is frozen', async () => {
    await keyring.pause();
    assert.equal(await keyring.isLocked(), undefined);
    keyring.resume();
    assert.equal(await keyring.isLocked(), false);
  });

  it('leaves no process behind', async () => {
    const gone = await withKeyring(async (_env, other) => {
      await other.lock();
      // Starts the prompter, which finds no display.
      await other.lookup(ITEM);
      assert.ok((await other.processes()).length >= 2);
      return other;
    });
    assert.deepEqual(await gone.processes(), []);
    assert.equal(await keyring.lookup(ITEM), 'a secret');
  });
});
