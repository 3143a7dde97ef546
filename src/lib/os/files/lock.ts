/** Kernel locks between processes: `flock(2)` on a file of its own, freed by the kernel however the holder ends. */
import { closeSync, constants, fstatSync, lstatSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { elapsedMs } from '../monotonic.ts';
import { CmsError } from '../../core/errors.ts';
import { tryLock } from '../libc.ts';
import { quoted } from '../../core/shell-word.ts';
import { ioError } from './files.ts';
import { openTrusted, OTHERS_READ } from './trusted.ts';

const FIRST_WAIT_MS = 5;
const LONGEST_WAIT_MS = 50;

export interface Lock extends AsyncDisposable {
  /** For a child that has to keep the lock while it writes. */
  readonly fd: number;
}

/**
 * Waits for the lock, at most `timeoutMs`.
 * @throws CmsError `temporarily_unavailable` after that; `store_unavailable` where locks are not available; `io_error`
 */
export async function acquireLock(path: string, timeoutMs: number): Promise<Lock> {
  const deadline = elapsedMs() + timeoutMs;
  for (;;) {
    const lock = held(openLockFile(path));
    try {
      await wait(lock, path, timeoutMs, deadline);
      if (isLockedAt(path, lock)) return lock;
    } catch (error) {
      await lock[Symbol.asyncDispose]();
      throw error;
    }
    // The file was deleted while it was waited for: a lock on it keeps out only those that had it open as well.
    await lock[Symbol.asyncDispose]();
  }
}

async function wait({ fd }: Lock, path: string, timeoutMs: number, deadline: number): Promise<void> {
  // Polling with a little jitter: a blocking flock would hold one of the four threads that all file access shares.
  for (let pause = FIRST_WAIT_MS; !tryLock(fd); pause = Math.min(pause * 2, LONGEST_WAIT_MS)) {
    if (elapsedMs() >= deadline) {
      throw new CmsError('temporarily_unavailable', `another process holds ${path} for more than ${timeoutMs} ms`, {
        suggestions: [`fuser -v ${quoted(path)}`],
      });
    }
    await sleep(pause * (0.5 + Math.random()));
  }
}

/** The lock, or undefined when another process holds it. */
export async function acquireLockNow(path: string): Promise<Lock | undefined> {
  for (;;) {
    const lock = lockedNow(openLockFile(path));
    if (lock === undefined || isLockedAt(path, lock)) return lock;
    await lock[Symbol.asyncDispose]();
  }
}

/** The lock on what is open, which is closed when another process holds it. */
export function lockedNow(fd: number): Lock | undefined {
  let isHeld = false;
  try {
    isHeld = tryLock(fd);
  } finally {
    if (!isHeld) closeSync(fd);
  }
  return isHeld ? held(fd) : undefined;
}

/** Whether the lock is on what is at `path` now: judged by the inode, because names can be deleted and made again. */
export function isLockedAt(path: string, { fd }: Lock): boolean {
  const there = lstatSync(path, { throwIfNoEntry: false });
  const locked = fstatSync(fd);
  return there?.ino === locked.ino && there.dev === locked.dev;
}

function held(fd: number): Lock {
  return {
    fd,
    [Symbol.asyncDispose]: () => {
      closeSync(fd);
      return Promise.resolve();
    },
  };
}

function openLockFile(path: string): number {
  try {
    // Lock files are never deleted: a lock on a deleted file excludes no one.
    const fd = openTrusted(path, constants.O_RDWR | constants.O_CREAT, { own: true, forbidden: OTHERS_READ });
    if (fd !== undefined) return fd;
  } catch (error) {
    throw ioError('open the lock', path, error);
  }
  throw ioError('open the lock', path, new Error('ENOENT'));
}
