/** A process that makes the vault key, as the first `account add` does; prints its id. */
import { resolvePaths } from '../../../src/lib/os/paths.ts';
import { ensurePrivateFolder } from '../../../src/lib/os/files/files.ts';
import { createVaultKey, keyLockFile } from '../../../src/lib/vault/key-source.ts';
import { acquireLock } from '../../../src/lib/os/files/lock.ts';

async function main(): Promise<void> {
  const paths = resolvePaths(process.env);
  await ensurePrivateFolder(paths.lockDir);
  await using lock = await acquireLock(keyLockFile(paths), 15_000);
  const made = await createVaultKey({ paths, env: process.env, lockFd: lock.fd, deadlineMs: 10_000 });
  process.stdout.write(made.id);
}

await main();
