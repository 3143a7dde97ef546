/**
 * Durable writes. A file is either its old self or its new self, on power loss, on a full disk and on `kill -9`:
 * temporary file in the same folder, fsync, rename, fsync of the folder.
 */
import { constants, lstatSync, type Stats } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, lstat, rename, rmdir, stat, unlink } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { dirname, join, basename } from 'node:path';
import { CmsError, systemErrorCode } from '../../core/errors.ts';
import { quoted } from '../../core/shell-word.ts';
import { cures } from './advice.ts';
import { type FileTrust, judgeFolder, readTrusted, readTrustedText } from './trusted.ts';

const TEMPORARY = /\.tmp-(\d+)-[0-9a-f]{12}$/;

/**
 * Replaces `path` as a whole. The folder must exist.
 * @throws CmsError `io_error`, `config_invalid` for a folder that others can change; the file that stood there is then
 *   untouched
 */
export async function writeFileDurable(path: string, data: string | Uint8Array, mode = 0o600): Promise<void> {
  judgeFolder(dirname(path), path);
  const temporary = temporaryName(path);
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

/** A name next to `path`, swept when its writer is dead. */
export function temporaryName(path: string): string {
  return `${path}.tmp-${process.pid}-${randomBytes(6).toString('hex')}`;
}

async function writeWhole(file: FileHandle, data: string | Uint8Array, mode: number): Promise<void> {
  // The umask took bits off the mode that open() was given; nothing may depend on it.
  await file.chmod(mode);
  await file.writeFile(data);
  await file.sync();
  await requireSize(file, Buffer.byteLength(data));
}

/** A full disk has been seen to shorten a write without an error. */
export async function requireSize(file: FileHandle, expected: number): Promise<void> {
  const { size } = await file.stat();
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
export async function refuseForeign(path: string): Promise<void> {
  const found = await lstat(path).catch((error: unknown) => {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw error;
  });
  if (found === undefined) return;
  if (!found.isFile()) throw new Error('not a regular file');
  if (process.getuid && found.uid !== process.getuid()) throw new Error(`belongs to uid ${found.uid}`);
}

/**
 * The whole file, or undefined if there is none. A link is not followed unless `trust` says so.
 * @throws CmsError as `readTrusted`
 */
export function readFileIfAny(path: string, trust?: FileTrust): Promise<Buffer | undefined> {
  return new Promise((resolve) => resolve(readTrusted(path, trust)));
}

/** As text, at once. @throws CmsError as `readTrusted` */
export function readTextNowIfAny(path: string, trust?: FileTrust): string | undefined {
  return readTrustedText(path, trust);
}

/**
 * Makes a folder (and its parents) that only its owner may enter, and checks that it is that.
 * @returns the topmost folder that was made, undefined where all were there
 * @throws CmsError `io_error`; `config_invalid` when it belongs to another user or others may write to it
 */
export async function ensurePrivateFolder(path: string): Promise<string | undefined> {
  judgeFolder(dirname(path), path);
  const made = await makeFolders(path, 0o700);
  if (!requirePrivateFolder(path)) throw ioError('create the folder', path, new Error('ENOENT'));
  return made;
}

/**
 * `mkdir -p`. Node's own never returns where the file system answers ENOENT although the parent is there, as /proc does.
 * @returns the topmost folder that was made, undefined where all were there
 * @throws CmsError `io_error`
 */
export async function makeFolders(path: string, mode: number): Promise<string | undefined> {
  const first = await makeFolder(path, mode);
  if (first === undefined) return path;
  if (await isFolder(path)) return undefined;
  const above = dirname(path);
  if (first !== 'ENOENT' || above === path) throw ioError('create the folder', path, new Error(first));
  const topmost = await makeFolders(above, mode);
  const second = await makeFolder(path, mode);
  if (second === undefined) return topmost ?? path;
  if (second === 'EEXIST' && (await isFolder(path))) return topmost;
  const why = second === 'ENOENT' ? `${above} takes no new directories` : second;
  throw ioError('create the folder', path, new Error(why));
}

/** @returns the code of the error, if it was not made */
async function makeFolder(path: string, mode: number): Promise<string | undefined> {
  return mkdir(path, { mode }).then(
    () => undefined,
    (error: unknown) => systemErrorCode(error) ?? String(error),
  );
}

function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
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

/**
 * Refuses a folder in which another user could exchange files.
 * @returns whether it is there
 * @throws CmsError `config_invalid`, `io_error`
 */
export function requirePrivateFolder(path: string): boolean {
  judgeFolder(dirname(path), path);
  let found: Stats | undefined;
  try {
    found = lstatSync(path, { throwIfNoEntry: false });
  } catch (error) {
    throw ioError('look at', path, error);
  }
  if (found === undefined) return false;
  const why = notPrivate(found);
  if (why === undefined) return true;
  throw new CmsError(
    'config_invalid',
    `${path} must be a directory that you own and no one else can write to: ${why}`,
    {
      suggestions: [`ls -ld ${quoted(path)}`, `chmod go-w ${quoted(path)}`],
    },
  );
}

function notPrivate(found: Stats): string | undefined {
  if (!found.isDirectory()) return found.isSymbolicLink() ? 'it is a symbolic link' : 'it is not a directory';
  if (process.getuid !== undefined && found.uid !== process.getuid()) return `it belongs to uid ${found.uid}`;
  return (found.mode & 0o022) === 0 ? undefined : `others can write to it (mode ${(found.mode & 0o7777).toString(8)})`;
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
