/** Logging in to a POP3 server. Small enough to need no library: a few lines each way. */
import { connect as connectPlain } from 'node:net';
import type { Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { ConnectionOptions } from 'node:tls';
import { base64, oauthbearer, xoauth2 } from '../core/sasl.ts';
import { Lines } from './lines.ts';
import { decodeChallenge, errorFailure, LOGIN_TIMEOUT_MS, LoginRefusal } from './login.ts';
import type { LoginFailure, LoginOptions, LoginResult } from './login.ts';

/**
 * Logs in and leaves: with a token by XOAUTH2, or by OAUTHBEARER where only that is offered; with a password by USER
 * and PASS. STLS is demanded where the server is not TLS from the start; certificates are verified.
 * @returns what happened; a server's refusal is a result, not an error
 * @throws CmsError `protocol_error` for a user or token that cannot stand in a SASL string
 * @see RFC 1939, RFC 2449 (CAPA), RFC 2595 (STLS), RFC 5034 (AUTH)
 */
export async function popLogin(options: LoginOptions): Promise<LoginResult> {
  const { timeoutMs = LOGIN_TIMEOUT_MS, user } = options;
  const stop = new AbortController();
  const sockets: Socket[] = [];
  const late = new Promise<never>((_resolve, reject) => {
    const tooLate = Object.assign(new Error(`no answer within ${timeoutMs} ms`), { code: 'ETIMEDOUT' });
    const timer = setTimeout(() => reject(tooLate), timeoutMs);
    stop.signal.addEventListener('abort', () => clearTimeout(timer));
  });
  try {
    await Promise.race([late, session(options, (socket) => sockets.push(socket))]);
    return { ok: true, user };
  } catch (error) {
    return errorFailure(error, options);
  } finally {
    stop.abort();
    // TLS takes the connection under it along; destroying that one first, Node 20 crashes.
    sockets.at(-1)?.destroy();
  }
}

async function session(options: LoginOptions, opened: (socket: Socket) => void): Promise<void> {
  const lines = await secured(options, opened);
  if (options.password === undefined) await presentToken(lines, options);
  else await presentPassword(lines, options);
  lines.write('QUIT');
}

/** A connection with TLS on it, its greeting read. */
async function secured({ server, ca }: LoginOptions, opened: (socket: Socket) => void): Promise<Lines> {
  const { host, port } = server;
  const tls: ConnectionOptions = { host, port, rejectUnauthorized: true, minVersion: 'TLSv1.2', ...(ca && { ca }) };
  if (server.tls === 'implicit') {
    const lines = listen(connectTls(tls), opened);
    await expectOk(lines);
    return lines;
  }
  const plain = listen(connectPlain(port, host), opened);
  await expectOk(plain);
  plain.write('STLS');
  await expectOk(plain, 'protocol');
  return listen(connectTls({ ...tls, socket: plain.release() }), opened);
}

function listen(socket: Socket, opened: (socket: Socket) => void): Lines {
  opened(socket);
  return new Lines(socket);
}

async function presentToken(lines: Lines, options: LoginOptions): Promise<void> {
  const { user, accessToken = '', server } = options;
  const bearerOnly = !(await mechanisms(lines)).includes('XOAUTH2');
  const credentials = bearerOnly ? oauthbearer(user, accessToken, server) : xoauth2(user, accessToken);
  lines.write(`AUTH ${bearerOnly ? 'OAUTHBEARER' : 'XOAUTH2'}`);
  const start = await lines.next();
  if (!start.startsWith('+') || start.startsWith('+OK')) throw refusal(start, 'protocol');
  lines.write(base64(credentials));
  const answer = await lines.next();
  if (!/^\+(?: |$)/.test(answer)) {
    accept(answer);
    return;
  }
  lines.write(bearerOnly ? base64('\x01') : '');
  throw refusal(await lines.next(), 'refused', decodeChallenge(answer.slice(1)));
}

async function presentPassword(lines: Lines, { user, password = '' }: LoginOptions): Promise<void> {
  if (/[\r\n\0]/.test(user + password)) throw new Error('user or password holds a line end');
  lines.write(`USER ${user}`);
  await expectOk(lines, 'refused');
  lines.write(`PASS ${password}`);
  await expectOk(lines, 'refused');
}

/** What CAPA names behind SASL; XOAUTH2 where the server has no CAPA. */
async function mechanisms(lines: Lines): Promise<string[]> {
  lines.write('CAPA');
  if (!(await lines.next()).startsWith('+OK')) return ['XOAUTH2'];
  const found: string[] = [];
  for (let line = await lines.next(); line !== '.'; line = await lines.next()) {
    const [name = '', ...rest] = line.toUpperCase().split(' ');
    if (name === 'SASL') found.push(...rest);
  }
  return found;
}

async function expectOk(lines: Lines, otherwise: LoginFailure['kind'] = 'unreachable'): Promise<void> {
  accept(await lines.next(), otherwise);
}

function accept(line: string, otherwise: LoginFailure['kind'] = 'refused'): void {
  if (!line.startsWith('+OK')) throw refusal(line, otherwise);
}

/** RFC 3206: SYS/TEMP and IN-USE mean "not now", AUTH means the credentials. */
function refusal(line: string, kind: LoginFailure['kind'], challenge?: string): LoginRefusal {
  const code = /^-ERR \[([A-Z/-]+)\]/.exec(line)?.[1];
  const later = code === 'SYS/TEMP' || code === 'IN-USE' || code === 'LOGIN-DELAY';
  const text = line.replace(/^-ERR ?(?:\[[A-Z/-]+\] ?)?/, '');
  return new LoginRefusal({ kind: later ? 'unreachable' : kind, text, code, challenge });
}
