/** A vault key in a file: read with suspicion, created once, never overwritten. */
import { constants, type Stats } from 'node:fs';
import { type FileHandle, link, open } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { dirname } from 'node:path';
import { CmsError, systemErrorCode } from '../core/errors.ts';
import { quoted } from '../core/shell-word.ts';
import {
  ensurePrivateFolder,
  ioError,
  removeFile,
  sweepTemporaries,
  syncFolder,
  writeFileDurable,
} from '../os/files/files.ts';
import { judgeWay } from '../os/files/trusted.ts';
import { formatKeyText, MAX_KEY_TEXT_BYTES, parseKeyText } from './vault-key.ts';

/**
 * How far a key file is trusted. `own`: our file in our folder. `named`: the user named it; a link, the owner root
 * and a group that may read are usual ways to give a service its secret. `credential`: the service manager vouches.
 */
export type KeyFileTrust = 'own' | 'named' | 'credential';

/**
 * The key in the file, or undefined when there is no file.
 * @throws CmsError `config_invalid` for a file that others can read or exchange, or that holds no key; `io_error`
 */
export async function readKeyFile(path: string, trust: KeyFileTrust): Promise<Buffer | undefined> {
  const file = await openIfAny(path, trust);
  if (file === undefined) return undefined;
  try {
    const stat = await file.stat();
    if (!stat.isFile()) throw unsafe(path, 'is not a regular file', `ls -l ${quoted(path)}`);
    if (trust !== 'credential') refuseUnsafe(path, stat, trust);
    // One byte more than a key may have, so that a longer file is seen to be one.
    const { buffer, bytesRead } = await file.read(Buffer.alloc(MAX_KEY_TEXT_BYTES + 1), 0, MAX_KEY_TEXT_BYTES + 1, 0);
    return parseKeyText(buffer.subarray(0, bytesRead), path);
  } catch (error) {
    throw ioError('read', path, error);
  } finally {
    await file.close();
  }
}

async function openIfAny(path: string, trust: KeyFileTrust): Promise<FileHandle | undefined> {
  const noLink = trust === 'own' ? constants.O_NOFOLLOW : 0;
  if (trust !== 'credential') judgeWay(path, { links: trust === 'named' });
  try {
    // Without O_NONBLOCK a FIFO in the file's place would block us until a process writes to it.
    return await open(path, constants.O_RDONLY | constants.O_NONBLOCK | noLink);
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    if (systemErrorCode(error) === 'ELOOP' && trust === 'own')
      throw unsafe(path, 'is a symbolic link', `ls -l ${quoted(path)}`);
    throw ioError('read', path, error);
  }
}

function refuseUnsafe(path: string, stat: Stats, trust: 'own' | 'named'): void {
  const uid = process.getuid?.() ?? stat.uid;
  if (stat.uid !== uid && !(trust === 'named' && stat.uid === 0)) {
    throw unsafe(path, `belongs to uid ${stat.uid}`, `ls -l ${quoted(path)}`);
  }
  const forbidden = trust === 'named' ? 0o037 : 0o077;
  if ((stat.mode & forbidden) !== 0) {
    const mode = (stat.mode & 0o777).toString(8).padStart(4, '0');
    throw unsafe(path, `is open to others (mode ${mode})`, `chmod 600 ${quoted(path)}`);
  }
}

function unsafe(path: string, what: string, fix: string): CmsError {
  return new CmsError('config_invalid', `the vault key file ${path} ${what}`, { suggestions: [fix] });
}

/**
 * Puts `key` into a new file of mode 0600, unless there is one: then that one stays and its key is returned.
 * @throws CmsError as `readKeyFile`, and `io_error`
 */
export async function createKeyFile(path: string, trust: 'own' | 'named', key: Buffer): Promise<Buffer> {
  if (trust === 'own') await ensurePrivateFolder(dirname(path));
  const existing = await readKeyFile(path, trust);
  if (existing !== undefined) return existing;
  await placeNewFile(path, formatKeyText(key));
  const stored = await readKeyFile(path, trust);
  if (stored === undefined) throw new CmsError('io_error', `${path} vanished while it was written`);
  return stored;
}

/**
 * link() fails where rename() would replace: a key that was put there meanwhile is not lost. A draft that a killed
 * process left has the name of a temporary file, and is swept like one.
 */
async function placeNewFile(path: string, text: string): Promise<void> {
  const draft = `${path}.tmp-${process.pid}-${randomBytes(6).toString('hex')}`;
  await sweepTemporaries(dirname(path), path);
  try {
    await writeFileDurable(draft, text);
    await link(draft, path);
  } catch (error) {
    if (systemErrorCode(error) !== 'EEXIST') throw ioError('create', path, error);
  } finally {
    await removeFile(draft);
  }
  await syncFolder(dirname(path));
}
