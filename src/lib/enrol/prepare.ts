/** The stores, before anybody signs in: they are proven, and a key is made only once there is something to seal. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { Context } from '../context.ts';
import { ensurePrivateFolder, removeFile, writeFileDurable } from '../store/files.ts';
import { probeKeyStore } from '../store/key-source.ts';
import { type KeyWishes, prepareVault } from './store-account.ts';

/**
 * Asks where the key shall be kept, where that is open, and proves that key store and folders can be used.
 * @returns what has to be called before something is stored: it makes the key of a first account
 * @throws CmsError `store_locked`, `store_unavailable`, `config_invalid`, `io_error`
 */
export async function probeStores(context: Context, wishes: KeyWishes): Promise<() => Promise<void>> {
  const { accounts, paths, env } = context;
  if ((await accounts.read()).vault_key !== undefined) {
    await prepareVault(context, wishes);
    return () => Promise.resolve();
  }
  const store = await probeKeyStore({ paths, env, ...wishes });
  for (const folder of [paths.configDir, paths.stateDir]) await probeFolder(folder);
  return () => prepareVault(context, { ...wishes, store: store ?? wishes.store, ask: undefined });
}

async function probeFolder(folder: string): Promise<void> {
  await ensurePrivateFolder(folder);
  const path = join(folder, 'probe');
  await writeFileDurable(path, randomBytes(1024));
  await removeFile(path);
}
