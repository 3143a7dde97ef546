/**
 * Room on the disk for a file that is written later: a temporary file next to it, filled and synced now. Whatever fills
 * the disk meanwhile, writing into it takes no further block. A file system that copies on write gives no such promise.
 */
import { constants } from 'node:fs';
import { type FileHandle, open, rename, unlink } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { dirname } from 'node:path';
import { ioError, refuseForeign, requireSize, syncFolder, temporaryName } from './files.ts';
import { judgeFolder } from './trusted.ts';

export class Reservation implements AsyncDisposable {
  readonly #path: string;
  readonly #temporary: string;
  readonly #bytes: number;
  #file: FileHandle | undefined;

  private constructor(path: string, temporary: string, bytes: number, file: FileHandle) {
    this.#path = path;
    this.#temporary = temporary;
    this.#bytes = bytes;
    this.#file = file;
  }

  /**
   * Room for `bytes` of a new `path`, whose folder must exist.
   * @throws CmsError `io_error` where there is no room
   */
  static async of(path: string, bytes: number): Promise<Reservation> {
    judgeFolder(dirname(path), path);
    const temporary = temporaryName(path);
    try {
      await refuseForeign(path);
      const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
      const file = await open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
      const reserved = new Reservation(path, temporary, bytes, file);
      try {
        await file.chmod(0o600);
        // Zeros would be kept as a hole by file systems that compress.
        await file.writeFile(randomBytes(bytes));
        await file.sync();
        await requireSize(file, bytes);
        return reserved;
      } catch (error) {
        await reserved[Symbol.asyncDispose]();
        throw error;
      }
    } catch (error) {
      throw ioError('write', path, error);
    }
  }

  /** Whether the data has room, and has not been written yet. */
  holds(data: Uint8Array): boolean {
    return this.#file !== undefined && data.length <= this.#bytes;
  }

  /**
   * Makes the data the new `path`, durably. After a failure there is no room any more.
   * @throws CmsError `io_error`; the file that stood there is then untouched
   */
  async fill(data: Uint8Array): Promise<void> {
    const file = this.#file;
    if (file === undefined) throw ioError('write', this.#path, new Error('no room was reserved'));
    try {
      for (let done = 0; done < data.length;)
        done += (await file.write(data, done, data.length - done, done)).bytesWritten;
      await file.truncate(data.length);
      await file.sync();
      await requireSize(file, data.length);
      await rename(this.#temporary, this.#path);
      this.#file = undefined;
      await file.close();
      await syncFolder(dirname(this.#path));
    } catch (error) {
      await this[Symbol.asyncDispose]();
      throw ioError('write', this.#path, error);
    }
  }

  /** Gives the room back. */
  async [Symbol.asyncDispose](): Promise<void> {
    const file = this.#file;
    if (file === undefined) return;
    this.#file = undefined;
    await unlink(this.#temporary).catch(() => undefined);
    await file.close().catch(() => undefined);
  }
}
