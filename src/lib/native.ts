/**
 * The few system calls that Node has no word for, through koffi. Loaded on first use: a process that talks to a broker
 * needs none of them.
 */
import type { Socket } from 'node:net';
import type Koffi from 'koffi';
import { CmsError } from './errors.ts';

const LOCK_EX = 2;
const LOCK_NB = 4;
const EAGAIN = process.platform === 'linux' ? 11 : 35;
const EINTR = 4;
const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
const SO_ACCEPTCONN = 30;
const PR_SET_DUMPABLE = 4;
const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const F_SETFD = 2;
const FD_CLOEXEC = 1;
const F_DUPFD_CLOEXEC = 1030;
/** `struct sockaddr_un`: two bytes of family, 108 of path. */
const SOCKADDR_BYTES = 110;

interface Libc {
  flock: (fd: number, operation: number) => number;
  getsockopt: (fd: number, level: number, name: number, value: Int32Array, length: Uint32Array) => number;
  prctl: (option: number, value: number, a: number, b: number, c: number) => number;
  socketFlag: (fd: number, level: number, name: number, value: number[], length: number[]) => number;
  getsockname: (fd: number, address: Buffer, length: number[]) => number;
  fcntl: (fd: number, command: number, type: 'int', value: number) => number;
  socket: (domain: number, type: number, protocol: number) => number;
  sendto: (fd: number, data: Buffer, size: number, flags: number, address: Buffer, length: number) => number;
  close: (fd: number) => number;
  errno: () => number;
}

let loaded: Libc | undefined;

function libc(): Libc {
  if (loaded) return loaded;
  const koffi = loadKoffi();
  const library = koffi.load(null);
  const linux = process.platform === 'linux';
  loaded = {
    flock: library.func('int flock(int fd, int operation)') as Libc['flock'],
    getsockopt: library.func(
      'int getsockopt(int fd, int level, int name, void *value, void *length)',
    ) as Libc['getsockopt'],
    prctl: linux
      ? (library.func(
          'int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)',
        ) as Libc['prctl'])
      : () => 0,
    socketFlag: library.func(
      'int getsockopt(int fd, int level, int name, _Out_ int *value, _Inout_ uint32_t *length)',
    ) as Libc['socketFlag'],
    getsockname: library.func(
      'int getsockname(int fd, _Out_ uint8_t *address, _Inout_ uint32_t *length)',
    ) as Libc['getsockname'],
    fcntl: library.func('int fcntl(int fd, int command, ...)') as Libc['fcntl'],
    socket: library.func('int socket(int domain, int type, int protocol)') as Libc['socket'],
    sendto: library.func(
      'long sendto(int fd, const uint8_t *data, size_t size, int flags, const uint8_t *address, uint32_t length)',
    ) as Libc['sendto'],
    close: library.func('int close(int fd)') as Libc['close'],
    errno: () => koffi.errno(),
  };
  return loaded;
}

/**
 * The library's native part, without the script around it, which takes 6 ms of a `cms token` of 60: its forms of the
 * past are not needed here. Where it does not lie there (another C library, another layout), that script finds it.
 */
function loadKoffi(): typeof Koffi {
  // require(), not import(): the callers are synchronous. A bundle as CommonJS has one, and loads no other.
  const load =
    typeof require === 'function' ? require : process.getBuiltinModule('node:module').createRequire(import.meta.url);
  const { platform, arch } = process;
  try {
    return load(`@koromix/koffi-${platform}-${arch}/${platform}_${arch}/koffi.node`) as typeof Koffi;
  } catch {
    return load('koffi') as typeof Koffi;
  }
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

/** `struct ucred` {pid, uid, gid} and its length; filled anew by each call, because memory of their own would cost more than the call. */
const ucred = new Int32Array(3);
const ucredLength = new Uint32Array(1);

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
  ucredLength[0] = ucred.byteLength;
  if (libc().getsockopt(fd, SOL_SOCKET, SO_PEERCRED, ucred, ucredLength) !== 0) return undefined;
  const [pid = -1, uid = -1, gid = -1] = ucred;
  return { pid, uid: uid >>> 0, gid: gid >>> 0 };
}

/** No core dumps, and no reading of our memory by other processes of the same user (PR_SET_DUMPABLE 0). */
export function forbidDumps(): void {
  libc().prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

/**
 * The path of a listening UNIX stream socket that this process was started with.
 * @returns undefined for any other descriptor, and for a socket without a path
 */
export function listeningPath(fd: number): string | undefined {
  const listens = [0];
  if (libc().socketFlag(fd, SOL_SOCKET, SO_ACCEPTCONN, listens, [4]) !== 0 || listens[0] !== 1) return undefined;
  const address = Buffer.alloc(SOCKADDR_BYTES);
  if (libc().getsockname(fd, address, [address.length]) !== 0) return undefined;
  const end = address.indexOf(0, 2);
  const path = address.toString('utf8', 2, end < 0 ? address.length : end);
  return address.readUInt16LE(0) === AF_UNIX && path.startsWith('/') ? path : undefined;
}

/** Keeps a descriptor that was inherited from being inherited further. */
export function closeOnExec(fd: number): void {
  libc().fcntl(fd, F_SETFD, 'int', FD_CLOEXEC);
}

/** A second descriptor for the same file, not inherited by children. @throws CmsError `io_error` */
export function duplicate(fd: number): number {
  const copy = libc().fcntl(fd, F_DUPFD_CLOEXEC, 'int', 0);
  if (copy >= 0) return copy;
  throw new CmsError('io_error', `cannot duplicate the descriptor ${fd} (fcntl: errno ${libc().errno()})`);
}

/**
 * Sends one datagram to a UNIX socket, without waiting; a leading `@` stands for Linux' abstract names.
 * @returns whether it was taken
 */
export function sendDatagram(path: string, text: string): boolean {
  const address = Buffer.alloc(SOCKADDR_BYTES);
  address.writeUInt16LE(AF_UNIX, 0);
  const name = Buffer.from(path);
  if (name.length > SOCKADDR_BYTES - 3) return false;
  name.copy(address, 2);
  if (path.startsWith('@')) address[2] = 0;
  const fd = libc().socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  const data = Buffer.from(text);
  const sent = libc().sendto(fd, data, data.length, MSG_DONTWAIT | MSG_NOSIGNAL, address, 2 + name.length);
  libc().close(fd);
  return sent === data.length;
}
