/**
 * The audit trail: who got which account's token, for what, through which socket, when, with what result. JSON lines
 * in a file that the owner has, rotated by size. No secret is in it. What one user does repeatedly is counted, and of
 * two files full, what was served is kept before what was refused: no user can push out the record of a served token.
 */
import { execFile } from 'node:child_process';
import { appendFileSync, closeSync, constants, fchmodSync, fstatSync, readFileSync } from 'node:fs';
import { unlink } from 'node:fs/promises';
import { promisify } from 'node:util';
import { elapsedMs } from '../../os/monotonic.ts';
import { messageOf } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import type { PeerCredentials } from '../../os/libc.ts';
import { redact } from '../../core/redact.ts';
import { ioError, readFileIfAny, writeFileDurable } from '../../os/files/files.ts';
import { type FileTrust, openTrusted } from '../../os/files/trusted.ts';
import { type Counted, Throttle } from '../../core/throttle.ts';

const run = promisify(execFile);
const MAX_BYTES = 1024 * 1024;
/** Room in the older file for what was refused. */
const MAX_REFUSED_BYTES = MAX_BYTES / 4;
/** Refusals of one user for one reason that are written out within an interval; the others are counted. */
const REFUSALS = { most: 10, intervalMs: 10_000 };
/** The same of one account's tokens served to one user: enough for each process of an MTA at work. */
const SERVED = { most: 100, intervalMs: 60_000 };
/** How long a process keeps its name, so that a busy client is looked up once. */
const COMMAND_TTL_MS = 1000;

/** Lines are written together: opening the file for each one would cost more than answering. */
const WRITE_INTERVAL_MS = 100;

export interface AuditEvent {
  peer: PeerCredentials | undefined;
  socket: string;
  /** Its address; where there is none, what was asked for. */
  account?: string;
  /** The alias that the request named. */
  asked?: string;
  protocol?: string;
  form?: string;
  /** `served`, or the code of the error. */
  result: string;
  reason?: string;
}

interface Noted {
  event: AuditEvent;
  /** Milliseconds since the epoch. */
  time: number;
  command: string | undefined;
  count: number;
}

/** One line of the file. */
export interface AuditLine {
  time: string;
  result: string;
  account?: string;
  /** The alias that was asked for; followed by ` and others` where a count is of several. */
  asked?: string;
  protocol?: string;
  form?: string;
  socket: string;
  uid?: number;
  user?: string;
  pid?: number;
  command?: string;
  reason?: string;
  /** So many of the same: within a tenth of a second of `time`, or in the minute before where they are too many. */
  count?: number;
}

/** What is asked for; one object for all requests in the same words. */
export interface Asked {
  address: string;
  protocol: string;
  form: string;
}

export class AuditTrail {
  readonly #path: string;
  readonly #log: Logger;
  readonly #users = new Map<number, string | undefined>();
  readonly #commands = new Map<number, { command: string | undefined; until: number }>();
  readonly #refusals = new Throttle<AuditEvent>(REFUSALS);
  readonly #servings = new Throttle<AuditEvent>(SERVED);
  readonly #waiting = new Map<string, Noted>();
  /** Of those that wait, who was last served with what. */
  readonly #served = new Map<Asked, Noted>();
  #timer: NodeJS.Timeout | undefined;
  #writing = Promise.resolve();

  constructor(path: string, log: Logger) {
    this.#path = path;
    this.#log = log;
  }

  /** Called for every token: a client in a loop costs a comparison. @param account the address of the account */
  served(asked: Asked, socket: string, peer: PeerCredentials | undefined, account = asked.address): void {
    const last = this.#served.get(asked);
    if (last?.event.account === account && isBy(last.event, socket, peer)) {
      last.count++;
      return;
    }
    const { address, protocol, form } = asked;
    const alias = address === account ? {} : { asked: address };
    const event = { account, ...alias, protocol, form, socket, peer, result: 'served' };
    const noted = this.#noteServed(event);
    if (noted !== undefined) this.#served.set(asked, noted);
  }

  /** Notes a refusal, in the log too. One that comes too often is counted, and the count written at its end. */
  refused(event: AuditEvent): void {
    const kind = `${event.peer?.uid ?? '-'} ${event.result} ${event.socket}`;
    if (!this.#refusals.admits(kind, event, elapsedMs())) return;
    this.#warn(event);
    this.#note(event);
  }

  /** Writes the counts of what came too often; called by the ticker. */
  tick(now = elapsedMs()): void {
    for (const counted of this.#refusals.ended(now)) this.#noteSuppressed(counted);
    for (const { count, last } of this.#servings.ended(now)) this.#note(last, count);
    for (const [pid, { until }] of this.#commands) if (until < now) this.#commands.delete(pid);
  }

  /** Resolves when everything noted so far is in the file. */
  flush(): Promise<void> {
    this.tick(Infinity);
    return this.#write();
  }

  /** What the process is served once more within a tenth of a second is no further line, and so does not count. */
  #noteServed(event: AuditEvent): Noted | undefined {
    const same = this.#waiting.get(keyOf(event));
    if (same !== undefined) {
      count(same, event);
      return same;
    }
    const { peer, account, protocol, form, socket } = event;
    const kind = `${peer?.uid ?? '-'} ${account} ${protocol} ${form} ${socket}`;
    return this.#servings.admits(kind, event, elapsedMs()) ? this.#note(event) : undefined;
  }

  #noteSuppressed({ count, last }: Counted<AuditEvent>): void {
    this.#warn(last, count);
    this.#note({ ...last, reason: `${count} more like this` });
  }

  #logServed({ event, count }: Noted): void {
    const { peer, account, protocol, form, socket, result } = event;
    if (result !== 'served') return;
    this.#log.debug('served', { account, protocol, form, socket, uid: peer?.uid, pid: peer?.pid, count });
  }

  #warn({ peer, socket, account, protocol, result, reason }: AuditEvent, suppressed?: number): void {
    this.#log.warn('not served', {
      account,
      protocol,
      socket,
      uid: peer?.uid,
      pid: peer?.pid,
      code: result,
      reason,
      suppressed,
    });
  }

  /** The same again from the same process is one line, so that a client in a loop does not push the others out. */
  #note(event: AuditEvent, times = 1): Noted {
    const key = keyOf(event);
    const same = this.#waiting.get(key);
    if (same !== undefined) {
      count(same, event, times);
      return same;
    }
    const command = event.peer && this.#commandOf(event.peer.pid, elapsedMs());
    const noted = { event, time: Date.now(), command, count: times };
    this.#waiting.set(key, noted);
    this.#timer ??= setTimeout(() => void this.#write(), WRITE_INTERVAL_MS);
    return noted;
  }

  /** Writes what waits, after what is being written. */
  #write(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#writing = this.#writing.then(() => this.#writeBatch());
    return this.#writing;
  }

  async #writeBatch(): Promise<void> {
    const batch = [...this.#waiting.values()];
    this.#waiting.clear();
    this.#served.clear();
    for (const each of batch) this.#logServed(each);
    try {
      for (const uid of new Set(batch.map(({ event }) => event.peer?.uid))) await this.#lookUp(uid);
      if (batch.length > 0) await this.#append(batch.map((each) => `${JSON.stringify(this.#line(each))}\n`).join(''));
    } catch (error) {
      this.#log.error('cannot write the audit trail', { path: this.#path, reason: messageOf(error) });
    }
  }

  async #append(text: string): Promise<void> {
    const size = appendPrivately(this.#path, text);
    if (size >= MAX_BYTES) await this.#rotate();
  }

  async #rotate(): Promise<void> {
    const older = `${this.#path}.1`;
    const lines = (await Promise.all([older, this.#path].map(linesOf))).flat();
    await writeFileDurable(older, keptOf(lines).join(''));
    await unlink(this.#path);
  }

  #line({ event: { peer, result, reason, ...rest }, time, command, count }: Noted): AuditLine {
    const user = peer && this.#users.get(peer.uid);
    return {
      time: new Date(time).toISOString(),
      result,
      ...rest,
      ...(reason !== undefined && { reason: redact(reason) }),
      ...(peer && { uid: peer.uid, pid: peer.pid }),
      ...(command !== undefined && { command }),
      ...(user !== undefined && { user }),
      ...(count > 1 && { count }),
    };
  }

  /** Read at once: a client can be gone a moment later. */
  #commandOf(pid: number, now: number): string | undefined {
    const known = this.#commands.get(pid);
    if (known !== undefined && known.until > now) return known.command;
    const command = readCommand(pid);
    this.#commands.set(pid, { command, until: now + COMMAND_TTL_MS });
    return command;
  }

  async #lookUp(uid: number | undefined): Promise<void> {
    if (uid === undefined || this.#users.has(uid)) return;
    const name = await run('getent', ['passwd', String(uid)], { timeout: 2000 }).then(
      ({ stdout }) => stdout.split(':')[0],
      () => undefined,
    );
    this.#users.set(uid, name);
  }
}

/** Refusals for one reason are told apart by what was asked for. */
function keyOf({ peer, account, asked, protocol, form, result, reason, socket }: AuditEvent): string {
  const words = result === 'served' ? '' : `${asked} ${reason}`;
  return `${peer?.pid ?? '-'} ${peer?.uid ?? '-'} ${account} ${protocol} ${form} ${result} ${socket} ${words}`;
}

const AND_OTHERS = ' and others';

function count(noted: Noted, { asked }: AuditEvent, times = 1): void {
  noted.count += times;
  const { event } = noted;
  if (event.asked === asked || event.asked?.endsWith(AND_OTHERS) === true) return;
  noted.event = { ...event, asked: `${event.asked ?? asked}${AND_OTHERS}` };
}

/** The newest lines that one file has room for, those of what was served first. In their order. Pure. */
export function keptOf(lines: readonly string[], room = MAX_BYTES, roomForRefused = MAX_REFUSED_BYTES): string[] {
  const isServed = (line: string): boolean => line.includes('"result":"served"');
  const left = { served: room, refused: roomForRefused };
  const kept = new Set<number>();
  for (const kind of ['served', 'refused'] as const) {
    for (let place = lines.length - 1; place >= 0; place--) {
      const line = lines[place] ?? '';
      if (isServed(line) !== (kind === 'served')) continue;
      left[kind] -= Buffer.byteLength(line);
      if (left[kind] < 0) break;
      kept.add(place);
    }
    left.refused = Math.min(left.refused, left.served);
  }
  return lines.filter((_line, place) => kept.has(place));
}

/** With their ends; none where there is no file. */
async function linesOf(path: string): Promise<string[]> {
  const text = (await readFileIfAny(path, AUDIT))?.toString('utf8') ?? '';
  return text.split('\n').flatMap((line) => (line === '' ? [] : [`${line}\n`]));
}

function isBy(event: AuditEvent, socket: string, peer: PeerCredentials | undefined): boolean {
  return event.socket === socket && event.peer?.pid === peer?.pid && event.peer?.uid === peer?.uid;
}

const AUDIT: FileTrust = { own: true };

/**
 * Proves that the trail can be written where it is, and not to another user's file or into a FIFO.
 * @throws CmsError `config_invalid`, `io_error`
 */
export function requireAuditFile(path: string): void {
  closeSync(openAudit(path));
}

function openAudit(path: string): number {
  const { O_WRONLY, O_APPEND, O_CREAT } = constants;
  const fd = openTrusted(path, O_WRONLY | O_APPEND | O_CREAT, AUDIT);
  if (fd === undefined) throw ioError('write', path, new Error('ENOENT'));
  return fd;
}

/** Neither a planted link nor the umask decides where the lines go and who reads them. @returns the size of the file */
function appendPrivately(path: string, text: string): number {
  const fd = openAudit(path);
  try {
    if ((fstatSync(fd).mode & 0o777) !== 0o600) fchmodSync(fd, 0o600);
    appendFileSync(fd, text);
    return fstatSync(fd).size;
  } finally {
    closeSync(fd);
  }
}

function readCommand(pid: number): string | undefined {
  try {
    return printable(readFileSync(`/proc/${pid}/comm`, 'utf8').trim());
  } catch {
    return undefined;
  }
}

/** Any program can name itself anything. */
function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?');
}

/** The newest `count` lines, oldest first; none where there is no file. @throws CmsError `io_error` */
export async function readAudit(path: string, count: number): Promise<AuditLine[]> {
  const lines = (await Promise.all([`${path}.1`, path].map(linesOf))).flat();
  return lines.slice(-count).flatMap((line) => {
    try {
      return [JSON.parse(line) as AuditLine];
    } catch {
      // The last line of a machine that lost its power.
      return [];
    }
  });
}
