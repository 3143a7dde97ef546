/**
 * Who gets in, and in which turn. The kernel hands out connections in the order of their coming, and a limited number of
 * descriptors. One user with a thousand connections would keep all others waiting: so whatever waits at a socket is
 * taken at once, and answered by turns, a connection of each user and within a user of each process. When descriptors
 * run short, the user who has most of them makes room. A request that is there when its turn comes is served without a
 * stream; whatever has to be waited for becomes a `Connection`. Where the handles of Node are not available, all do.
 */
import { readFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { elapsedMs } from '../../../os/monotonic.ts';
import type { Logger } from '../../../core/log.ts';
import {
  acceptNow,
  type ClientHandle,
  closeDescriptor,
  credentialsBehind,
  type PeerCredentials,
  peerCredentials,
} from '../../../os/libc.ts';
import { serveAtOnce } from './at-once.ts';
import type { Asker, Broker, Peer } from '../broker.ts';
import { Connection, type ConnectionEvents, TICK_MS } from './connection.ts';
import { LinkedList } from './linked-list.ts';
import { mayConnect, type SocketPolicy } from '../policy.ts';
import { Throttle } from '../../../core/throttle.ts';

/** Connections at once of one user who is neither the owner nor root. */
const MAX_FOREIGN = 1024;
/** Connections that are taken at once before others are read and answered. */
const MAX_TAKEN = 512;
/** Turns are taken for so long before timers and streams have theirs. */
const STRETCH_MS = 2;
/** Descriptors kept for files, the provider and the keyring: a share, but never fewer than a refresh needs. */
const RESERVED_SHARE = 0.1;
const RESERVED_LEAST = 44;
const FEWEST_CONNECTIONS = 8;
/** After that, a client has had the time to ask; before, its request may be there and not be read yet. */
const SILENT_MS = 20;
/** The same where it makes room for another of its own user, who has so many: exchanging them costs all others time. */
const SILENT_FOR_OWN_MS = 1000;
/** Descriptors of the reserve that may be used until a connection ends by itself. */
const OVERRUN = 8;
/** Warnings that connections were closed for want of room; the others are counted. */
const ROOM_WARNINGS = { most: 1, intervalMs: 10_000 };

/** A connection that has been taken. */
class Arrival implements Asker {
  readonly peer: Peer;
  /** What was accepted: by libuv, or by ourselves. */
  readonly accepted: ClientHandle | number;
  /** Whether it has had a turn, and nothing had come. */
  wasSilent = false;
  /** From when on something has to be waited for. */
  connection: Connection | undefined = undefined;

  constructor(accepted: ClientHandle | number, peer: Peer) {
    this.accepted = accepted;
    this.peer = peer;
  }

  get waits(): boolean {
    return this.connection?.waits ?? true;
  }

  get fd(): number {
    return typeof this.accepted === 'number' ? this.accepted : this.accepted.fd;
  }

  close(): void {
    if (typeof this.accepted === 'number') closeDescriptor(this.accepted);
    else this.accepted.close();
  }

  stream(): Socket {
    const from = typeof this.accepted === 'number' ? { fd: this.accepted } : { handle: this.accepted };
    return new Socket({ ...from, allowHalfOpen: true, readable: true, writable: true });
  }
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
  readonly #queues = new Map<number | undefined, Arrival[]>();

  constructor(uid: number | undefined) {
    this.uid = uid;
  }

  enqueue(arrival: Arrival): void {
    const pid = arrival.peer.credentials?.pid;
    const queue = this.#queues.get(pid);
    if (queue === undefined) this.#queues.set(pid, [arrival]);
    else queue.push(arrival);
    this.waiting++;
  }

  /** Of the process whose turn it is, the oldest. The caller counts it. */
  dequeue(): Arrival | undefined {
    for (const [pid, queue] of this.#queues) {
      const arrival = queue.shift();
      this.#queues.delete(pid);
      if (queue.length > 0) this.#queues.set(pid, queue);
      this.waiting--;
      return arrival;
    }
    return undefined;
  }
}

export class Acceptor {
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

  /** A new connection whose stream is there already: where there are no handles. */
  accept(socket: Socket, policy: SocketPolicy): void {
    const credentials = peerCredentials(socket);
    const user = this.#admit(credentials, policy);
    if (user === undefined) socket.destroy();
    else user.silent.append(new Connection(socket, this.#broker, { policy, credentials }, this.#events));
  }

  /** A new connection, and those that wait behind it at the listening descriptor. */
  take(client: ClientHandle, listening: number, policy: SocketPolicy): void {
    this.#arrived(client, client.fd, policy);
    for (let taken = 0; taken < MAX_TAKEN && this.#hasRoom(); taken++) {
      const fd = acceptNow(listening);
      if (fd === undefined) break;
      this.#arrived(fd, fd, policy);
    }
    // Alone, it need not wait for its turn.
    if (this.#turn === undefined) this.#takeTurns();
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
    if (this.#isForeign(user.uid) && user.count >= MAX_FOREIGN && !this.#endSilent(user, SILENT_FOR_OWN_MS)) {
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

  #arrived(accepted: ClientHandle | number, fd: number, policy: SocketPolicy): void {
    const credentials = credentialsBehind(fd);
    const arrival = new Arrival(accepted, { policy, credentials });
    const user = this.#admit(credentials, policy);
    if (user === undefined) return arrival.close();
    user.count++;
    this.#enqueue(arrival, user);
  }

  #enqueue(arrival: Arrival, user: User): void {
    user.enqueue(arrival);
    this.#turns.add(user);
  }

  #takeTurns(): void {
    this.#turn = undefined;
    const until = performance.now() + STRETCH_MS;
    const silent: [Arrival, User][] = [];
    while (this.#turns.size > 0 && performance.now() < until) {
      const [user] = this.#turns;
      if (user === undefined) break;
      this.#turns.delete(user);
      const arrival = user.dequeue();
      if (user.waiting > 0) this.#turns.add(user);
      if (arrival !== undefined && !this.#serve(arrival, user)) silent.push([arrival, user]);
    }
    for (const [arrival, user] of silent) this.#enqueue(arrival, user);
    if (this.#turns.size > 0) this.#turn = setImmediate(() => this.#takeTurns());
  }

  /** @returns false where nothing has come yet: a request often comes a moment after its connection */
  #serve(arrival: Arrival, user: User): boolean {
    const outcome = serveAtOnce(arrival.fd, this.#broker, arrival);
    switch (outcome.kind) {
      case 'done':
        arrival.close();
        this.#ended(user);
        break;
      case 'silent':
        if (!arrival.wasSilent) {
          arrival.wasSilent = true;
          return false;
        }
        this.#begin(arrival, user);
        break;
      case 'received':
        this.#begin(arrival, user).resume(outcome.bytes);
        break;
      case 'awaited':
        this.#begin(arrival, user).expect(outcome.line, outcome.given);
        break;
      case 'unsent':
        this.#begin(arrival, user).finish(outcome.rest);
    }
    return true;
  }

  #begin(arrival: Arrival, user: User): Connection {
    const connection = new Connection(arrival.stream(), this.#broker, arrival.peer, this.#events);
    arrival.connection = connection;
    user.silent.append(connection);
    return connection;
  }

  /** Ends a connection that waits. */
  #dismiss(user: User): boolean {
    const arrival = user.dequeue();
    if (arrival === undefined) return false;
    arrival.close();
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
  #endSilent(user: User, silentMs = SILENT_MS): boolean {
    const oldest = user.silent.first;
    if (oldest === undefined || elapsedMs() - oldest.begunAt < silentMs) return false;
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
