/**
 * Who gets in, and how many at once. The kernel hands out a limited number of descriptors; when they run short, the
 * connection that has been silent longest makes room, so that nobody can keep others out by doing nothing.
 */
import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import type { Logger } from '../log.ts';
import { peerCredentials } from '../native.ts';
import type { Broker } from './broker.ts';
import { Connection, type ConnectionEvents, TICK_MS } from './connection.ts';
import { LinkedList } from './linked-list.ts';
import { mayConnect, type SocketPolicy } from './policy.ts';

/** Connections at once of one user who is neither the owner nor root. */
const MAX_FOREIGN = 1024;
/** Descriptors kept for files, the provider and the keyring: a share, but never fewer than a refresh needs. */
const RESERVED_SHARE = 0.1;
const RESERVED_LEAST = 44;
const FEWEST_CONNECTIONS = 8;

export class Doorkeeper {
  readonly #broker: Broker;
  readonly #ownUid: number;
  readonly #log: Logger;
  readonly #limit = connectionLimit();
  #open = 0;
  /** Those whose request is not complete, the oldest first. */
  readonly #silent = new LinkedList<Connection>();
  readonly #asking = new LinkedList<Connection>();
  readonly #byUid = new Map<number, number>();
  /** Runs while connections are open. */
  #clock: NodeJS.Timeout | undefined;

  constructor(broker: Broker, ownUid: number, log: Logger) {
    this.#broker = broker;
    this.#ownUid = ownUid;
    this.#log = log;
  }

  /** Takes a new connection, or ends it. */
  accept(socket: Socket, policy: SocketPolicy): void {
    const credentials = peerCredentials(socket);
    const uid = credentials?.uid;
    if (!mayConnect(policy, credentials, this.#ownUid)) {
      this.#broker.refuseConnection({ policy, credentials }, 'not one of the users of this socket');
      socket.destroy();
      return;
    }
    if (this.#isForeign(uid) && (this.#byUid.get(uid) ?? 0) >= MAX_FOREIGN) {
      this.#broker.refuseConnection({ policy, credentials }, `more than ${MAX_FOREIGN} connections at once`);
      socket.destroy();
      return;
    }
    if (this.#open >= this.#limit) this.#makeRoom();
    this.#open++;
    this.#clock ??= setInterval(() => this.#tick(), TICK_MS).unref();
    this.#count(uid, 1);
    this.#silent.append(new Connection(socket, this.#broker, { policy, credentials }, this.#events));
  }

  destroyAll(): void {
    for (const list of [this.#silent, this.#asking]) list.forEach((connection) => connection.destroy());
  }

  readonly #events: ConnectionEvents = {
    complete: (connection) => {
      this.#silent.remove(connection);
      this.#asking.append(connection);
    },
    closed: (connection) => {
      (connection.complete ? this.#asking : this.#silent).remove(connection);
      this.#open--;
      this.#count(connection.peer.credentials?.uid, -1);
    },
  };

  #tick(): void {
    for (const list of [this.#silent, this.#asking]) list.forEach((connection) => connection.tick());
    if (this.#open > 0) return;
    clearInterval(this.#clock);
    this.#clock = undefined;
  }

  #makeRoom(): void {
    const oldest = this.#silent.first;
    if (oldest === undefined) return;
    this.#log.warn('too many connections; the longest silent one was closed', { open: this.#open });
    oldest.destroy();
  }

  #isForeign(uid: number | undefined): uid is number {
    return uid !== undefined && uid !== 0 && uid !== this.#ownUid;
  }

  #count(uid: number | undefined, change: 1 | -1): void {
    if (!this.#isForeign(uid)) return;
    const count = (this.#byUid.get(uid) ?? 0) + change;
    if (count === 0) this.#byUid.delete(uid);
    else this.#byUid.set(uid, count);
  }
}

/** What RLIMIT_NOFILE leaves. */
function connectionLimit(): number {
  try {
    const soft = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
    if (soft !== undefined) return limitFor(Number(soft));
  } catch {
    // Not Linux: the kernel's own limit then closes connections.
  }
  return Infinity;
}

/** How many connections may be open where a process may have `descriptors`. */
function limitFor(descriptors: number): number {
  const reserved = Math.max(RESERVED_LEAST, Math.ceil(descriptors * RESERVED_SHARE));
  return Math.max(FEWEST_CONNECTIONS, descriptors - reserved);
}
