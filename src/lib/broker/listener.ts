/** The socket file: made with its final rights from the first moment, never in place of one that is alive. */
import { chmodSync, chownSync, lstatSync, statSync, unlinkSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { CmsError, systemErrorCode } from '../errors.ts';
import type { Logger } from '../log.ts';
import { peerCredentials } from '../native.ts';
import { checkSocketPath } from '../paths.ts';
import { ensurePrivateFolder } from '../store/files.ts';
import type { Broker } from './broker.ts';
import { serveConnection } from './connection.ts';
import { mayConnect, type SocketPolicy } from './policy.ts';

/** More than the usual 511, for the moment when a thousand clients arrive at once. */
const BACKLOG = 4096;
const PROBE_TIMEOUT_MS = 1000;

export interface Listener {
  readonly policy: SocketPolicy;
  /** Whether the socket file is still ours. */
  isInPlace(): boolean;
  /** No new connections; resolves when the open ones have ended. */
  close(): Promise<void>;
  /** Ends the open connections. */
  destroyConnections(): void;
}

/**
 * Listens on the policy's path.
 * @throws CmsError `cannot_create` (a live socket or another file is there), `config_invalid` (path, folder, group)
 */
export async function listenOn(policy: SocketPolicy, broker: Broker, ownUid: number, log: Logger): Promise<Listener> {
  checkSocketPath(policy.path);
  if (policy.private) await ensurePrivateFolder(dirname(policy.path));
  else requireFolder(dirname(policy.path));
  await removeStale(policy.path);
  const connections = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    connections.add(socket);
    socket.once('close', () => connections.delete(socket));
    const credentials = peerCredentials(socket);
    if (!mayConnect(policy, credentials, ownUid)) {
      log.warn('connection refused', { socket: policy.path, uid: credentials?.uid, pid: credentials?.pid });
      socket.destroy();
      return;
    }
    serveConnection(socket, broker, { policy, credentials }, log);
  });
  await bind(server, policy);
  server.on('error', (error) => log.error('cannot accept connections', { socket: policy.path, reason: error.message }));
  const inode = lstatSync(policy.path).ino;
  log.info('listening', { socket: policy.path, mode: policy.mode.toString(8), group: policy.group });
  return {
    policy,
    isInPlace: () => inodeOf(policy.path) === inode,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
      }),
    destroyConnections: () => {
      for (const socket of connections) socket.destroy();
    },
  };
}

/**
 * The socket exists when listen() returns, so a umask around it gives it its rights from the first moment. Where a
 * group is wanted, it gets no rights but the owner's until the group is right.
 */
async function bind(server: Server, policy: SocketPolicy): Promise<void> {
  const mode = policy.gid === undefined ? policy.mode : policy.mode & 0o700;
  const umask = process.umask(0o777 & ~mode);
  const listening = new Promise<void>((resolve, reject) => {
    server.once('listening', resolve);
    server.once('error', (error) => reject(cannotListen(policy.path, error)));
    server.listen({ path: policy.path, backlog: BACKLOG });
  });
  process.umask(umask);
  await listening;
  if (policy.gid === undefined) return;
  try {
    giveToGroup(policy, policy.gid);
  } catch (error) {
    await new Promise((resolve) => server.close(resolve));
    throw error;
  }
}

function giveToGroup({ path, group, mode }: SocketPolicy, gid: number): void {
  try {
    // A setgid folder hands its group on; only otherwise has it to be changed, which takes membership.
    if (statSync(path).gid !== gid) chownSync(path, -1, gid);
    chmodSync(path, mode);
  } catch (error) {
    throw new CmsError(
      'config_invalid',
      `cannot give ${path} to the group ${group ?? String(gid)}: ${systemErrorCode(error) ?? 'unknown'}`,
      {
        cause: error,
        suggestions: [
          `sudo install -d -m 2750 -o ${String(process.getuid?.())} -g ${group ?? String(gid)} ${dirname(path)}   # a folder that hands its group on`,
          'cms exim-config --install   # makes one for exim',
        ],
      },
    );
  }
}

function requireFolder(folder: string): void {
  try {
    if (statSync(folder).isDirectory()) return;
  } catch {
    // Named below.
  }
  throw new CmsError('config_invalid', `there is no folder ${folder} for the socket`, {
    suggestions: [`mkdir -m 0700 -p ${folder}`],
  });
}

async function removeStale(path: string): Promise<void> {
  let isSocket: boolean;
  try {
    isSocket = lstatSync(path).isSocket();
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return;
    throw cannotListen(path, error as Error);
  }
  if (!isSocket) {
    throw new CmsError('cannot_create', `${path} is there and is no socket`, { suggestions: [`ls -l ${path}`] });
  }
  if (await isAlive(path)) {
    throw new CmsError('cannot_create', `another program listens on ${path}`, {
      suggestions: [`fuser -v ${path}`, 'cms status'],
    });
  }
  try {
    unlinkSync(path);
  } catch (error) {
    throw cannotListen(path, error as Error);
  }
}

/** Only a refused connection proves that nobody listens. */
function isAlive(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    const end = (alive: boolean): void => {
      socket.destroy();
      resolve(alive);
    };
    socket.setTimeout(PROBE_TIMEOUT_MS, () => end(true));
    socket.once('connect', () => end(true));
    socket.once('error', (error) => end(systemErrorCode(error) !== 'ECONNREFUSED'));
  });
}

function inodeOf(path: string): number | undefined {
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
    suggestions: [`ls -ld ${dirname(path)} ${path}`],
  });
}
