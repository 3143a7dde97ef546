/** One connection: read a line within its bounds, answer it, close. A bad client costs its own connection, nothing else. */
import type { Socket } from 'node:net';
import type { Broker, Peer } from './broker.ts';
import { MAX_REQUEST_BYTES } from './wire.ts';

/** exim gives up after 5 s unless told otherwise; an answer that is late is worth nothing. */
const REQUEST_TIMEOUT_MS = 4000;
const ANSWER_TIMEOUT_MS = 4000;
/** For a client that reads its answer and then forgets to close. */
const LINGER_MS = 1000;

const LF = 0x0a;
const CR = 0x0d;

export interface ConnectionEvents {
  /** The request is there. */
  complete: () => void;
  closed: () => void;
}

export function serveConnection(socket: Socket, broker: Broker, peer: Peer, events: ConnectionEvents): void {
  let received: Buffer | undefined;
  let done = false;
  let timer = setTimeout(() => (done ? socket.destroy() : finishLate('')), REQUEST_TIMEOUT_MS);

  /** For an answer at once, the first timer is the one that ends a client which forgets to close. */
  function finish(text: string): void {
    if (done) return;
    done = true;
    if (!socket.destroyed) socket.end(text, 'latin1');
  }

  function finishLate(text: string): void {
    clearTimeout(timer);
    timer = setTimeout(() => socket.destroy(), LINGER_MS);
    finish(text);
  }

  function answer(line: string): void {
    events.complete();
    const given = broker.answer(line, peer);
    if (typeof given === 'string') return finish(given);
    clearTimeout(timer);
    const wait = broker.waitSeconds(line);
    timer = setTimeout(() => finishLate(broker.late(line, peer)), wait === undefined ? ANSWER_TIMEOUT_MS : wait * 1000);
    void given.then(finishLate);
  }

  /** `ended`: the client has closed its side, so what came is all there is. */
  function take(ended: boolean): void {
    if (received === undefined) return;
    const end = received.indexOf(LF);
    if (end < 0 && !ended) return;
    socket.off('data', onData);
    // What follows the first line is read and dropped: closing on unread bytes would reset the client's connection.
    socket.resume();
    const line = end < 0 ? received : received.subarray(0, received[end - 1] === CR ? end - 1 : end);
    received = undefined;
    // Domains may come in any script; bytes that are no UTF-8 become a character that no address has.
    answer(line.toString('utf8'));
  }

  function onData(chunk: Buffer): void {
    received = received === undefined ? chunk : Buffer.concat([received, chunk]);
    const end = received.indexOf(LF);
    if (end >= MAX_REQUEST_BYTES || (end < 0 && received.length >= MAX_REQUEST_BYTES)) {
      broker.refuseRequest(peer, 'more than 512 bytes');
      clearTimeout(timer);
      done = true;
      socket.destroy();
      return;
    }
    take(false);
  }

  socket.on('data', onData);
  socket.on('end', () => {
    if (received !== undefined) take(true);
    else if (!done && socket.listenerCount('data') > 0) finish('');
  });
  socket.on('error', () => socket.destroy());
  socket.on('close', () => {
    clearTimeout(timer);
    done = true;
    events.closed();
  });
}
