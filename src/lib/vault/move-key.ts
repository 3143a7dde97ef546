/**
 * Moves the vault key between the keyring and the key file. The order is the safety: copy, read back, record, delete.
 * Killed between any two steps, the place that the record names has the key; the next run finishes the rest.
 */
import { timingSafeEqual } from 'node:crypto';
import { CmsError } from '../core/errors.ts';
import { createKeyFile, readKeyFile } from './key-file.ts';
import { removeFile } from '../os/files/files.ts';
import { IN_THE_SESSION } from './keyring/keyring-errors.ts';
import {
  type KeySourceOptions,
  type KeyStore,
  openVaultKey,
  readKeyring,
  removeFromKeyring,
  SOURCE_NAMES,
  writeKeyring,
} from './key-source.ts';
import { keyId, type VaultKey, type VaultKeyRecord } from './vault-key.ts';

export interface MoveOptions extends KeySourceOptions {
  to: KeyStore;
  record: VaultKeyRecord;
  /** Makes the new record last: in `accounts.json`, under that file's lock. */
  saveRecord: (record: VaultKeyRecord) => Promise<void>;
}

export interface MoveResult {
  id: string;
  from: VaultKeyRecord['source'];
  to: KeyStore;
  /** Where a copy of the key still is, and why: it could not be deleted, or it is not ours to delete. */
  left?: { source: VaultKeyRecord['source']; reason: string };
}

/**
 * Moves the key to `to`, where another key is never overwritten. The caller holds `keyLockFile` and gives its descriptor
 * as `lockFd`. Moving it to where it is deletes a copy that an interrupted move left behind.
 * @throws CmsError as `openVaultKey`, `io_error`; `cannot_create` when another key stands there. The old place
 * then still works
 */
export async function moveVaultKey(options: MoveOptions): Promise<MoveResult> {
  const { to, record } = options;
  const current = await openVaultKey(options);
  // Also when the record says that it is there: a credential may have stood in for an item that is gone.
  await PLACES[to].put(current, options);
  if (record.source !== to) await options.saveRecord({ id: current.id, source: to });
  const old = record.source === to ? otherPlace(to) : record.source;
  const left = await clearOld(old, current, options);
  return {
    id: current.id,
    from: record.source,
    to,
    ...(left !== undefined && { left: { source: old, reason: left } }),
  };
}

function otherPlace(place: KeyStore): KeyStore {
  return place === 'file' ? 'keyring' : 'file';
}

interface Place {
  read: (options: KeySourceOptions) => Promise<Buffer | undefined>;
  /** Copies the key there and reads it back. */
  put: (key: VaultKey, options: KeySourceOptions) => Promise<void>;
  clear: (options: KeySourceOptions) => Promise<void>;
}

const PLACES: Readonly<Record<KeyStore, Place>> = {
  keyring: {
    read: readKeyring,
    put: async (vaultKey, options) => {
      const existing = await readKeyring(options).catch(stayed);
      if (existing === undefined) await writeKeyring(vaultKey.key.reveal(), options);
      refuseAnother(vaultKey, await readKeyring(options), 'keyring');
    },
    clear: removeFromKeyring,
  },
  file: {
    read: ({ paths }) => readKeyFile(paths.keyFile, 'own'),
    put: async (vaultKey, { paths }) => {
      refuseAnother(vaultKey, await createKeyFile(paths.keyFile, 'own', vaultKey.key.reveal()), 'file');
    },
    clear: ({ paths }) => removeFile(paths.keyFile),
  },
};

/** The key is where it was, and a way to get it elsewhere is not what was asked for. */
function stayed(error: unknown): never {
  if (!(error instanceof CmsError) || error.code !== 'store_unavailable') throw error;
  throw new CmsError(error.code, `${error.message}; nothing was moved`, {
    suggestions: [IN_THE_SESSION],
    cause: error,
  });
}

function refuseAnother(wanted: VaultKey, found: Buffer | undefined, place: KeyStore): void {
  if (found !== undefined && timingSafeEqual(found, wanted.key.reveal())) return;
  const has = found === undefined ? 'did not keep the key' : `holds another vault key (id ${keyId(found)})`;
  throw new CmsError('cannot_create', `${SOURCE_NAMES[place]} ${has}; nothing was moved`, {
    suggestions: [
      place === 'keyring'
        ? 'secret-tool clear service cms username vault-key   # if no accounts need that other key'
        : 'mv vault.key vault.key.old   # in the configuration folder',
    ],
  });
}

/** Deletes the copy that is no longer needed; only the very key that was moved, and only from our own place. */
async function clearOld(
  old: VaultKeyRecord['source'],
  moved: VaultKey,
  options: MoveOptions,
): Promise<string | undefined> {
  if (old !== 'keyring' && old !== 'file') return 'cms did not put it there and does not delete it';
  try {
    const found = await PLACES[old].read(options);
    if (found !== undefined && timingSafeEqual(found, moved.key.reveal())) await PLACES[old].clear(options);
    return undefined;
  } catch (error) {
    // A keyring that was never part of it may well be out of reach.
    if (options.record.source === options.to) return undefined;
    return error instanceof CmsError ? error.message : 'it could not be deleted';
  }
}
