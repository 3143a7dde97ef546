/**
 * What makes a broker the only one for its state folder: locks on the folder itself and on a file in it. Deleting
 * one of them leaves the other, and a lock whose file is gone or replaced is taken again before it counts.
 */
import { constants, openSync } from 'node:fs';
import { join } from 'node:path';
import type { Paths } from '../../os/paths.ts';
import { ensurePrivateFolder, ioError } from '../../os/files/files.ts';
import { acquireLockNow, isLockedAt, type Lock, lockedNow } from '../../os/files/lock.ts';

type Folders = Pick<Paths, 'stateDir' | 'lockDir'>;

export class BrokerLock implements AsyncDisposable {
  readonly #paths: Folders;
  #locks: { path: string; lock: Lock }[];

  private constructor(paths: Folders, locks: { path: string; lock: Lock }[]) {
    this.#paths = paths;
    this.#locks = locks;
  }

  /** @returns undefined while another broker runs. @throws CmsError `io_error`, `store_unavailable` */
  static async acquire(paths: Folders): Promise<BrokerLock | undefined> {
    const broker = new BrokerLock(paths, []);
    return (await broker.#take()) ? broker : undefined;
  }

  /** Whether the locks are on what is at their paths now, and so keep others out. */
  isInPlace(): boolean {
    return this.#locks.every(({ path, lock }) => isLockedAt(path, lock));
  }

  /** Takes those again that lock nothing any more. @returns false when another broker was faster */
  renew(): Promise<boolean> {
    return this.#take();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const locks = this.#locks;
    this.#locks = [];
    for (const { lock } of locks) await lock[Symbol.asyncDispose]();
  }

  async #take(): Promise<boolean> {
    const { stateDir, lockDir } = this.#paths;
    await ensurePrivateFolder(stateDir);
    await ensurePrivateFolder(lockDir);
    const file = join(lockDir, 'broker.lock');
    const taken = (await this.#lock(file, acquireLockNow)) && (await this.#lock(stateDir, lockFolderNow));
    if (!taken) await this[Symbol.asyncDispose]();
    return taken;
  }

  async #lock(path: string, acquire: (path: string) => Promise<Lock | undefined>): Promise<boolean> {
    const held = this.#locks.find((each) => each.path === path);
    if (held !== undefined && isLockedAt(path, held.lock)) return true;
    const lock = await acquire(path);
    if (lock === undefined) return false;
    await held?.lock[Symbol.asyncDispose]();
    this.#locks = [...this.#locks.filter((each) => each !== held), { path, lock }];
    return true;
  }
}

function lockFolderNow(path: string): Promise<Lock | undefined> {
  try {
    const folder = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
    return Promise.resolve(lockedNow(folder));
  } catch (error) {
    return Promise.reject(ioError('open', path, error));
  }
}
