/**
 * Durable writes. A file is either its old self or its new self, on power loss, on a full disk and on `kill -9`:
 * temporary file in the same folder, fsync, rename, fsync of the folder.
 */
import { closeSync, constants, lstatSync, openSync, readSync, type Stats } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, lstat, rename, rmdir, unlink } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { dirname, join, basename } from 'node:path';
import { CmsError, systemErrorCode } from '../errors.ts';
import { cures } from './barred.ts';

const TEMPORARY = /\.tmp-(\d+)-[0-9a-f]{12}$/;

/**
 * Replaces `path` as a whole. The folder must exist.
 * @throws CmsError `io_error`; the file that stood there is then untouched
 */
export async function writeFileDurable(path: string, data: string | Uint8Array, mode = 0o600): Promise<void> {
  const temporary = `${path}.tmp-${process.pid}-${randomBytes(6).toString('hex')}`;
  try {
    await refuseForeign(path);
    const file = await open(
      temporary,
      constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW,
      mode,
    );
    try {
      await writeWhole(file, data, mode);
    } finally {
      await file.close();
    }
    await rename(temporary, path);
    await syncFolder(dirname(path));
  } catch (error) {
    await unlink(temporary).catch(() => undefined);
    throw ioError('write', path, error);
  }
}

async function writeWhole(file: FileHandle, data: string | Uint8Array, mode: number): Promise<void> {
  // The umask took bits off the mode that open() was given; nothing may depend on it.
  await file.chmod(mode);
  await file.writeFile(data);
  await file.sync();
  // A full disk has been seen to shorten a write without an error.
  const { size } = await file.stat();
  const expected = Buffer.byteLength(data);
  if (size !== expected) throw new Error(`wrote ${size} of ${expected} bytes`);
}

/** Makes names that were added to or taken from a folder last through a power loss. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** rename() would replace a planted link, not follow it; a link or a foreign file there is still a sign of tampering. */
async function refuseForeign(path: string): Promise<void> {
  const stat = await lstat(path).catch((error: unknown) => {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw error;
  });
  if (stat === undefined) return;
  if (!stat.isFile()) throw new Error('not a regular file');
  if (process.getuid && stat.uid !== process.getuid()) throw new Error(`belongs to uid ${stat.uid}`);
}

/**
 * The whole file, or undefined if there is none. A link is not followed.
 * @throws CmsError `io_error`
 */
export async function readFileIfAny(path: string): Promise<Buffer | undefined> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
    return await file.readFile();
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw ioError('read', path, error);
  } finally {
    await file?.close();
  }
}

let small = Buffer.allocUnsafe(16_384);

/**
 * As `readFileIfAny`, at once: a small file takes 20 µs, and ten times that with a turn of the thread pool for each step
 * and memory from each of its threads.
 * @throws CmsError `io_error`
 */
export function readTextNowIfAny(path: string): string | undefined {
  let fd: number | undefined;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
    let length = 0;
    for (;;) {
      const count = readSync(fd, small, length, small.length - length, null);
      length += count;
      if (count === 0) return small.toString('utf8', 0, length);
      if (length === small.length) small = Buffer.concat([small], 2 * length);
    }
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw ioError('read', path, error);
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/**
 * Makes a folder (and its parents) that only its owner may enter, and checks that it is that.
 * @returns the topmost folder that was made, undefined where all were there
 * @throws CmsError `io_error`; `config_invalid` when it belongs to another user or others may write to it
 */
export async function ensurePrivateFolder(path: string): Promise<string | undefined> {
  const made = await mkdir(path, { recursive: true, mode: 0o700 }).catch((error: unknown) => {
    throw ioError('create the folder', path, error);
  });
  requirePrivateFolder(path);
  return made;
}

/** Takes back what `ensurePrivateFolder` made, as far as nothing has come into it. */
export async function removeEmptyFolders(path: string, topmost: string): Promise<void> {
  for (let folder = path; folder.length >= topmost.length; folder = dirname(folder)) {
    const removed = await rmdir(folder).then(
      () => true,
      () => false,
    );
    if (!removed) return;
  }
}

/** Refuses a folder in which somebody else could exchange files. @throws CmsError `config_invalid`, `io_error` */
export function requirePrivateFolder(path: string): void {
  let stat: Stats;
  try {
    stat = lstatSync(path);
  } catch (error) {
    throw ioError('look at', path, error);
  }
  const foreign = process.getuid !== undefined && stat.uid !== process.getuid();
  if (!stat.isDirectory() || foreign || (stat.mode & 0o022) !== 0) {
    throw new CmsError('config_invalid', `${path} must be a folder of your own that nobody else can write to`, {
      suggestions: [`ls -ld ${path}`, `chmod go-w ${path}`],
    });
  }
}

/** Deletes the file if there is one. */
export async function removeFile(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if (systemErrorCode(error) !== 'ENOENT') throw ioError('delete', path, error);
  }
}

/** Deletes what writers that were killed left behind; a writer that still lives keeps its file. */
export async function sweepTemporaries(folder: string, ofFile?: string): Promise<number> {
  const names = await readdir(folder).catch((): string[] => []);
  const prefix = ofFile === undefined ? '' : `${basename(ofFile)}.tmp-`;
  const litter = names.filter((name) => name.startsWith(prefix) && isDead(TEMPORARY.exec(name)?.[1]));
  await Promise.all(litter.map((name) => removeFile(join(folder, name))));
  return litter.length;
}

function isDead(pid: string | undefined): boolean {
  if (pid === undefined) return false;
  try {
    process.kill(Number(pid), 0);
    return false;
  } catch (error) {
    return systemErrorCode(error) === 'ESRCH';
  }
}

/** Writes a kilobyte into a folder and takes it away again. @throws CmsError `io_error` */
export async function proveWritable(folder: string): Promise<void> {
  const path = join(folder, 'probe');
  await writeFileDurable(path, randomBytes(1024));
  await removeFile(path);
}

export function ioError(verb: string, path: string, error: unknown): CmsError {
  if (error instanceof CmsError) return error;
  const reason = systemErrorCode(error) ?? (error instanceof Error ? error.message : String(error));
  return new CmsError('io_error', `cannot ${verb} ${path}: ${reason}`, {
    cause: error,
    suggestions: cures(path, reason),
  });
}
