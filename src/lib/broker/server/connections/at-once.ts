/**
 * Serves a connection whose request is there already: read, answered, sent and closed by system calls. A stream for it
 * would take several times as long as the answer, and one user with a thousand connections so much more of the time
 * of all others. Whatever is not this simple is left to `Connection`, which says what is right.
 */
import { Buffer } from 'node:buffer';
import { receive, send } from '../../../os/libc.ts';
import type { Answer, Asker, Broker, Peer } from '../broker.ts';
import { MAX_REQUEST_BYTES } from '../../wire.ts';

const LF = 0x0a;
const CR = 0x0d;
/** What a client sends behind its request is dropped; of one that sends more than this, by `Connection`. */
const buffer = Buffer.allocUnsafe(16 * 1024);

export type Outcome =
  /** The descriptor can be closed: an answer has been sent, or none is due. */
  | { kind: 'done' }
  /** Nothing has come yet. */
  | { kind: 'silent' }
  /** The beginning of a request, or one with much behind it. */
  | { kind: 'received'; bytes: Buffer }
  /** The answer has to be waited for. */
  | { kind: 'awaited'; line: string; given: Promise<Answer> }
  /** Of an answer, what the socket's buffer has not taken. */
  | { kind: 'unsent'; rest: Buffer };

const DONE: Outcome = { kind: 'done' };
const SILENT: Outcome = { kind: 'silent' };

/** Never waits. The descriptor stays open. */
export function serveAtOnce(fd: number, broker: Broker, asker: Asker): Outcome {
  let length = 0;
  let isWhole = false;
  let end = -1;
  while (length < buffer.length) {
    const count = receive(fd, buffer, length);
    if (count === undefined) break;
    isWhole = count === 0;
    if (isWhole) break;
    length += count;
    if (end < 0) end = lineEnd(length);
    if (end < 0 && length >= MAX_REQUEST_BYTES) break;
  }
  if (length === 0) return isWhole ? DONE : SILENT;
  if ((end < 0 ? length : end) >= MAX_REQUEST_BYTES) {
    broker.refuseRequest(asker.peer, `more than ${MAX_REQUEST_BYTES} bytes`);
    return DONE;
  }
  if ((end < 0 && !isWhole) || length === buffer.length) {
    return { kind: 'received', bytes: Buffer.from(buffer.subarray(0, length)) };
  }
  const line = buffer.toString('utf8', 0, end < 0 ? length : end > 0 && buffer[end - 1] === CR ? end - 1 : end);
  const given = broker.answer(line, asker);
  return given instanceof Promise ? { kind: 'awaited', line, given } : sendNow(fd, given, broker, asker.peer);
}

function lineEnd(length: number): number {
  const at = buffer.indexOf(LF);
  return at < length ? at : -1;
}

function sendNow(fd: number, answer: Answer, broker: Broker, peer: Peer): Outcome {
  const text = typeof answer === 'string' ? answer : answer.text;
  if (text === '') {
    if (typeof answer !== 'string') broker.sent(answer, peer);
    return DONE;
  }
  const bytes = Buffer.from(text);
  const sent = send(fd, bytes);
  if (typeof answer !== 'string') {
    if (sent > 0) broker.sent(answer, peer);
    else broker.unsent(answer, peer);
  }
  return sent > 0 && sent < bytes.length ? { kind: 'unsent', rest: bytes.subarray(sent) } : DONE;
}
