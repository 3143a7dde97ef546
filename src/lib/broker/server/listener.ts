/**
 * The socket file: with its final rights from the first moment that it can be seen, never in place of one that is
 * alive, and never removed by us once it belongs to another process.
 */
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  existsSync,
  fstatSync,
  lstatSync,
  openSync,
  renameSync,
  statSync,
  unlinkSync,
} from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { basename, dirname, join } from 'node:path';
import { CmsError, systemErrorCode } from '../../core/errors.ts';
import { checkSocketPath } from '../../os/paths.ts';
import { type ClientHandle, duplicate, isBound, takeHandles } from '../../os/libc.ts';
import { quoted } from '../../core/shell-word.ts';
import { cures } from '../../os/files/advice.ts';
import { ensurePrivateFolder } from '../../os/files/files.ts';
import { judgeFolder } from '../../os/files/trusted.ts';
import type { SocketPolicy } from './policy.ts';

/** More than the usual 511, for the moment when a thousand clients arrive at once. */
const BACKLOG = 4096;
/** A descriptor for the file without opening it, as a socket cannot be opened; Node has no name for it. @see open(2) */
const O_PATH = 0o10000000;

export interface Listener {
  readonly policy: SocketPolicy;
  /** File mode that the socket has: the policy's, or the service manager's. */
  readonly mode: number;
  /** Whether the socket file is still ours. */
  isInPlace(): boolean;
  /** No new connections, and no file; resolves when the open connections have ended. */
  close(): Promise<void>;
}

/** A socket that the service manager handed over. */
export interface ActivatedSocket {
  fd: number;
  /** FileDescriptorName= of its unit. */
  name: string;
  path: string;
  /** Of the file at `path` when we started; undefined where there was none. */
  inode: number | undefined;
}

/** Where new connections go. */
export interface Entrance {
  accept: (socket: Socket) => void;
  /** Instead, where Node gives handles: a connection without its stream, and the descriptor it came through. */
  take?: (client: ClientHandle, listening: number) => void;
}

/**
 * Listens on the policy's path.
 * @throws CmsError `cannot_create` (a live socket or another file is there), `config_invalid` (path, folder, group)
 */
export async function listenOn(policy: SocketPolicy, entrance: Entrance): Promise<Listener> {
  const { path } = policy;
  checkSocketPath(path);
  if (policy.private) await ensurePrivateFolder(dirname(path));
  else requireFolder(dirname(path), path);
  requireFree(path);
  const server = createServer({ allowHalfOpen: true }, entrance.accept);
  const inode = await publish(server, policy);
  if (entrance.take !== undefined) takeHandles(server, entrance.take);
  const isInPlace = (): boolean => inodeOf(path) === inode;
  return {
    policy,
    mode: policy.mode,
    isInPlace,
    close: () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      if (isInPlace()) removeIfPossible(path);
      return closed;
    },
  };
}

/**
 * In a folder that is closed to us by now the file stays: stale, and replaced by the next process that listens there.
 */
function removeIfPossible(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (systemErrorCode(error) === undefined) throw error;
  }
}

/**
 * Listens on a socket that the service manager bound. Mode, group and the file itself are its business; ours is only
 * that the mode lets nobody in whom the policy would not.
 * @throws CmsError `config_invalid` for a folder or a mode that is too open, `cannot_create`
 */
export async function listenOnActivated(
  policy: SocketPolicy,
  { fd }: ActivatedSocket,
  entrance: Entrance,
): Promise<Listener> {
  const { path } = policy;
  if (policy.private) await ensurePrivateFolder(dirname(path));
  else requireFolder(dirname(path), path);
  const { ino, mode } = lstatSync(path);
  requireModest(policy, mode & 0o777);
  const server = createServer({ allowHalfOpen: true }, entrance.accept);
  await new Promise<void>((resolve, reject) => {
    server.once('listening', resolve);
    server.once('error', (error) => reject(cannotListen(path, error)));
    // A copy: the server closes its own, and ours is needed again when the policy changes.
    server.listen({ fd: duplicate(fd), backlog: BACKLOG });
  });
  if (entrance.take !== undefined) takeHandles(server, entrance.take);
  return {
    policy,
    mode: mode & 0o777,
    isInPlace: () => inodeOf(path) === ino,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

/** Connecting takes the right to write; systemd's default gives it to everybody. */
function requireModest({ path, private: own }: SocketPolicy, mode: number): void {
  if ((mode & (own ? 0o022 : 0o002)) === 0) return;
  throw new CmsError(
    'config_invalid',
    `the service manager made ${path} with mode ${mode.toString(8)}: open to others`,
    {
      suggestions: [
        `SocketMode=${own ? '0600' : '0660'}   # in the [Socket] section of its unit`,
        'cms service install',
      ],
    },
  );
}

/**
 * Binds under another name and renames: that takes the place of a stale file in one step, never shows a socket with
 * the wrong rights, and leaves it to us to remove the file. (libuv would remove whatever is at the path it bound.)
 * @returns the inode of the socket file
 */
async function publish(server: Server, policy: SocketPolicy): Promise<number> {
  const { path } = policy;
  const hidden = join(dirname(path), hiddenName(basename(path)));
  const umask = process.umask(0o177);
  const listening = new Promise<void>((resolve, reject) => {
    server.once('listening', resolve);
    server.once('error', (error) => reject(cannotListen(path, error)));
    // bind() happens before listen() returns, so the umask around it is the one that counts.
    server.listen({ path: hidden, backlog: BACKLOG });
  });
  process.umask(umask);
  await listening;
  try {
    return publishFile(policy, hidden);
  } catch (error) {
    await new Promise((resolve) => server.close(resolve));
    throw error instanceof CmsError ? error : cannotListen(path, error as Error);
  }
}

/**
 * Gives the file its rights and its name. It is held open meanwhile, so that all this happens to the very file that was
 * bound, and to nothing that a link under its name leads to.
 */
function publishFile(policy: SocketPolicy, hidden: string): number {
  const { path, gid, mode } = policy;
  const fd = process.platform === 'linux' ? openSync(hidden, O_PATH | constants.O_NOFOLLOW) : undefined;
  try {
    const file = fd === undefined ? lstatSync(hidden) : fstatSync(fd);
    if (!file.isSocket() || file.uid !== process.geteuid?.()) throw exchanged(path);
    const held = fd === undefined ? hidden : heldFile(fd, hidden);
    if (gid !== undefined) giveToGroup(policy, held, gid);
    chmodSync(held, mode);
    renameSync(hidden, path);
    if (lstatSync(path).ino !== file.ino) throw exchanged(path);
    return file.ino;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** A name that leads to the open file, whatever its own name leads to by now; where /proc is there. */
function heldFile(fd: number, name: string): string {
  const held = `/proc/self/fd/${fd}`;
  return existsSync(held) ? held : name;
}

function exchanged(path: string): CmsError {
  return new CmsError('cannot_create', `cannot listen on ${path}: another program exchanged the file meanwhile`, {
    suggestions: [`ls -ld ${quoted(dirname(path))} ${quoted(path)}`],
  });
}

/** As long as the real name, so that a path which fits does so under both. */
function hiddenName(name: string): string {
  return `.${randomBytes(8)
    .toString('hex')
    .slice(0, Math.max(name.length - 1, 4))}`;
}

function giveToGroup({ path, group }: SocketPolicy, file: string, gid: number): void {
  try {
    // A setgid folder hands its group on; only otherwise has it to be changed, which takes membership.
    if (statSync(file).gid !== gid) chownSync(file, -1, gid);
  } catch (error) {
    const name = group ?? String(gid);
    throw new CmsError(
      'config_invalid',
      `cannot give ${path} to the group ${name}: ${systemErrorCode(error) ?? 'unknown'}`,
      {
        cause: error,
        suggestions: [
          `sudo install -d -m 2750 -o ${String(process.getuid?.())} -g ${quoted(name)} ${quoted(dirname(path))}   # a folder that hands its group on`,
          'cms exim-config --install   # makes one for exim',
        ],
      },
    );
  }
}

/** Refuses a folder in which another user could put something else in the place of the socket. */
function requireFolder(folder: string, path: string): void {
  const refuse = (why: string, suggestions: string[]): CmsError =>
    new CmsError('config_invalid', `cannot listen on ${path}: ${why}`, { suggestions });
  if (judgeFolder(folder, path, { refuse }).stat !== undefined) return;
  throw new CmsError('config_invalid', `there is no folder ${folder} for the socket`, {
    suggestions: [`mkdir -m 0700 -p ${quoted(folder)}`],
  });
}

/** A stale socket is replaced; anything else that is there stays. */
function requireFree(path: string): void {
  let isSocket: boolean;
  try {
    isSocket = lstatSync(path).isSocket();
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return;
    throw cannotListen(path, error as Error);
  }
  if (!isSocket) {
    throw new CmsError('cannot_create', `${path} is there and is no socket`, {
      suggestions: [`ls -l ${quoted(path)}`],
    });
  }
  if (isBound(path)) {
    throw new CmsError('cannot_create', `another program listens on ${path}`, {
      suggestions: [`fuser -v ${quoted(path)}`, 'cms status'],
    });
  }
}

/** @returns undefined where there is no file */
export function inodeOf(path: string): number | undefined {
  try {
    return lstatSync(path).ino;
  } catch {
    return undefined;
  }
}

function cannotListen(path: string, error: Error): CmsError {
  const code = systemErrorCode(error) ?? error.message;
  return new CmsError('cannot_create', `cannot listen on ${path}: ${code}`, {
    cause: error,
    suggestions: cures(path, code),
  });
}
