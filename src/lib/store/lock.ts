/** Kernel locks between processes: `flock(2)` on a file of its own, freed by the kernel however the holder ends. */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { elapsedMs } from '../elapsed.ts';
import { CmsError } from '../errors.ts';
import { tryLock } from '../native.ts';
import { ioError } from './files.ts';

const FIRST_WAIT_MS = 5;
const LONGEST_WAIT_MS = 50;

export interface Lock extends AsyncDisposable {
  /** For a child that has to keep the lock while it writes. */
  readonly fd: number;
}

/**
 * Waits for the lock, at most `timeoutMs`.
 * @throws CmsError `temporarily_unavailable` after that; `store_unavailable` where locks cannot be had; `io_error`
 */
export async function acquireLock(path: string, timeoutMs: number): Promise<Lock> {
  const deadline = elapsedMs() + timeoutMs;
  const file = await openLockFile(path);
  try {
    // Polling with a little jitter: a blocking flock would hold one of the four threads that all file access shares.
    for (let wait = FIRST_WAIT_MS; !tryLock(file.fd); wait = Math.min(wait * 2, LONGEST_WAIT_MS)) {
      if (elapsedMs() >= deadline) {
        throw new CmsError('temporarily_unavailable', `another process holds ${path} for more than ${timeoutMs} ms`, {
          suggestions: [`fuser -v ${path}`],
        });
      }
      await sleep(wait * (0.5 + Math.random()));
    }
  } catch (error) {
    await file.close();
    throw error;
  }
  return held(file);
}

/** The lock, or undefined when another process holds it. */
export async function acquireLockNow(path: string): Promise<Lock | undefined> {
  const file = await openLockFile(path);
  try {
    if (tryLock(file.fd)) return held(file);
  } catch (error) {
    await file.close();
    throw error;
  }
  await file.close();
  return undefined;
}

function held(file: FileHandle): Lock {
  return { fd: file.fd, [Symbol.asyncDispose]: () => file.close() };
}

async function openLockFile(path: string): Promise<FileHandle> {
  try {
    // Lock files are never deleted: a lock on a deleted file excludes nobody.
    return await open(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
  } catch (error) {
    throw ioError('open the lock', path, error);
  }
}
