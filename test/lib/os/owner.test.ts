import assert from 'node:assert/strict';
import type { Run } from '../../../src/lib/os/process.ts';
import { ownerOf } from '../../../src/lib/os/owner.ts';

const passwd: Run = async (argv) => {
  const known = argv.join(' ') === 'getent passwd 1000';
  return { status: known ? 0 : 2, stdout: known ? 'jane:x:1000:1000:Jane:/home/jane:/bin/sh\n' : '', stderr: '' };
};

describe('whose accounts are meant', () => {
  it("are the caller's own", async () => {
    const env = { HOME: '/home/jane', SUDO_UID: '1000' };
    assert.deepEqual(await ownerOf({ uid: 1000, name: 'jane', env }, passwd), { name: 'jane', env });
    const root = { HOME: '/root' };
    assert.deepEqual(await ownerOf({ uid: 0, name: 'root', env: root }, passwd), { name: 'root', env: root });
  });

  it("are under sudo those of the user who called it, never root's", async () => {
    const env = { HOME: '/root', XDG_CONFIG_HOME: '/elsewhere/config', SUDO_UID: '1000' };
    const owner = await ownerOf({ uid: 0, name: 'root', env }, passwd);
    assert.equal(owner.name, 'jane');
    assert.equal(owner.env.HOME, '/home/jane');
    assert.equal(owner.env.XDG_CONFIG_HOME, undefined);
  });

  it("are root's when root calls sudo", async () => {
    const env = { HOME: '/root', SUDO_UID: '0' };
    assert.equal((await ownerOf({ uid: 0, name: 'root', env }, passwd)).name, 'root');
  });

  it('are refused for a user that does not exist', async () => {
    await assert.rejects(ownerOf({ uid: 0, name: 'root', env: { SUDO_UID: '4242' } }, passwd), {
      code: 'config_invalid',
    });
  });
});
