/** The stores, before the sign-in: they are tested, and a key is made only once there is something to seal. */
import type { Context } from '../context.ts';
import { CmsError, systemErrorCode } from '../core/errors.ts';
import { ensurePrivateFolder, proveWritable, removeEmptyFolders } from '../os/files/files.ts';
import { probeKeyStore } from '../vault/key-source.ts';
import { type KeyWishes, needsKey, prepareVault } from './store-account.ts';

/**
 * Asks where the key shall be kept, where that is open, and proves that key store and folders can be used.
 * @returns what has to be called before something is stored: it makes the key of a first account, or the next one for
 * a lost one
 * @throws CmsError `store_locked`, `store_unavailable`, `config_invalid`, `io_error`
 */
export async function probeStores(context: Context, wishes: KeyWishes): Promise<() => Promise<void>> {
  const { paths, env, accounts } = context;
  await accounts.probe();
  if (!(await needsKey(context, wishes))) {
    await prepareVault(context, wishes);
    return () => Promise.resolve();
  }
  const store = await probeKeyStore({ paths, env, ...wishes });
  for (const folder of [paths.configDir, paths.stateDir]) await probeFolder(folder);
  return () => prepareVault(context, { ...wishes, store: store ?? wishes.store, ask: undefined });
}

/** What it makes, it takes away again: until something is stored, there is nothing of ours. */
async function probeFolder(folder: string, tries = 2): Promise<void> {
  try {
    const made = await ensurePrivateFolder(folder);
    await proveWritable(folder);
    if (made !== undefined) await removeEmptyFolders(folder, made);
  } catch (error) {
    // Another first run may just have taken away the folder that it had made.
    const gone = error instanceof CmsError && systemErrorCode(error.cause) === 'ENOENT';
    if (gone && tries > 1) return probeFolder(folder, tries - 1);
    throw error;
  }
}
