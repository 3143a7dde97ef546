/** One connection: read a line within its bounds, answer it, close. A bad client costs its own connection, nothing else. */
import type { Socket } from 'node:net';
import { elapsedMs } from '../../../os/monotonic.ts';
import type { Answer, Asker, Broker, Peer } from '../broker.ts';
import type { Linked } from './linked-list.ts';
import { MAX_REQUEST_BYTES } from '../../wire.ts';

/** How often `tick` is to be called: a timer for each connection would cost as much as finding its answer. */
export const TICK_MS = 250;
/** exim gives up after 5 s unless told otherwise; an answer that is late is worth nothing. */
const REQUEST_TIMEOUT_MS = 4000;
const ANSWER_TIMEOUT_MS = 4000;
/** For a client that reads its answer and then forgets to close. */
const LINGER_MS = 1000;

const LF = 0x0a;
const CR = 0x0d;

export interface ConnectionEvents {
  /** The request is there. */
  complete: (connection: Connection) => void;
  closed: (connection: Connection) => void;
}

export class Connection implements Linked<Connection>, Asker {
  previous: Connection | undefined = undefined;
  next: Connection | undefined = undefined;
  readonly peer: Peer;
  /** Monotonic milliseconds. */
  readonly begunAt = elapsedMs();
  /** Whether the request is there. */
  complete = false;
  readonly #socket: Socket;
  readonly #broker: Broker;
  readonly #events: ConnectionEvents;
  #received: Buffer | undefined = undefined;
  /** Whether there is an answer, or will never be one. */
  #done = false;
  #isClosed = false;
  /** The line whose answer has to be waited for. */
  #awaited: string | undefined = undefined;
  // For an answer at once, this is also the time of a client which forgets to close.
  #ticksLeft = REQUEST_TIMEOUT_MS / TICK_MS;

  constructor(socket: Socket, broker: Broker, peer: Peer, events: ConnectionEvents) {
    this.#socket = socket;
    this.#broker = broker;
    this.peer = peer;
    this.#events = events;
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    socket.on('end', () => this.#ended());
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#closed());
  }

  get waits(): boolean {
    return !this.#done;
  }

  /** Ends it now: its descriptor is free, and `closed` has been told, when this returns. */
  destroy(): void {
    this.#socket.destroy();
    this.#closed();
  }

  /** What was read of the connection before there was a stream. */
  resume(received: Buffer): void {
    this.#take(received);
  }

  /** The request was read, and is being answered. */
  expect(line: string, given: Promise<Answer>): void {
    this.complete = true;
    this.#events.complete(this);
    this.#await(line, given);
  }

  /** The request was answered, and this is left of the answer. */
  finish(rest: Buffer): void {
    this.complete = true;
    this.#events.complete(this);
    this.#done = true;
    this.#socket.end(rest);
  }

  /** Time passes. */
  tick(): void {
    if (--this.#ticksLeft > 0) return;
    if (this.#done) this.#socket.destroy();
    else this.#finishLate(this.#awaited === undefined ? '' : this.#broker.late(this.#awaited, this));
  }

  /** What follows the first line is read and dropped: closing on unread bytes would reset the client's connection. */
  #take(chunk: Buffer): void {
    if (this.complete || this.#done) return;
    const received = this.#received === undefined ? chunk : Buffer.concat([this.#received, chunk]);
    this.#received = received;
    const end = received.indexOf(LF);
    if ((end < 0 ? received.length : end) >= MAX_REQUEST_BYTES) this.#refuse();
    else if (end >= 0) this.#answer(received, received[end - 1] === CR ? end - 1 : end);
  }

  /** The client has closed its side, so what came is all there is. */
  #ended(): void {
    if (this.complete || this.#done) return;
    if (this.#received === undefined) this.#send('');
    else this.#answer(this.#received, this.#received.length);
  }

  #answer(received: Buffer, end: number): void {
    this.complete = true;
    this.#received = undefined;
    this.#events.complete(this);
    // Domains may come in any script; bytes that are no UTF-8 become a character that no address has.
    const line = received.toString('utf8', 0, end);
    const given = this.#broker.answer(line, this);
    if (given instanceof Promise) this.#await(line, given);
    else this.#send(given);
  }

  #await(line: string, given: Promise<Answer>): void {
    const wait = this.#broker.waitSeconds(line);
    this.#awaited = line;
    this.#ticksLeft = (wait === undefined ? ANSWER_TIMEOUT_MS : wait * 1000) / TICK_MS;
    void given.then((answer) => this.#finishLate(answer));
  }

  #finishLate(answer: Answer): void {
    this.#ticksLeft = LINGER_MS / TICK_MS;
    this.#send(answer);
  }

  #send(answer: Answer): void {
    if (this.#done) return;
    this.#done = true;
    const text = typeof answer === 'string' ? answer : answer.text;
    const socket = this.#socket;
    if (!socket.destroyed) socket.end(text);
    if (typeof answer === 'string') return;
    // Known at once: a socket of this host takes all of it, or refuses because the client is gone.
    if (!socket.destroyed && socket.errored === null) this.#broker.sent(answer, this.peer);
    else this.#broker.unsent(answer, this.peer);
  }

  #refuse(): void {
    this.#broker.refuseRequest(this.peer, `more than ${MAX_REQUEST_BYTES} bytes`);
    this.#done = true;
    this.#socket.destroy();
  }

  #closed(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (!this.#done && this.#awaited !== undefined) this.#broker.abandoned(this.#awaited, this);
    this.#done = true;
    this.#events.closed(this);
  }
}
