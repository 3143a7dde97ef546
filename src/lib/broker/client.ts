/** Asking a broker. Loaded by every `cms token`: node builtins and pure functions only. */
import { lstatSync, readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { dirname } from 'node:path';
import { CmsError, isErrorCode, systemErrorCode } from '../core/errors.ts';
import { peerCredentials } from '../os/libc.ts';
import { checkSocketPath } from '../os/paths.ts';
import { Secret } from '../core/secret.ts';
import { quoted } from '../core/shell-word.ts';
import { cures } from '../os/files/advice.ts';
import { formatRequest, MAX_WAIT_SECONDS, type RequestLine, type TokenAnswer, type TokenLine } from './wire.ts';

/** The broker answers within `wait`; a little more for a busy machine. */
const ANSWER_TIMEOUT_MS = (MAX_WAIT_SECONDS + 5) * 1000;
const MAX_ANSWER_BYTES = 16 * 1024 * 1024;
/** Until a broker with a full backlog is tried again, and how often: one that is stopped never takes anybody. */
const BUSY_MS = 20;
const BUSY_TRIES = 250;

/**
 * Sends one request and returns the whole answer.
 * @param limitMs until then, from the connection on; nothing is left of it afterwards
 * @returns undefined when no broker listens there
 * @throws CmsError `broker_unavailable` for a broker that is someone else's, or that does not answer; `config_invalid`
 */
export async function ask(
  socketPath: string,
  request: RequestLine,
  limitMs = ANSWER_TIMEOUT_MS,
): Promise<string | undefined> {
  checkSocketPath(socketPath);
  const socket = await connected(socketPath);
  if (socket === undefined) return undefined;
  try {
    requireTrusted(socket, socketPath);
    return await exchange(socket, `${formatRequest(request)}\n`, { path: socketPath, limitMs });
  } finally {
    socket.destroy();
  }
}

/**
 * Asks for a token as JSON.
 * @returns undefined when no broker listens there
 * @throws CmsError with the broker's own code, `broker_unavailable`, `protocol_error`
 */
export async function askForToken(
  socketPath: string,
  line: Omit<TokenLine, 'kind' | 'form'>,
): Promise<TokenAnswer | undefined> {
  const answer = await ask(socketPath, { kind: 'token', form: 'json', ...line });
  if (answer === undefined) return undefined;
  const { access_token, expires_at, user } = parseAnswer(answer, socketPath);
  if (typeof access_token !== 'string' || typeof expires_at !== 'number' || typeof user !== 'string') {
    throw strangeAnswer(socketPath);
  }
  return { access_token: new Secret(access_token), expires_at: expires_at * 1000, user };
}

/** The JSON object in an answer. @throws CmsError the error that it holds, or `protocol_error` */
export function parseAnswer(answer: string, socketPath: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(answer);
  } catch {
    // What there is of it is the beginning of an answer: the broker has ended, or was ended.
    throw answer === '' || answer.startsWith('{')
      ? noAnswer(socketPath, 'it closed the connection')
      : strangeAnswer(socketPath);
  }
  if (typeof value !== 'object' || value === null) throw strangeAnswer(socketPath);
  const { error, error_description, suggestions } = value as Record<string, unknown>;
  if (error === undefined) return value as Record<string, unknown>;
  throw new CmsError(
    isErrorCode(error) ? error : 'protocol_error',
    typeof error_description === 'string' ? error_description : 'the broker refused',
    {
      suggestions: Array.isArray(suggestions) ? suggestions.filter((each) => typeof each === 'string') : [],
    },
  );
}

async function connected(path: string, tries = BUSY_TRIES): Promise<Socket | undefined> {
  // Where there is none, sockets need not even be loaded.
  if (isAbsent(path)) return undefined;
  const { connect } = await import('node:net');
  return new Promise((resolve, reject) => {
    const socket = connect({ path });
    socket.once('connect', () => resolve(socket));
    socket.once('error', (error) => {
      const code = systemErrorCode(error);
      if (code === 'ENOENT' || code === 'ECONNREFUSED' || code === 'ENOTDIR') resolve(undefined);
      // The backlog is full: a broker is there.
      else if (code === 'EAGAIN' && tries > 0) setTimeout(() => resolve(connected(path, tries - 1)), BUSY_MS);
      else reject(cannotConnect(path, code ?? error.message, error));
    });
  });
}

/** Whether nothing is there. Any other trouble is for connect() to name. */
function isAbsent(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) === undefined;
  } catch {
    return false;
  }
}

function cannotConnect(path: string, reason: string, cause: Error): CmsError {
  return new CmsError('broker_unavailable', `cannot connect to the broker at ${path}: ${reason}`, {
    cause,
    suggestions: [...cures(path, reason), 'cms doctor'],
  });
}

/**
 * Only our own user or root may be behind the socket: it is believed without a further word. The kernel says who listens
 * on this very connection; whose the path is says nothing, as it can lead elsewhere a moment later.
 */
function requireTrusted(socket: Socket, path: string): void {
  const peer = peerCredentials(socket);
  const own = process.getuid?.();
  if (peer === undefined ? isTrustedUnseen(path) : peer.uid === own || peer.uid === 0) return;
  throw new CmsError(
    'broker_unavailable',
    `the broker at ${path} ${peer === undefined ? 'has an unknown owner' : `belongs to uid ${peer.uid}`}, so its answer is not trusted`,
    {
      suggestions: [`ls -ld ${quoted(dirname(path))}`, 'export CMS_SOCKET=/path/to/your/own/cms.sock'],
    },
  );
}

/** Where the kernel is not asked: no one but us could have put the socket there. */
function isTrustedUnseen(path: string): boolean {
  return process.platform !== 'linux' && isPrivateFolder(dirname(path));
}

function isPrivateFolder(folder: string): boolean {
  try {
    const stat = lstatSync(folder);
    return stat.isDirectory() && stat.uid === process.getuid?.() && (stat.mode & 0o022) === 0;
  } catch {
    return false;
  }
}

async function exchange(
  socket: Socket,
  request: string,
  { path, limitMs }: { path: string; limitMs: number },
): Promise<string> {
  let timer: NodeJS.Timeout | undefined;
  return new Promise<string>((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    timer = setTimeout(() => reject(mute(socket, path, limitMs / 1000)), limitMs);
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      size += chunk.length;
      if (size > MAX_ANSWER_BYTES) reject(noAnswer(path, 'it answers without end'));
    });
    socket.on('end', () => resolve(Buffer.concat(chunks).toString('utf8')));
    socket.on('error', (error) => reject(noAnswer(path, systemErrorCode(error) ?? error.message)));
    socket.end(request);
  }).finally(() => clearTimeout(timer));
}

function noAnswer(path: string, why: string, suggestions = ['cms status', 'cms doctor']): CmsError {
  return new CmsError('broker_unavailable', `no answer from the broker at ${path}: ${why}`, { suggestions });
}

/** No command of cms gets an answer from such a broker: the way out is a signal. */
function mute(socket: Socket, path: string, seconds: number): CmsError {
  const why = `it does not answer within ${seconds} s`;
  const { pid, uid } = peerCredentials(socket) ?? {};
  const found = pid === undefined ? undefined : processOf(pid);
  // The process that made the socket: if that was systemd, it is not the broker.
  if (found === undefined || found.name === 'systemd') return noAnswer(path, why);
  const kill = uid === process.getuid?.() ? 'kill' : 'sudo kill';
  return found.state === 'T'
    ? noAnswer(path, `${why}, as process ${pid} is stopped`, [`${kill} -CONT ${pid}   # goes on, as after Ctrl-Z`])
    : noAnswer(path, `${why} (process ${pid})`, [`${kill} ${pid}   # ends it; then start it again: cms serve`]);
}

/** @see proc_pid_stat(5) */
function processOf(pid: number): { name: string; state: string } | undefined {
  try {
    const [, name = '', state = ''] = /\((.*)\) (\w)/s.exec(readFileSync(`/proc/${pid}/stat`, 'latin1')) ?? [];
    return { name, state };
  } catch {
    return undefined;
  }
}

function strangeAnswer(path: string): CmsError {
  return new CmsError('protocol_error', `what answers at ${path} is not a cms broker`, {
    suggestions: [`ls -l ${quoted(path)}`],
  });
}

/** Tells a running broker that accounts changed. @returns whether there was one that took it */
export async function notifyBroker(socketPath: string): Promise<boolean> {
  try {
    const answer = await ask(socketPath, { kind: 'reload' });
    return answer !== undefined && parseAnswer(answer, socketPath).reloaded === true;
  } catch {
    // It looks for changes by itself as well.
    return false;
  }
}
