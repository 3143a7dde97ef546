import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ErrorCode } from '../../../src/lib/core/errors.ts';
import { type Environment, type Paths, resolvePaths } from '../../../src/lib/os/paths.ts';
import { createVaultKey, keyLockFile, openVaultKey } from '../../../src/lib/vault/key-source.ts';
import { ensurePrivateFolder } from '../../../src/lib/os/files/files.ts';
import { openKeyring } from '../../../src/lib/vault/keyring/keyring.ts';
import { acquireLock } from '../../../src/lib/os/files/lock.ts';
import { formatKeyText, keyId, type VaultKeyRecord } from '../../../src/lib/vault/vault-key.ts';
import { type Keyring, startKeyring } from '../../support/keyring.ts';
import { run } from '../../support/processes.ts';
import { requires } from '../../support/requirements.ts';

const NO_BUS = { DBUS_SESSION_BUS_ADDRESS: 'unix:path=/nonexistent/bus' };

describe('the source of the vault key', function () {
  this.timeout(40_000);
  const key = randomBytes(32);
  let folder: string;
  let paths: Paths;
  let base: Environment;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'cms-key-source-'));
    base = {
      PATH: process.env.PATH,
      HOME: folder,
      CMS_CONFIG_DIR: join(folder, 'c'),
      CMS_STATE_DIR: join(folder, 's'),
    };
    paths = resolvePaths(base);
    mkdirSync(paths.configDir, { mode: 0o700 });
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  function keyFileAt(path: string, content: Buffer = key): string {
    mkdirSync(join(path, '..'), { recursive: true, mode: 0o700 });
    writeFileSync(path, formatKeyText(content), { mode: 0o600 });
    return path;
  }

  async function sourceOf(env: Environment, source: VaultKeyRecord['source']): Promise<string> {
    const found = await openVaultKey({ paths, env: { ...base, ...env }, record: { id: keyId(key), source } });
    assert.deepEqual(found.key.reveal(), key);
    return found.source;
  }

  async function fails(env: Environment, source: VaultKeyRecord['source'], code: ErrorCode, message: RegExp) {
    const work = openVaultKey({ paths, env: { ...base, ...env }, record: { id: keyId(key), source } });
    await assert.rejects(work, { name: 'CmsError', code, message });
  }

  describe('without a keyring', () => {
    it('is the credential, then the named file, then what the record says', async () => {
      keyFileAt(join(folder, 'cred', 'cms-vault-key'));
      const credential = { CREDENTIALS_DIRECTORY: join(folder, 'cred') };
      const named = { CMS_VAULT_KEY_FILE: keyFileAt(join(folder, 'named')) };
      keyFileAt(paths.keyFile);
      assert.equal(await sourceOf({ ...credential, ...named }, 'file'), 'credential');
      assert.equal(await sourceOf({ CREDENTIALS_DIRECTORY: folder, ...named }, 'file'), 'key-file');
      assert.equal(await sourceOf({ CREDENTIALS_DIRECTORY: folder }, 'file'), 'file');
    });

    it('that is missing is told apart by where it should have been', async () => {
      await fails({}, 'file', 'store_unavailable', /no key file .*vault\.key/);
      await fails({}, 'credential', 'store_unavailable', /credential cms-vault-key/);
      await fails({}, 'key-file', 'store_unavailable', /CMS_VAULT_KEY_FILE named, which is not set/);
      await fails({ CMS_VAULT_KEY_FILE: join(folder, 'x') }, 'file', 'store_unavailable', /no file .*\/x/);
      await fails(NO_BUS, 'keyring', 'store_unavailable', /cannot be reached/);
    });

    it('that is another key is named by its id and the one expected', async () => {
      const other = randomBytes(32);
      keyFileAt(paths.keyFile, other);
      await fails({}, 'file', 'store_unavailable', new RegExp(`id ${keyId(other)}, expected ${keyId(key)}`));
    });

    it('is made in the file that is named, and only once', async () => {
      const env = { ...base, CMS_VAULT_KEY_FILE: join(folder, 'named') };
      const made = await createVaultKey({ paths, env });
      assert.equal(made.source, 'key-file');
      assert.equal(statSync(join(folder, 'named')).mode & 0o777, 0o600);
      assert.deepEqual(await createVaultKey({ paths, env }), made);
    });

    it('is never silently a file: nothing is written until somebody says so', async () => {
      const env = { ...base, ...NO_BUS };
      await assert.rejects(createVaultKey({ paths, env }), (error: Error & { code: string; suggestions: string[] }) => {
        assert.equal(error.code, 'store_unavailable');
        return error.suggestions.some((line) => line.includes('--store file'));
      });
      assert.ok(!existsSync(paths.keyFile));
      await assert.rejects(createVaultKey({ paths, env, store: 'keyring' }), { code: 'store_unavailable' });
      await assert.rejects(createVaultKey({ paths, env: { ...env, CMS_STORE: 'pot' } }), { code: 'config_invalid' });
      assert.ok(!existsSync(paths.keyFile));
      const asked = await createVaultKey({ paths, env, ask: () => Promise.resolve('file') });
      assert.equal(asked.source, 'file');
      assert.deepEqual(await createVaultKey({ paths, env: { ...env, CMS_STORE: 'file' } }), asked);
      assert.deepEqual(await createVaultKey({ paths, env }), asked, 'chosen before');
    });
  });

  describe('in a keyring', function () {
    requires(this, 'gnome-keyring');
    let session: Keyring;
    before(async () => (session = await startKeyring()));
    after(() => session.stop());
    beforeEach(async () => {
      await openKeyring(session.env).remove();
    });

    it('is made where the keyring answers a probe, and used again', async () => {
      const env = { ...base, ...session.env };
      const made = await createVaultKey({ paths, env });
      assert.equal(made.source, 'keyring');
      assert.deepEqual(await createVaultKey({ paths, env, store: 'keyring' }), made);
      assert.deepEqual(await openVaultKey({ paths, env, record: made }), made);
      assert.ok(!existsSync(paths.keyFile));
    });

    it('that has no such item is not taken for a keyring that cannot be reached', async () => {
      await fails(session.env, 'keyring', 'store_unavailable', /has no item of service cms, user vault-key/);
    });

    it('that is locked is said to be, also when a key is to be made', async () => {
      await openKeyring(session.env).write(formatKeyText(key).trim());
      await session.lock();
      const work = createVaultKey({ paths, env: { ...base, ...session.env } });
      await assert.rejects(work, { code: 'store_locked' });
      await fails(session.env, 'keyring', 'store_locked', /the keyring is locked/);
      await session.unlock();
      assert.equal(await sourceOf(session.env, 'keyring'), 'keyring');
    });

    for (const store of ['keyring', 'file']) {
      it(`is one key when two processes make it at once (${store})`, async () => {
        const script = join(import.meta.dirname, 'create-key.ts');
        const env = { ...base, ...session.env, CMS_STORE: store, CMS_CONFIG_DIR: paths.configDir, HOME: folder };
        const both = await Promise.all(
          [1, 2].map(() => run(process.execPath, ['--import', 'tsx', script], { env, timeoutMs: 20_000 })),
        );
        assert.deepEqual(
          both.map(({ status, stderr }) => [status, stderr]),
          [
            [0, ''],
            [0, ''],
          ],
        );
        assert.match(both[0]!.stdout, /^[0-9a-f]{16}$/);
        assert.equal(both[0]!.stdout, both[1]!.stdout);
        assert.equal(existsSync(paths.keyFile), store === 'file');
      });
    }

    it('is made while the helper holds the lock of the caller', async () => {
      await ensurePrivateFolder(paths.lockDir);
      await using lock = await acquireLock(keyLockFile(paths), 1_000);
      const made = await createVaultKey({ paths, env: { ...base, ...session.env }, lockFd: lock.fd });
      assert.equal(keyId(made.key.reveal()), made.id);
      assert.equal(readFileSync(keyLockFile(paths), 'utf8'), '');
    });
  });
});
