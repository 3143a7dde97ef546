/**
 * The audit trail: who got which account's token, for what, through which socket, when, with what result. JSON lines
 * in a file of the owner's, rotated by size. No secret is in it, and refusals are counted where they are too many.
 */
import { execFile } from 'node:child_process';
import { constants, readFileSync } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import { promisify } from 'node:util';
import { messageOf } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { PeerCredentials } from '../native.ts';
import { redact } from '../redact.ts';
import { readFileIfAny } from '../store/files.ts';

const run = promisify(execFile);
const MAX_BYTES = 1024 * 1024;
/** Refusals of one user for one reason that are written out within an interval; the others are counted. */
const MAX_REFUSALS = 10;
const REFUSAL_INTERVAL_MS = 10_000;
/** How long a process keeps its name, so that a busy client is looked up once. */
const COMMAND_TTL_MS = 1000;

/** Lines are written together: opening the file for each one would cost more than answering. */
const WRITE_INTERVAL_MS = 100;

export interface AuditEvent {
  peer: PeerCredentials | undefined;
  socket: string;
  account?: string;
  protocol?: string;
  form?: string;
  /** `served`, or the code of the error. */
  result: string;
  reason?: string;
}

interface Noted {
  event: AuditEvent;
  time: number;
  command: string | undefined;
  count: number;
}

/** One line of the file. */
export interface AuditLine {
  time: string;
  result: string;
  account?: string;
  protocol?: string;
  form?: string;
  socket: string;
  uid?: number;
  user?: string;
  pid?: number;
  command?: string;
  reason?: string;
  /** So many of the same within a tenth of a second of `time`. */
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
  readonly #refusals = new Map<string, { since: number; count: number; last: AuditEvent }>();
  readonly #waiting = new Map<string, Noted>();
  /** Of those that wait, who was last served with what. */
  readonly #served = new Map<Asked, Noted>();
  #timer: NodeJS.Timeout | undefined;
  #writing = Promise.resolve();

  constructor(path: string, log: Logger) {
    this.#path = path;
    this.#log = log;
  }

  /** Called for every token: a client in a loop costs a comparison. */
  served(asked: Asked, socket: string, peer: PeerCredentials | undefined): void {
    const last = this.#served.get(asked);
    if (last !== undefined && isBy(last.event, socket, peer)) {
      last.count++;
      return;
    }
    const { address: account, protocol, form } = asked;
    this.#served.set(asked, this.#note({ account, protocol, form, socket, peer, result: 'served' }));
  }

  /** Notes a refusal, in the log too. One that comes too often is counted, and the count written at its end. */
  refused(event: AuditEvent): void {
    const key = `${event.peer?.uid ?? '-'} ${event.result} ${event.socket}`;
    const now = Date.now();
    const before = this.#refusals.get(key);
    if (before !== undefined && now - before.since < REFUSAL_INTERVAL_MS) {
      before.count++;
      before.last = event;
      if (before.count > MAX_REFUSALS) return;
    } else {
      this.#refusals.set(key, { since: now, count: 1, last: event });
      if (before !== undefined) this.#noteSuppressed(before);
    }
    this.#warn(event);
    this.#note(event);
  }

  /** Writes the counts of refusals that have ended; called by the ticker. */
  tick(now = Date.now()): void {
    for (const [key, refusal] of this.#refusals) {
      if (now - refusal.since < REFUSAL_INTERVAL_MS) continue;
      this.#refusals.delete(key);
      this.#noteSuppressed(refusal);
    }
    for (const [pid, { until }] of this.#commands) if (until < now) this.#commands.delete(pid);
  }

  /** Resolves when everything noted so far is in the file. */
  flush(): Promise<void> {
    this.tick(Infinity);
    return this.#write();
  }

  #noteSuppressed({ count, last }: { count: number; last: AuditEvent }): void {
    if (count <= MAX_REFUSALS) return;
    this.#warn(last, count - MAX_REFUSALS);
    this.#note({ ...last, reason: `${count - MAX_REFUSALS} more like this` });
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
  #note(event: AuditEvent): Noted {
    const { peer, account, protocol, form, result, reason, socket } = event;
    const key = `${peer?.pid ?? '-'} ${peer?.uid ?? '-'} ${account} ${protocol} ${form} ${result} ${socket} ${reason}`;
    const same = this.#waiting.get(key);
    if (same !== undefined) {
      same.count++;
      return same;
    }
    const time = Date.now();
    const noted = { event, time, command: peer && this.#commandOf(peer.pid, time), count: 1 };
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
    const size = await appendPrivately(this.#path, text);
    if (size >= MAX_BYTES) await rename(this.#path, `${this.#path}.1`);
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

function isBy(event: AuditEvent, socket: string, peer: PeerCredentials | undefined): boolean {
  return event.socket === socket && event.peer?.pid === peer?.pid && event.peer?.uid === peer?.uid;
}

/** Neither a planted link nor the umask decides where the lines go and who reads them. @returns the size of the file */
async function appendPrivately(path: string, text: string): Promise<number> {
  const { O_WRONLY, O_APPEND, O_CREAT, O_NOFOLLOW } = constants;
  await using file = await open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW, 0o600);
  const { mode } = await file.stat();
  if ((mode & 0o777) !== 0o600) await file.chmod(0o600);
  await file.appendFile(text);
  return (await file.stat()).size;
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
  const files = await Promise.all([`${path}.1`, path].map(readFileIfAny));
  const lines = files
    .map((bytes) => bytes?.toString('utf8') ?? '')
    .join('')
    .split('\n')
    .filter((line) => line !== '');
  return lines.slice(-count).flatMap((line) => {
    try {
      return [JSON.parse(line) as AuditLine];
    } catch {
      // The last line of a machine that lost its power.
      return [];
    }
  });
}
