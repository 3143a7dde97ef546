/** Where the vault's key comes from: found for a vault that exists, made for the first account. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { CmsError } from '../core/errors.ts';
import { quoted } from '../core/shell-word.ts';
import type { Environment, Paths } from '../os/paths.ts';
import { createKeyFile, readKeyFile } from './key-file.ts';
import { GIVE_UP_KEY, KeyringError, keyringFailure } from './keyring/keyring-errors.ts';
import { type AskOptions, type Keyring, openKeyring } from './keyring/keyring.ts';
import { formatKeyText, parseKeyText, VAULT_KEY_BYTES, vaultKey } from './vault-key.ts';
import type { VaultKey, VaultKeyRecord } from './vault-key.ts';

export type KeyStore = 'keyring' | 'file';

export interface KeySourceOptions extends AskOptions {
  paths: Paths;
  env: Environment;
  /** The keyring that `env` leads to, unless given. */
  keyring?: Keyring | undefined;
}

/** The lock under which a key is made or moved; in `paths.lockDir`, which the caller has made. */
export function keyLockFile(paths: Paths): string {
  return join(paths.lockDir, 'vault-key.lock');
}

/**
 * The key that sealed the accounts: from the service manager's credential, from `$CMS_VAULT_KEY_FILE`, or from where the
 * record says. Opens no dialog unless `interactive`.
 * @throws CmsError `store_locked`; `store_unavailable` when there is none or it is another one; `config_invalid` for an
 * unsafe key file; `io_error`
 */
export async function openVaultKey(options: KeySourceOptions & { record: VaultKeyRecord }): Promise<VaultKey> {
  const { record } = options;
  const found = (await keyFromEnvironment(options.env)) ?? (await keyFromRecord(options));
  if (found.id !== record.id) throw anotherKey(found, record);
  return found;
}

function anotherKey(found: VaultKey, record: VaultKeyRecord): CmsError {
  return new CmsError(
    'store_unavailable',
    `the vault key from ${SOURCE_NAMES[found.source]} is not the one that sealed the accounts (id ${found.id}, expected ${record.id})`,
    { suggestions: [`put back the key with the id ${record.id}`, GIVE_UP_KEY] },
  );
}

/** How a source is called in messages. */
export const SOURCE_NAMES: Readonly<Record<VaultKeyRecord['source'], string>> = {
  keyring: 'the keyring',
  file: 'the file vault.key',
  credential: 'the credential cms-vault-key',
  'key-file': 'CMS_VAULT_KEY_FILE',
};

async function keyFromEnvironment(env: Environment): Promise<VaultKey | undefined> {
  const credential = await keyFromCredential(env);
  if (credential !== undefined) return credential;
  const path = env.CMS_VAULT_KEY_FILE;
  if (!path) return undefined;
  const key = await readKeyFile(path, 'named');
  if (key === undefined)
    throw noKey(`there is no file ${path}, which CMS_VAULT_KEY_FILE names`, `ls -l ${quoted(path)}`, GIVE_UP_KEY);
  return vaultKey(key, 'key-file');
}

async function keyFromCredential(env: Environment): Promise<VaultKey | undefined> {
  if (!env.CREDENTIALS_DIRECTORY) return undefined;
  const key = await readKeyFile(join(env.CREDENTIALS_DIRECTORY, 'cms-vault-key'), 'credential');
  return key && vaultKey(key, 'credential');
}

async function keyFromRecord(options: KeySourceOptions & { record: VaultKeyRecord }): Promise<VaultKey> {
  switch (options.record.source) {
    case 'keyring': {
      const key = await readKeyring(options);
      if (key === undefined) throw keyringFailure(new KeyringError('missing', 'no such item'));
      return vaultKey(key, 'keyring');
    }
    case 'file': {
      const { keyFile } = options.paths;
      const key = await readKeyFile(keyFile, 'own');
      if (key === undefined)
        throw noKey(`there is no key file ${keyFile}`, `put ${keyFile} back, say from a backup`, GIVE_UP_KEY);
      return vaultKey(key, 'file');
    }
    case 'credential':
      throw noKey(
        'the vault key was the credential cms-vault-key, and this process has none (CREDENTIALS_DIRECTORY)',
        'systemctl --user status cms   # the service that was given the credential',
      );
    case 'key-file':
      throw noKey('the vault key was the file that CMS_VAULT_KEY_FILE named, which is not set', EXPORT_KEY_FILE);
  }
}

const EXPORT_KEY_FILE = 'export CMS_VAULT_KEY_FILE=/path/to/the/key';

function noKey(message: string, ...suggestions: string[]): CmsError {
  return new CmsError('store_unavailable', message, { suggestions });
}

export interface CreateOptions extends KeySourceOptions {
  /** `--store`, which goes before `$CMS_STORE`. */
  store?: KeyStore | undefined;
  /** Asks a person, when neither says and the keyring cannot be relied on. */
  ask?: (() => Promise<KeyStore>) | undefined;
}

/**
 * A key for the first account. One that is there already (credential, named file, keyring item, `vault.key`) is used and
 * never overwritten. The caller holds `keyLockFile` and gives its descriptor as `lockFd`.
 * @throws CmsError `store_locked`, `store_unavailable` (naming `--store file`), `config_invalid`, `io_error`
 */
export async function createVaultKey(options: CreateOptions): Promise<VaultKey> {
  const credential = await keyFromCredential(options.env);
  if (credential !== undefined) return credential;
  const named = options.env.CMS_VAULT_KEY_FILE;
  if (named) return vaultKey(await createKeyFile(named, 'named', newKey()), 'key-file');
  return createIn(await chooseStore(options), options);
}

/**
 * Chooses where `createVaultKey` would put a key, and proves that it can; makes none.
 * @returns undefined where the service manager or `$CMS_VAULT_KEY_FILE` decides
 * @throws CmsError as `createVaultKey`
 */
export async function probeKeyStore(options: CreateOptions): Promise<KeyStore | undefined> {
  if ((await keyFromCredential(options.env)) !== undefined || options.env.CMS_VAULT_KEY_FILE) return undefined;
  const store = await chooseStore(options);
  if (store === 'file') await readKeyFile(options.paths.keyFile, 'own');
  else {
    await keyringOf(options)
      .probe(options)
      .catch((error: unknown) => {
        throw error instanceof KeyringError ? nowhere(error) : error;
      });
  }
  return store;
}

async function createIn(store: KeyStore, options: KeySourceOptions): Promise<VaultKey> {
  if (store === 'file') return vaultKey(await createKeyFile(options.paths.keyFile, 'own', newKey()), 'file');
  const existing = await readKeyring(options);
  if (existing !== undefined) return vaultKey(existing, 'keyring');
  const key = newKey();
  await writeKeyring(key, options);
  return vaultKey(key, 'keyring');
}

function newKey(): Buffer {
  return randomBytes(VAULT_KEY_BYTES);
}

async function chooseStore(options: CreateOptions): Promise<KeyStore> {
  const said = options.store ?? storeFromEnvironment(options.env);
  if (said !== undefined) return said;
  try {
    await keyringOf(options).probe(options);
    return 'keyring';
  } catch (error) {
    if (!(error instanceof KeyringError)) throw error;
    // A key file is there because the user once chose it.
    if ((await readKeyFile(options.paths.keyFile, 'own')) !== undefined) return 'file';
    if (options.ask) return options.ask();
    throw nowhere(error);
  }
}

/**
 * `$CMS_STORE`, if it is set.
 * @throws CmsError `config_invalid` for anything but `keyring` and `file`
 */
function storeFromEnvironment(env: Environment): KeyStore | undefined {
  const value = env.CMS_STORE;
  if (!value) return undefined;
  if (value === 'keyring' || value === 'file') return value;
  throw new CmsError('config_invalid', `CMS_STORE is keyring or file, not ${value}`, {
    suggestions: ['export CMS_STORE=keyring', 'export CMS_STORE=file'],
  });
}

/** The keyring's failure, with the way around it that the person has to choose. */
function nowhere(error: KeyringError): unknown {
  const failure = keyringFailure(error);
  if (!(failure instanceof CmsError)) return failure;
  return new CmsError(failure.code, `there is nowhere to keep the vault key: ${failure.message}`, {
    suggestions: [
      ...(failure.code === 'store_locked' ? ['cms unlock'] : []),
      'cms account add ADDRESS --store file   # a key file; it does not protect a copied home directory',
    ],
    cause: error,
  });
}

function keyringOf(options: KeySourceOptions): Keyring {
  return options.keyring ?? openKeyring(options.env);
}

/** @throws CmsError as `keyringFailure`; `config_invalid` when the item holds no key */
export async function readKeyring(options: KeySourceOptions): Promise<Buffer | undefined> {
  try {
    const text = await keyringOf(options).read(options);
    return text === undefined ? undefined : parseKeyText(Buffer.from(text), 'the keyring item vault-key of cms');
  } catch (error) {
    throw keyringFailure(error);
  }
}

/** @throws CmsError as `keyringFailure` */
export async function writeKeyring(key: Buffer, options: KeySourceOptions): Promise<void> {
  try {
    await keyringOf(options).write(formatKeyText(key).trim(), options);
  } catch (error) {
    throw keyringFailure(error);
  }
}

/** @throws CmsError as `keyringFailure` */
export async function removeFromKeyring(options: KeySourceOptions): Promise<void> {
  try {
    await keyringOf(options).remove(options);
  } catch (error) {
    throw keyringFailure(error);
  }
}
