/**
 * Opens files, and judges what it opened: names in a directory that another user can change are worth nothing.
 *
 * The way to a file is walked from the root, links included. Each component belongs to a trusted user, and only trusted
 * users can write to a directory on it; so no one else can exchange a name that has been judged, and it may be used
 * again. The file itself is judged by fstat, after it was opened without following a link and without waiting.
 */
import { closeSync, constants, fstatSync, lstatSync, openSync, readlinkSync, readSync, type Stats } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { CmsError, systemErrorCode } from '../../core/errors.ts';
import { quoted } from '../../core/shell-word.ts';
import { namedWriters } from './acl.ts';
import { cures } from './advice.ts';
import { isRoot, isTrustedGroup } from './groups.ts';

/** As many as the kernel follows. @see path_resolution(7) */
const MAX_LINKS = 40;
const STICKY = 0o1000;
const READ_BYTES = 16_384;
/** No file of cms is longer; without a limit a file could take all memory. */
const MAX_BYTES = 256 * 1024 * 1024;

/** Bits of a mode that a file must not have. */
export const OTHERS_READ = 0o077;
const OTHERS_WRITE = 0o022;

export interface Trust {
  /** Who trusts; the caller, unless given. */
  uid?: number | undefined;
  /** Whose files are read in addition to this user's and root's: the user for whom root works under sudo. */
  owner?: number | undefined;
  /** Whether the last component may be a link; links before it are followed in any case. */
  links?: boolean | undefined;
  /** Makes the error of why a component is not trusted; without it, the path is what "cannot be trusted". */
  refuse?: ((why: string, suggestions: string[]) => CmsError) | undefined;
}

export interface FileTrust extends Trust {
  /** `OTHERS_READ` for secrets, `OTHERS_WRITE` (the default) for everything else. */
  forbidden?: number | undefined;
  /** Whether it has to be the caller's own; else root's does as well. */
  own?: boolean | undefined;
}

/** Where a way ends: a path without links, and what lies there. */
export interface Place {
  path: string;
  stat: Stats | undefined;
}

/** The verdicts on directories in this turn of the event loop: a list of accounts opens thousands of files in one. */
const judged = new Map<string, Place>();

/**
 * Walks to `path` and judges each component, but for the owner and the mode of a file at its end.
 * @throws CmsError `config_invalid` naming the component that another user could change; `io_error`
 */
export function judgeWay(path: string, trust: Trust = {}): Place {
  const whole = resolve(path);
  if (process.getuid === undefined) return lookAt(whole, path);
  const above = dirname(whole);
  if (above === whole) return judgedFolder(whole, path, trust);
  const folder = judgedFolder(above, path, trust);
  if (folder.stat === undefined) return { path: whole, stat: undefined };
  return walk(folder.path, [whole.slice(whole.lastIndexOf('/') + 1)], path, trust);
}

/**
 * Judges a directory that names are to be made in, and all above it; those that are not there yet pass.
 * @param path what the error speaks of
 * @throws CmsError as `judgeWay`
 */
export function judgeFolder(folder: string, path = folder, trust: Trust = {}): Place {
  if (process.getuid === undefined) return lookAt(folder, path);
  return judgedFolder(resolve(folder), path, trust);
}

function judgedFolder(folder: string, path: string, trust: Trust): Place {
  const key = `${trust.uid ?? ''} ${trust.owner ?? ''} ${folder}`;
  const known = judged.get(key);
  if (known !== undefined) return known;
  requireFolder('/', lookAt('/', path).stat, path, trust);
  const place = walk('/', folder.split('/'), path, { ...trust, links: true });
  if (!place.stat?.isDirectory()) return { path: place.path, stat: undefined };
  if (judged.size === 0) setImmediate(() => judged.clear());
  judged.set(key, place);
  return place;
}

function walk(from: string, names: string[], path: string, trust: Trust): Place {
  let at = from;
  let stat: Stats | undefined;
  const ahead = [...names];
  for (let links = 0; ahead.length > 0;) {
    const name = ahead.shift() ?? '';
    if (name === '' || name === '.') continue;
    if (name === '..') {
      at = dirname(at);
      stat = lookAt(at, path).stat;
      continue;
    }
    const next = join(at, name);
    ({ stat } = lookAt(next, path));
    if (stat === undefined) return { path: join(next, ...ahead), stat };
    const isLast = ahead.every((each) => each === '' || each === '.');
    if (stat.isSymbolicLink()) requireOwner(next, stat, path, trust);
    if (stat.isSymbolicLink() && (!isLast || trust.links === true)) {
      if (++links > MAX_LINKS) throw ioError(path, 'ELOOP');
      const target = readlinkSync(next);
      ahead.unshift(...target.split('/'));
      if (target.startsWith('/')) at = '/';
      continue;
    }
    if (stat.isDirectory()) requireFolder(next, stat, path, trust);
    // The code that uses the path learns that this is not a directory.
    else if (!isLast) return { path: join(next, ...ahead), stat: undefined };
    at = next;
  }
  return { path: at, stat: stat ?? lookAt(at, path).stat };
}

function lookAt(place: string, path: string): Place {
  try {
    return { path: place, stat: lstatSync(place, { throwIfNoEntry: false }) };
  } catch (error) {
    throw ioError(path, systemErrorCode(error) ?? String(error));
  }
}

/** Whether what belongs to `owner` is believed. */
export function isTrustedOwner(owner: number, trust: Trust = {}): boolean {
  return owner === (trust.uid ?? process.getuid?.()) || owner === trust.owner || isRoot(owner);
}

function requireOwner(place: string, stat: Stats, path: string, trust: Trust): void {
  if (isTrustedOwner(stat.uid, trust)) return;
  const why = `${place} belongs to another user (uid ${stat.uid})`;
  if (place !== resolve(path)) throw distrusted(path, trust, why, waysAround(path, stat.uid));
  const link = stat.isSymbolicLink() ? '-h ' : '';
  throw distrusted(path, trust, why, [`sudo chown ${link}${process.getuid?.() ?? ''} ${quoted(place)}`]);
}

/** A directory above stays its owner's: it may be a home, say that of the user who called sudo. */
function waysAround(path: string, owner: number): string[] {
  const { SUDO_UID: uid, SUDO_USER: user = 'yourself' } = process.env;
  const look = `namei -l ${quoted(path)}   # whose each directory is`;
  if (process.getuid?.() !== 0 || uid !== String(owner)) return [look];
  return [`run it as ${user}, without sudo`, 'sudo -H cms …   # for accounts of root', look];
}

/** Others can neither rename nor remove what is not theirs in a directory with the sticky bit, such as /tmp. */
function requireFolder(place: string, stat: Stats | undefined, path: string, trust: Trust): void {
  if (stat === undefined) return;
  requireOwner(place, stat, path, trust);
  const { mode, gid } = stat;
  if ((mode & STICKY) !== 0 || (mode & 0o022) === 0) return;
  const sudo = stat.uid === process.getuid?.() ? '' : 'sudo ';
  const refuse = (bits: string, who: string): CmsError =>
    distrusted(path, trust, `others may write to ${place} (${who}mode ${octal(mode)})`, [
      `${sudo}chmod ${bits} ${quoted(place)}`,
    ]);
  if ((mode & 0o002) !== 0) throw refuse('go-w', '');
  if (!isTrustedGroup(gid, (uid) => isTrustedOwner(uid, trust))) throw refuse('g-w', `group ${gid}, `);
  if (isListOpen(place, trust)) throw refuse('g-w', 'by its access control list, ');
}

/** Whether the access control list of something that its group may write to lets others write as well. */
function isListOpen(place: string, trust: Trust): boolean {
  const isTrusted = (uid: number): boolean => isTrustedOwner(uid, trust);
  const { users, groups } = namedWriters(place);
  return !users.every(isTrusted) || !groups.every((gid) => isTrustedGroup(gid, isTrusted));
}

/**
 * Opens a regular file that is trusted, never waiting: a FIFO in its place would keep whoever opens it until somebody
 * writes to it.
 * @param flags of open(2), without O_NOFOLLOW and O_NONBLOCK
 * @returns the descriptor, undefined where there is no file
 * @throws CmsError `config_invalid` for one that others can change (or, where it is secret, read); `io_error`
 */
export function openTrusted(path: string, flags: number, trust: FileTrust = {}, mode = 0o600): number | undefined {
  const place = unlessAbsent(path, flags, () => judgeWay(path, trust));
  if (place === undefined) return undefined;
  let fd: number;
  try {
    fd = openSync(place.path, flags | constants.O_NOFOLLOW | constants.O_NONBLOCK, mode);
  } catch (error) {
    const code = systemErrorCode(error) ?? String(error);
    if (code === 'ENOENT') return undefined;
    // Why it cannot be opened may be what it is.
    if (place.stat !== undefined) requireFile(path, place.stat, trust);
    throw ioError(path, code, flags === constants.O_RDONLY ? 'read' : 'write');
  }
  try {
    requireFile(path, fstatSync(fd), trust);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** Where a way cannot be trusted and nothing is at its end, there is nothing to be deceived by. */
function unlessAbsent(path: string, flags: number, judge: () => Place): Place | undefined {
  try {
    return judge();
  } catch (error) {
    if ((flags & constants.O_CREAT) === 0 && isAbsent(path)) return undefined;
    throw error;
  }
}

export function isAbsent(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) === undefined;
  } catch (error) {
    return systemErrorCode(error) === 'ENOTDIR';
  }
}

/** Judges an open file. @throws CmsError as `openTrusted` */
export function requireFile(path: string, stat: Stats, trust: FileTrust = {}): void {
  const kind = wrongKind(path, stat);
  if (kind !== undefined) throw kind;
  if (process.getuid === undefined) return;
  const { forbidden = OTHERS_WRITE, own = false, owner } = trust;
  const uid = owner ?? trust.uid ?? process.getuid();
  const isOwn = stat.uid === uid;
  // What root reads for a user must be something that this user could read himself.
  const isRoots = isRoot(stat.uid) && !own && (owner === undefined || (stat.mode & 0o004) !== 0);
  if (!isOwn && !isRoots)
    throw distrusted(path, trust, `it belongs to uid ${stat.uid}`, [`sudo chown ${uid} ${quoted(path)}`]);
  const open = stat.mode & forbidden;
  const isGroups = open === 0o020 && isTrustedGroup(stat.gid, (each) => isTrustedOwner(each, trust));
  if (open === 0 || (isGroups && !isListOpen(path, trust))) return;
  const [can, fix] = (open & 0o022) !== 0 ? ['change', 'go-w'] : ['read', 'go-rwx'];
  const those = isGroups ? 'a user of its access control list' : `group ${stat.gid}`;
  const others = (open & 0o007) === 0 ? those : 'every user';
  const bits = forbidden === OTHERS_READ ? 'go-rwx' : fix;
  throw distrusted(path, trust, `${others} can ${can} it (mode ${octal(stat.mode)})`, [
    `chmod ${bits} ${quoted(path)}`,
  ]);
}

function wrongKind(path: string, stat: Stats | undefined): CmsError | undefined {
  if (stat === undefined || stat.isFile()) return undefined;
  const kind = KINDS.find(([is]) => is(stat))?.[1] ?? 'something else';
  return new CmsError('io_error', `cannot read ${path}: it is ${kind}, not a regular file`, {
    suggestions: [`ls -ld ${quoted(path)}`],
  });
}

const KINDS: readonly [(stat: Stats) => boolean, string][] = [
  [(stat) => stat.isSymbolicLink(), 'a symbolic link'],
  [(stat) => stat.isDirectory(), 'a directory'],
  [(stat) => stat.isFIFO(), 'a FIFO'],
  [(stat) => stat.isSocket(), 'a socket'],
  [(stat) => stat.isCharacterDevice() || stat.isBlockDevice(), 'a device'],
];

let room: Buffer = Buffer.allocUnsafe(READ_BYTES);

/**
 * The whole file, read at once: a small one takes 20 µs, and ten times that with a turn of the thread pool for each
 * step.
 * @returns undefined where there is none
 * @throws CmsError as `openTrusted`
 */
export function readTrusted(path: string, trust: FileTrust = {}): Buffer | undefined {
  return reading(path, trust, (length) => Buffer.from(room.subarray(0, length)));
}

/** The same as text. @throws CmsError as `openTrusted` */
export function readTrustedText(path: string, trust: FileTrust = {}): string | undefined {
  return reading(path, trust, (length) => room.toString('utf8', 0, length));
}

function reading<T>(path: string, trust: FileTrust, take: (length: number) => T): T | undefined {
  const fd = openTrusted(path, constants.O_RDONLY, trust);
  if (fd === undefined) return undefined;
  try {
    return take(fill(fd));
  } catch (error) {
    throw error instanceof CmsError ? error : ioError(path, systemErrorCode(error) ?? String(error));
  } finally {
    closeSync(fd);
  }
}

/** @returns how many bytes of `room` are the file */
function fill(fd: number): number {
  for (let length = 0; ;) {
    const count = readSync(fd, room, length, room.length - length, null);
    length += count;
    if (count === 0) return length;
    if (length === room.length) room = grown(length);
  }
}

function grown(length: number): Buffer {
  if (length >= MAX_BYTES) throw new Error('EFBIG');
  return Buffer.concat([room], 2 * length);
}

function distrusted(path: string, { refuse }: Trust, why: string, suggestions: string[]): CmsError {
  if (refuse !== undefined) return refuse(why, suggestions);
  return new CmsError('config_invalid', `cannot trust ${path}: ${why}`, { suggestions });
}

function ioError(path: string, reason: string, verb = 'read'): CmsError {
  return new CmsError('io_error', `cannot ${verb} ${path}: ${reason}`, { suggestions: cures(path, reason) });
}

function octal(mode: number): string {
  return (mode & 0o7777).toString(8).padStart(4, '0');
}
