import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AccountStore } from '../../../src/lib/accounts/store.ts';
import { type Environment, type Paths, resolvePaths } from '../../../src/lib/os/paths.ts';
import { createVaultKey, type KeyStore, openVaultKey } from '../../../src/lib/vault/key-source.ts';
import { openKeyring } from '../../../src/lib/vault/keyring/keyring.ts';
import { type MoveOptions, moveVaultKey, type MoveResult } from '../../../src/lib/vault/move-key.ts';
import { formatKeyText, type VaultKey } from '../../../src/lib/vault/vault-key.ts';
import { type Keyring, startKeyring } from '../../support/keyring.ts';
import { run } from '../../support/processes.ts';
import { requires } from '../../support/requirements.ts';

describe('moving the vault key', function () {
  this.timeout(40_000);
  requires(this, 'gnome-keyring');
  let session: Keyring;
  let folder: string;
  let env: Environment;
  let paths: Paths;
  let accounts: AccountStore;
  before(async () => (session = await startKeyring()));
  after(() => session.stop());

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'cms-move-'));
    env = { ...session.env, CMS_CONFIG_DIR: join(folder, 'c'), CMS_STATE_DIR: join(folder, 's') };
    paths = resolvePaths(env);
    accounts = new AccountStore(paths);
    await openKeyring(env).remove();
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  async function create(store: KeyStore): Promise<VaultKey> {
    const made = await createVaultKey({ paths, env, store });
    await accounts.update((file) => ({ ...file, vault_key: { id: made.id, source: made.source } }));
    return made;
  }

  async function move(to: KeyStore, more: Partial<MoveOptions> = {}): Promise<MoveResult> {
    const { vault_key: record } = await accounts.read();
    const saveRecord = async (vault_key: typeof record): Promise<void> => {
      await accounts.update((file) => ({ ...file, vault_key: vault_key! }));
    };
    return moveVaultKey({ paths, env, to, record: record!, saveRecord, ...more });
  }

  /** Where the key is, and that the record leads to it. */
  async function found(key: VaultKey): Promise<{ recorded: string; keyring: boolean; file: boolean }> {
    const { vault_key: record } = await accounts.read();
    assert.deepEqual((await openVaultKey({ paths, env, record: record! })).key.reveal(), key.key.reveal());
    const keyring = (await openKeyring(env).read()) !== undefined;
    return { recorded: record!.source, keyring, file: existsSync(paths.keyFile) };
  }

  const IN_FILE = { recorded: 'file', keyring: false, file: true };
  const IN_KEYRING = { recorded: 'keyring', keyring: true, file: false };

  it('takes it from the keyring to the file and back, and leaves no copy', async () => {
    const key = await create('keyring');
    assert.deepEqual(await move('file'), { id: key.id, from: 'keyring', to: 'file' });
    assert.deepEqual(await found(key), IN_FILE);
    assert.deepEqual(await move('keyring'), { id: key.id, from: 'file', to: 'keyring' });
    assert.deepEqual(await found(key), IN_KEYRING);
  });

  for (const [from, to] of [
    ['keyring', 'file'],
    ['file', 'keyring'],
  ] as const) {
    for (const step of ['before record', 'after record', 'before delete']) {
      if (step === 'before delete' && from === 'file') continue;
      it(`loses nothing when it is killed ${step} on the way to the ${to}, and is finished by the next run`, async () => {
        const key = await create(from);
        const script = join(import.meta.dirname, 'move-key-until.ts');
        const killed = await run(process.execPath, ['--import', 'tsx', script, to, step], { env });
        assert.equal(killed.signal, 'SIGKILL', killed.stderr);
        assert.deepEqual(await found(key), {
          recorded: step === 'before record' ? from : to,
          keyring: true,
          file: true,
        });
        await move(to);
        assert.deepEqual(await found(key), to === 'file' ? IN_FILE : IN_KEYRING);
      });
    }
  }

  it('leaves the old place working when the record cannot be written', async () => {
    const key = await create('file');
    await assert.rejects(move('keyring', { saveRecord: () => Promise.reject(new Error('disk full')) }), /disk full/);
    assert.deepEqual(await found(key), { recorded: 'file', keyring: true, file: true });
  });

  it('leaves the old place working when the keyring is locked or cannot be reached', async () => {
    const key = await create('file');
    await session.lock();
    await assert.rejects(move('keyring'), { code: 'store_locked' });
    await session.unlock();
    const nowhere = { ...env, DBUS_SESSION_BUS_ADDRESS: 'unix:path=/nonexistent' };
    await assert.rejects(move('keyring', { env: nowhere }), { code: 'store_unavailable' });
    assert.deepEqual(await found(key), IN_FILE);
  });

  it('never overwrites another key', async () => {
    const key = await create('file');
    const other = formatKeyText(randomBytes(32)).trim();
    await openKeyring(env).write(other);
    await assert.rejects(move('keyring'), { code: 'cannot_create', message: /another vault key/ });
    assert.equal(await openKeyring(env).read(), other);
    assert.deepEqual(await found(key), { recorded: 'file', keyring: true, file: true });
  });

  it('says that the old copy stays when it cannot be deleted', async () => {
    const key = await create('keyring');
    const keyring = openKeyring(env);
    const result = await move('file', { keyring: { ...keyring, remove: () => Promise.reject(new Error('no')) } });
    assert.deepEqual(result.left, { source: 'keyring', reason: 'it could not be deleted' });
    assert.deepEqual(await found(key), { recorded: 'file', keyring: true, file: true });
  });

  it('takes it over from a file that somebody else keeps, and leaves that file', async () => {
    const named = join(folder, 'named');
    writeFileSync(named, formatKeyText(randomBytes(32)), { mode: 0o600 });
    env = { ...env, CMS_VAULT_KEY_FILE: named };
    const key = await create('keyring');
    assert.equal(key.source, 'key-file');
    const result = await move('keyring');
    assert.equal(result.left?.source, 'key-file');
    env = { ...env, CMS_VAULT_KEY_FILE: undefined };
    assert.deepEqual(await found(key), IN_KEYRING);
    assert.ok(existsSync(named));
  });

  it('puts it where the record says when it had come from elsewhere', async () => {
    const key = await create('file');
    await accounts.update((file) => ({ ...file, vault_key: { id: key.id, source: 'keyring' } }));
    await move('keyring', { env: { ...env, CMS_VAULT_KEY_FILE: paths.keyFile } });
    assert.deepEqual(await found(key), IN_KEYRING);
  });
});
