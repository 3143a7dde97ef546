/**
 * The few system calls that Node has no API for, through koffi. Loaded on first use, and no more of it than is needed:
 * `cms token` asks for nothing but who is at the other end of its connection.
 */
import { existsSync } from 'node:fs';
import type { Server, Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type Koffi from 'koffi';
import { CmsError } from '../core/errors.ts';

const LOCK_EX = 2;
const LOCK_NB = 4;
const EAGAIN = process.platform === 'linux' ? 11 : 35;
const EINTR = 4;
const ECONNREFUSED = process.platform === 'linux' ? 111 : 61;
const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
const SO_ACCEPTCONN = 30;
const PR_SET_DUMPABLE = 4;
const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const SOCK_NONBLOCK = 0o4000;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const F_SETFD = 2;
const FD_CLOEXEC = 1;
const F_DUPFD_CLOEXEC = 1030;
/** As long as the kernel lets an extended attribute be. @see <linux/limits.h>, XATTR_SIZE_MAX */
const MAX_ATTRIBUTE_BYTES = 65_536;
/** `struct sockaddr_un`: two bytes of family, 108 of path. */
const SOCKADDR_BYTES = 110;

interface Libc {
  flock: (fd: number, operation: number) => number;
  prctl: (option: number, value: number, a: number, b: number, c: number) => number;
  socketFlag: (fd: number, level: number, name: number, value: number[], length: number[]) => number;
  getsockname: (fd: number, address: Buffer, length: number[]) => number;
  fcntl: (fd: number, command: number, type: 'int', value: number) => number;
  socket: (domain: number, type: number, protocol: number) => number;
  connect: (fd: number, address: Buffer, length: number) => number;
  accept4: (fd: number, address: null, length: null, flags: number) => number;
  recv: (fd: number, buffer: Buffer, size: number, flags: number) => number;
  send: (fd: number, data: Buffer, size: number, flags: number) => number;
  sendto: (fd: number, data: Buffer, size: number, flags: number, address: Buffer, length: number) => number;
  close: (fd: number) => number;
  getxattr: (path: string, name: string, value: Buffer, size: number) => number;
  errno: () => number;
}

type GetSockOpt = (fd: number, level: number, name: number, value: Int32Array, length: Uint32Array) => number;

let koffiLoaded: typeof Koffi | undefined;
let getsockoptLoaded: GetSockOpt | undefined;
let loaded: Libc | undefined;

function getsockopt(): GetSockOpt {
  koffiLoaded ??= loadKoffi();
  const declaration = 'int getsockopt(int fd, int level, int name, void *value, void *length)';
  getsockoptLoaded ??= koffiLoaded.load(null).func(declaration) as GetSockOpt;
  return getsockoptLoaded;
}

function libc(): Libc {
  if (loaded) return loaded;
  koffiLoaded ??= loadKoffi();
  const koffi = koffiLoaded;
  const library = koffi.load(null);
  const linux = process.platform === 'linux';
  loaded = {
    flock: library.func('int flock(int fd, int operation)') as Libc['flock'],
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
    connect: library.func('int connect(int fd, const uint8_t *address, uint32_t length)') as Libc['connect'],
    accept4: linux
      ? (library.func('int accept4(int fd, void *address, void *length, int flags)') as Libc['accept4'])
      : () => -1,
    recv: library.func('long recv(int fd, void *buffer, size_t size, int flags)') as Libc['recv'],
    send: library.func('long send(int fd, const void *data, size_t size, int flags)') as Libc['send'],
    sendto: library.func(
      'long sendto(int fd, const uint8_t *data, size_t size, int flags, const uint8_t *address, uint32_t length)',
    ) as Libc['sendto'],
    close: library.func('int close(int fd)') as Libc['close'],
    getxattr: linux
      ? (library.func(
          'long getxattr(const char *path, const char *name, void *value, size_t size)',
        ) as Libc['getxattr'])
      : () => -1,
    errno: () => koffi.errno(),
  };
  return loaded;
}

/**
 * The library's native part, without the script around it, which takes 20 ms: its forms of the past are not needed here.
 * Opened where it lies beside us, which spares 1 ms of looking for it by name. Where it is not there (another C library,
 * another layout), that script finds it.
 */
function loadKoffi(): typeof Koffi {
  const { platform, arch } = process;
  const file = join('node_modules', '@koromix', `koffi-${platform}-${arch}`, `${platform}_${arch}`, 'koffi.node');
  const own = fileURLToPath(import.meta.url);
  for (let folder = dirname(own); ; folder = dirname(folder)) {
    const path = join(folder, file);
    if (existsSync(path)) {
      const native: { exports: unknown } = { exports: {} };
      try {
        process.dlopen(native, path);
        return native.exports as typeof Koffi;
      } catch {
        break;
      }
    }
    if (folder === dirname(folder)) break;
  }
  // require(), not import(): the callers are synchronous. A bundle as CommonJS has one, and loads no other.
  const load =
    typeof require === 'function' ? require : process.getBuiltinModule('node:module').createRequire(import.meta.url);
  return load('koffi') as typeof Koffi;
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

/**
 * `struct ucred` {pid, uid, gid} and its length; filled again by each call, because memory of their own would cost more
 * than the call.
 */
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
  const fd = descriptorOf(socket);
  return fd === undefined ? undefined : credentialsBehind(fd);
}

/** The same for a descriptor. */
export function credentialsBehind(fd: number): PeerCredentials | undefined {
  if (process.platform !== 'linux') return undefined;
  ucredLength[0] = ucred.byteLength;
  if (getsockopt()(fd, SOL_SOCKET, SO_PEERCRED, ucred, ucredLength) !== 0) return undefined;
  const [pid = -1, uid = -1, gid = -1] = ucred;
  return { pid, uid: uid >>> 0, gid: gid >>> 0 };
}

/** What libuv accepted, before there is a stream of it. */
export interface ClientHandle {
  readonly fd: number;
  close: () => void;
}

type OnConnection = (this: unknown, status: number, client: ClientHandle | undefined) => void;

/**
 * Has `take` called for what the server accepts, instead of a stream being made of each. Not part of Node's public
 * interface: where it is missing, the server goes on as usual.
 * @returns whether it is done
 */
export function takeHandles(server: Server, take: (client: ClientHandle, listening: number) => void): boolean {
  const handle = (server as unknown as { _handle?: { onconnection?: OnConnection; fd?: number } | null })._handle;
  const usual = handle?.onconnection;
  if (process.platform !== 'linux' || !handle || typeof usual !== 'function') return false;
  handle.onconnection = function (status, client) {
    const listening = handle.fd;
    const isUsable = status === 0 && client !== undefined && client.fd >= 0 && typeof client.close === 'function';
    if (isUsable && listening !== undefined && listening >= 0) take(client, listening);
    else usual.call(this, status, client);
  };
  return true;
}

/** Not part of Node's public interface: if it goes away, callers refuse whatever is not private by file mode. */
export function descriptorOf(handled: Socket | Server): number | undefined {
  const fd = (handled as unknown as { _handle?: { fd?: unknown } | null })._handle?.fd;
  return typeof fd === 'number' && fd >= 0 ? fd : undefined;
}

/** The next connection that waits at a listening socket; undefined where there is none, and where this cannot be done. */
export function acceptNow(listening: number): number | undefined {
  const fd = libc().accept4(listening, null, null, SOCK_CLOEXEC | SOCK_NONBLOCK);
  return fd < 0 ? undefined : fd;
}

/**
 * Reads what has come at a socket into `buffer` from `offset` on, without waiting.
 * @returns bytes; 0 at the end of the stream and for a connection that is broken; undefined where nothing has come yet
 */
export function receive(fd: number, buffer: Buffer, offset: number): number | undefined {
  for (;;) {
    const count = libc().recv(fd, buffer.subarray(offset), buffer.length - offset, MSG_DONTWAIT);
    if (count >= 0) return count;
    const errno = libc().errno();
    if (errno === EAGAIN) return undefined;
    if (errno !== EINTR) return 0;
  }
}

/** Sends without waiting. @returns bytes that were taken; 0 where the other end is gone */
export function send(fd: number, data: Buffer): number {
  for (;;) {
    const count = libc().send(fd, data, data.length, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count >= 0) return count;
    if (libc().errno() !== EINTR) return 0;
  }
}

export function closeDescriptor(fd: number): void {
  libc().close(fd);
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

/** The access control list of a file, as the kernel keeps it; undefined where it has none. @see acl(5) */
export function accessListOf(path: string): Buffer | undefined {
  const list = Buffer.alloc(MAX_ATTRIBUTE_BYTES);
  const length = libc().getxattr(path, 'system.posix_acl_access', list, list.length);
  return length < 0 ? undefined : list.subarray(0, length);
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
 * Whether a program has bound the socket file at `path`, told without a connection: that could wake whoever waits for
 * one. The kernel finds the socket before it looks at its kind, and a stream socket is not what this one fits to.
 */
export function isBound(path: string): boolean {
  const address = unixAddress(path);
  if (address === undefined) return true;
  const fd = libc().socket(AF_UNIX, SOCK_DGRAM | (process.platform === 'linux' ? SOCK_CLOEXEC : 0), 0);
  if (fd < 0) return true;
  try {
    return libc().connect(fd, address, address.length) === 0 || libc().errno() !== ECONNREFUSED;
  } finally {
    libc().close(fd);
  }
}

/** `struct sockaddr_un` without what follows the path; undefined for a path that is too long. */
function unixAddress(path: string): Buffer | undefined {
  const name = Buffer.from(path);
  if (name.length > SOCKADDR_BYTES - 3) return undefined;
  const address = Buffer.alloc(3 + name.length);
  // The BSDs have a byte for the length there.
  if (process.platform === 'linux') address.writeUInt16LE(AF_UNIX, 0);
  else address.writeUInt8(AF_UNIX, 1);
  name.copy(address, 2);
  return address;
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
