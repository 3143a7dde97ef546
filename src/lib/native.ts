/**
 * The few system calls that Node has no word for, through koffi. Loaded on first use: a process that talks to a broker
 * needs none of them.
 */
import { createRequire } from 'node:module';
import type { Socket } from 'node:net';
import type Koffi from 'koffi';
import { CmsError } from './errors.ts';

const LOCK_EX = 2;
const LOCK_NB = 4;
const EAGAIN = process.platform === 'linux' ? 11 : 35;
const EINTR = 4;
const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
const PR_SET_DUMPABLE = 4;

interface Libc {
  flock: (fd: number, operation: number) => number;
  getsockopt: (fd: number, level: number, name: number, value: Buffer, length: number[]) => number;
  prctl: (option: number, value: number, a: number, b: number, c: number) => number;
  errno: () => number;
}

let loaded: Libc | undefined;

function libc(): Libc {
  if (loaded) return loaded;
  // require(), not import(): the callers are synchronous, and a helper must not wait for the loader.
  const koffi = createRequire(import.meta.url)('koffi') as typeof Koffi;
  const library = koffi.load(null);
  const linux = process.platform === 'linux';
  loaded = {
    flock: library.func('int flock(int fd, int operation)') as Libc['flock'],
    getsockopt: library.func(
      'int getsockopt(int fd, int level, int name, _Out_ uint8_t *value, _Inout_ uint32_t *length)',
    ) as Libc['getsockopt'],
    prctl: linux
      ? (library.func(
          'int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)',
        ) as Libc['prctl'])
      : () => 0,
    errno: () => koffi.errno(),
  };
  return loaded;
}

/**
 * Takes an exclusive `flock(2)` without waiting. The kernel frees it when the last descriptor is closed, also on kill.
 * @returns whether the lock was had
 * @throws CmsError `store_unavailable` where the file system has no locks
 */
export function tryLock(fd: number): boolean {
  for (;;) {
    if (libc().flock(fd, LOCK_EX | LOCK_NB) === 0) return true;
    const errno = libc().errno();
    if (errno === EAGAIN) return false;
    if (errno !== EINTR) {
      throw new CmsError('store_unavailable', `this file system cannot lock files (flock: errno ${errno})`, {
        suggestions: ['put the state folder on a local file system: export CMS_STATE_DIR=/path'],
      });
    }
  }
}

export interface PeerCredentials {
  pid: number;
  uid: number;
  gid: number;
}

/**
 * Who is at the other end of a UNIX socket (SO_PEERCRED): as of connect() for a client, of listen() for a server.
 * @returns undefined where the platform or this Node version cannot tell
 */
export function peerCredentials(socket: Socket): PeerCredentials | undefined {
  if (process.platform !== 'linux') return undefined;
  // Not part of Node's public interface: if it goes away, callers refuse whatever is not private by file mode.
  const fd = (socket as unknown as { _handle?: { fd?: unknown } })._handle?.fd;
  if (typeof fd !== 'number' || fd < 0) return undefined;
  const ucred = Buffer.alloc(12);
  if (libc().getsockopt(fd, SOL_SOCKET, SO_PEERCRED, ucred, [ucred.length]) !== 0) return undefined;
  return { pid: ucred.readInt32LE(0), uid: ucred.readUInt32LE(4), gid: ucred.readUInt32LE(8) };
}

/** No core dumps, and no reading of our memory by other processes of the same user (PR_SET_DUMPABLE 0). */
export function forbidDumps(): void {
  libc().prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}
