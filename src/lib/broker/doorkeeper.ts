/**
 * Who gets in, and in which turn. The kernel hands out connections in the order of their coming, and a limited number of
 * descriptors. One user with a thousand connections would keep all others waiting: so whatever waits at a socket is
 * taken at once, and answered by turns, a connection of each user and within a user of each process. When descriptors
 * run short, the user who has most of them makes room.
 */
import { readFileSync } from 'node:fs';
import { type Server, Socket } from 'node:net';
import { elapsedMs } from '../elapsed.ts';
import type { Logger } from '../log.ts';
import {
  acceptNow,
  closeDescriptor,
  credentialsBehind,
  descriptorOf,
  isSpent,
  type PeerCredentials,
  peerCredentials,
} from '../native.ts';
import type { Broker, Peer } from './broker.ts';
import { Connection, type ConnectionEvents, TICK_MS } from './connection.ts';
import { LinkedList } from './linked-list.ts';
import { mayConnect, type SocketPolicy } from './policy.ts';
import { Throttle } from './throttle.ts';

/** Connections at once of one user who is neither the owner nor root. */
const MAX_FOREIGN = 1024;
/** Connections that are taken at once, and that are begun, before others are read and answered. */
const MAX_TAKEN = 512;
const MAX_BEGUN = 32;
/** Descriptors kept for files, the provider and the keyring: a share, but never fewer than a refresh needs. */
const RESERVED_SHARE = 0.1;
const RESERVED_LEAST = 44;
const FEWEST_CONNECTIONS = 8;
/** After that, a client has had the time to ask; before, its request may be there and not be read yet. */
const SILENT_MS = 20;
/** Descriptors of the reserve that may be used until a connection ends by itself. */
const OVERRUN = 8;
/** Warnings that connections were closed for want of room; the others are counted. */
const ROOM_WARNINGS = { most: 1, intervalMs: 10_000 };

/** A connection that has been taken and not begun. */
interface Waiting {
  fd: number;
  peer: Peer;
}

/** What one user has. */
class User {
  readonly uid: number | undefined;
  /** All connections, those that wait included. */
  count = 0;
  waiting = 0;
  /** Those whose request is not complete, the oldest first. */
  readonly silent = new LinkedList<Connection>();
  readonly asking = new LinkedList<Connection>();
  /** By process, in the order of their turns. */
  readonly #queues = new Map<number | undefined, Waiting[]>();

  constructor(uid: number | undefined) {
    this.uid = uid;
  }

  enqueue(waiting: Waiting): void {
    const pid = waiting.peer.credentials?.pid;
    const queue = this.#queues.get(pid);
    if (queue === undefined) this.#queues.set(pid, [waiting]);
    else queue.push(waiting);
    this.waiting++;
    this.count++;
  }

  /** Of the process whose turn it is, the oldest. The caller counts it. */
  dequeue(): Waiting | undefined {
    for (const [pid, queue] of this.#queues) {
      const waiting = queue.shift();
      this.#queues.delete(pid);
      if (queue.length > 0) this.#queues.set(pid, queue);
      this.waiting--;
      return waiting;
    }
    return undefined;
  }
}

export class Doorkeeper {
  readonly #broker: Broker;
  readonly #ownUid: number;
  readonly #log: Logger;
  readonly #limit = connectionLimit();
  #open = 0;
  readonly #users = new Map<number | undefined, User>();
  /** Users of whom connections wait, in the order of their turns. */
  readonly #turns = new Set<User>();
  #turn: NodeJS.Immediate | undefined;
  readonly #warnings = new Throttle<{ uid: number | undefined; open: number }>(ROOM_WARNINGS);
  #drained: (() => void)[] = [];
  /** Runs while connections are open. */
  #clock: NodeJS.Timeout | undefined;

  constructor(broker: Broker, ownUid: number, log: Logger) {
    this.#broker = broker;
    this.#ownUid = ownUid;
    this.#log = log;
  }

  /** Takes a new connection, or ends it, and takes those that wait behind it. */
  accept(socket: Socket, policy: SocketPolicy): void {
    const user = this.#admit(peerCredentials(socket), policy);
    if (user === undefined) socket.destroy();
    else {
      user.count++;
      this.#begin(socket, { policy, credentials: peerCredentials(socket) }, user);
    }
    const listening = listeningDescriptor(socket);
    if (listening !== undefined) this.#takeMore(listening, policy);
  }

  destroyAll(): void {
    for (const user of this.#users.values()) {
      for (const list of [user.silent, user.asking]) list.forEach((connection) => connection.destroy());
      while (user.waiting > 0) this.#dismiss(user);
    }
  }

  /** Resolves when no connection is open. */
  drained(): Promise<void> {
    if (this.#open === 0) return Promise.resolve();
    return new Promise((resolve) => this.#drained.push(resolve));
  }

  /** The user of a connection that has room. */
  #admit(credentials: PeerCredentials | undefined, policy: SocketPolicy): User | undefined {
    if (!mayConnect(policy, credentials, this.#ownUid)) {
      this.#broker.refuseConnection({ policy, credentials }, 'not one of the users of this socket');
      return undefined;
    }
    const user = this.#userOf(credentials?.uid);
    if (this.#isForeign(user.uid) && user.count >= MAX_FOREIGN && !this.#endSilent(user)) {
      this.#broker.refuseConnection({ policy, credentials }, `more than ${MAX_FOREIGN} connections at once`);
      return undefined;
    }
    if (!this.#hasRoom() && this.#open >= this.#limit + OVERRUN) this.#makeRoom(user);
    this.#open++;
    this.#clock ??= setInterval(() => this.#tick(), TICK_MS).unref();
    // The connection that made room may have been the last of this user, who is then no longer listed.
    return this.#userOf(credentials?.uid);
  }

  #userOf(uid: number | undefined): User {
    let user = this.#users.get(uid);
    if (user === undefined) {
      user = new User(uid);
      this.#users.set(uid, user);
    }
    return user;
  }

  #takeMore(listening: number, policy: SocketPolicy): void {
    for (let taken = 0; taken < MAX_TAKEN && this.#hasRoom(); taken++) {
      const fd = acceptNow(listening);
      if (fd === undefined) return;
      const credentials = credentialsBehind(fd);
      const user = this.#admit(credentials, policy);
      if (user === undefined) closeDescriptor(fd);
      else {
        user.enqueue({ fd, peer: { policy, credentials } });
        this.#turns.add(user);
        this.#turn ??= setImmediate(() => this.#takeTurns());
      }
    }
  }

  #takeTurns(): void {
    this.#turn = undefined;
    for (let begun = 0; begun < MAX_BEGUN; begun++) {
      const [user] = this.#turns;
      if (user === undefined) return;
      this.#turns.delete(user);
      const waiting = user.dequeue();
      if (user.waiting > 0) this.#turns.add(user);
      if (waiting !== undefined) this.#beginWaiting(waiting, user);
    }
    if (this.#turns.size > 0) this.#turn = setImmediate(() => this.#takeTurns());
  }

  #beginWaiting({ fd, peer }: Waiting, user: User): void {
    // Who has gone without a word needs no answer.
    if (isSpent(fd)) {
      closeDescriptor(fd);
      this.#ended(user);
      return;
    }
    this.#begin(new Socket({ fd, allowHalfOpen: true, readable: true, writable: true }), peer, user);
  }

  #begin(socket: Socket, peer: Peer, user: User): void {
    user.silent.append(new Connection(socket, this.#broker, peer, this.#events));
  }

  /** Ends a connection that waits. */
  #dismiss(user: User): boolean {
    const waiting = user.dequeue();
    if (waiting === undefined) return false;
    closeDescriptor(waiting.fd);
    if (user.waiting === 0) this.#turns.delete(user);
    this.#ended(user);
    return true;
  }

  readonly #events: ConnectionEvents = {
    complete: (connection) => {
      const user = this.#userOf(connection.peer.credentials?.uid);
      user.silent.remove(connection);
      user.asking.append(connection);
    },
    closed: (connection) => {
      const user = this.#userOf(connection.peer.credentials?.uid);
      (connection.complete ? user.asking : user.silent).remove(connection);
      this.#ended(user);
    },
  };

  #ended(user: User): void {
    this.#open--;
    user.count--;
    if (user.count === 0) this.#users.delete(user.uid);
    if (this.#open > 0) return;
    for (const resolve of this.#drained) resolve();
    this.#drained = [];
  }

  #tick(): void {
    for (const user of this.#users.values()) {
      for (const list of [user.silent, user.asking]) list.forEach((connection) => connection.tick());
    }
    for (const { count, last } of this.#warnings.ended(elapsedMs())) this.#warn(last, count);
    if (this.#open > 0) return;
    clearInterval(this.#clock);
    this.#clock = undefined;
  }

  /** Whether a further connection has a descriptor. One that is silent for long makes room for it. */
  #hasRoom(): boolean {
    if (this.#open < this.#limit) return true;
    const heaviest = this.#heaviest();
    if (heaviest === undefined || !this.#endSilent(heaviest)) return false;
    this.#tellOfRoom(heaviest);
    return true;
  }

  /** For a connection that is there already: the user who has most loses one. */
  #makeRoom(newcomer: User): void {
    const heaviest = this.#heaviest() ?? newcomer;
    if (this.#dismiss(heaviest)) return this.#tellOfRoom(heaviest);
    const oldest = heaviest.silent.first;
    if (oldest === undefined) return;
    oldest.destroy();
    this.#tellOfRoom(heaviest);
  }

  #heaviest(): User | undefined {
    let heaviest: User | undefined;
    for (const user of this.#users.values()) if (heaviest === undefined || user.count > heaviest.count) heaviest = user;
    return heaviest;
  }

  /** Ends the connection that has been silent longest, if that is long. @returns whether it was */
  #endSilent(user: User): boolean {
    const oldest = user.silent.first;
    if (oldest === undefined || elapsedMs() - oldest.begunAt < SILENT_MS) return false;
    oldest.destroy();
    return true;
  }

  #tellOfRoom({ uid }: User): void {
    const event = { uid, open: this.#open };
    if (this.#warnings.admits(String(uid), event, elapsedMs())) this.#warn(event);
  }

  #warn({ uid, open }: { uid: number | undefined; open: number }, suppressed?: number): void {
    this.#log.warn('too many connections; the user who has most loses the longest silent one', {
      uid,
      open,
      suppressed,
    });
  }

  #isForeign(uid: number | undefined): uid is number {
    return uid !== undefined && uid !== 0 && uid !== this.#ownUid;
  }
}

/** Of the server that took the connection. */
function listeningDescriptor(socket: Socket): number | undefined {
  const { server } = socket as unknown as { server?: Server | null };
  return server ? descriptorOf(server) : undefined;
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
