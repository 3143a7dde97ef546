/** Logging in to a submission server as a mail program would, and sending one message. */
import { once } from 'node:events';
import type SMTPConnection from 'nodemailer/lib/smtp-connection';
import type { SMTPConnectionCustomAuthContext, SMTPConnectionOptions } from 'nodemailer/lib/smtp-connection';
import { base64, oauthbearer, xoauth2 } from '../sasl/sasl.ts';
import { decodeChallenge, errorFailure, LOGIN_TIMEOUT_MS, LoginRefusal } from './login.ts';
import type { LoginFailure, LoginOptions, LoginResult } from './login.ts';

export interface SmtpMessage {
  from: string;
  to: string;
  /** The whole message, RFC 5322, any line ends. */
  raw: string;
}

// Not the library's own XOAUTH2, which puts the token into the AUTH command: Gmail and Dovecot refuse long lines there
// (555, 500), and the library does not know OAUTHBEARER.
const BEARER = 'BEARER';
const FAREWELL_MS = 1000;

/**
 * Logs in and leaves. STARTTLS is demanded where the server is not TLS from the start; certificates are verified.
 * @returns what happened; a server's refusal is a result, not an error
 * @throws CmsError `protocol_error` for a user or token that cannot stand in a SASL string
 * @see RFC 4954, RFC 8314
 */
export async function smtpLogin(options: LoginOptions): Promise<LoginResult> {
  return inSession(options, async () => undefined);
}

/** Logs in, sends `message`, and leaves. Results and errors as `smtpLogin`; a refused message is `refused` too. */
export async function smtpSend(options: LoginOptions, message: SmtpMessage): Promise<LoginResult> {
  return inSession(options, async (connection) => {
    await called((done) => connection.send({ from: message.from, to: [message.to] }, message.raw, done));
  });
}

/** Loads what a login needs, for a process that lives longer than the files it was started from. */
export async function prepareSmtp(): Promise<void> {
  await import('nodemailer/lib/smtp-connection');
}

async function inSession(
  options: LoginOptions,
  act: (connection: SMTPConnection) => Promise<void>,
): Promise<LoginResult> {
  // Here, and not inside the library, which would put a code of its own on the error.
  if (options.accessToken !== undefined) xoauth2(options.user, options.accessToken);
  const { default: Connection } = await import('nodemailer/lib/smtp-connection');
  const connection = new Connection(connectionOptions(options));
  const { broken, release } = breakage(connection, options);
  try {
    await Promise.race([broken, logIn(connection, options).then(() => act(connection))]);
    await leave(connection);
    return { ok: true, user: options.user };
  } catch (error) {
    return failureOf(error, options);
  } finally {
    release();
    connection.close();
  }
}

function connectionOptions(options: LoginOptions): SMTPConnectionOptions {
  const { server, ca, timeoutMs = LOGIN_TIMEOUT_MS } = options;
  return {
    host: server.host,
    port: server.port,
    secure: server.tls === 'implicit',
    requireTLS: server.tls === 'starttls',
    tls: { rejectUnauthorized: true, minVersion: 'TLSv1.2', ...(ca !== undefined && { ca }) },
    logger: false,
    connectionTimeout: timeoutMs,
    greetingTimeout: timeoutMs,
    socketTimeout: timeoutMs,
    dnsTimeout: timeoutMs,
    socketCloseTimeout: 0,
    customAuth: { [BEARER]: (context) => presentToken(context, options) },
  };
}

/** Rejects when the connection breaks or the time is over. */
function breakage(connection: SMTPConnection, { timeoutMs = LOGIN_TIMEOUT_MS }: LoginOptions) {
  const stop = new AbortController();
  const broken = new Promise<never>((_resolve, reject) => {
    connection.on('error', reject);
    // After a 421 its words are still on their way to whoever asked for the reply.
    connection.on('end', () => setImmediate(() => reject(lost('the server closed the connection'))));
    const timer = setTimeout(() => reject(lost(`no answer within ${timeoutMs} ms`)), timeoutMs);
    stop.signal.addEventListener('abort', () => clearTimeout(timer));
  });
  return { broken, release: () => stop.abort() };
}

function lost(message: string): Error {
  return Object.assign(new Error(message), { code: 'ECONNRESET' });
}

async function logIn(connection: SMTPConnection, options: LoginOptions): Promise<void> {
  await called((done) => connection.connect(done));
  const { user, password } = options;
  const auth = password === undefined ? { method: BEARER, user } : { user, pass: password };
  await called((done) => connection.login(auth, done));
}

/** The AUTH dialogue in two steps, so that the token stands on a line of its own. */
async function presentToken(context: SMTPConnectionCustomAuthContext, options: LoginOptions): Promise<void> {
  const { accessToken = '', user, server } = options;
  const announced = context.authMethods.includes('XOAUTH2');
  const mechanism = announced ? 'XOAUTH2' : 'OAUTHBEARER';
  const credentials = announced ? xoauth2(user, accessToken) : oauthbearer(user, accessToken, server);
  const start = await context.sendCommand(`AUTH ${mechanism}`);
  if (start.status !== 334) throw refusal(start.response, { start: true });
  const answer = await context.sendCommand(base64(credentials));
  if (answer.status === 235) return;
  if (answer.status !== 334) throw refusal(answer.response);
  // The server says why, and waits to be told that we have understood: an empty line, for OAUTHBEARER a %x01.
  const last = await context.sendCommand(announced ? '' : base64('\x01'));
  throw refusal(last.response, { challenge: decodeChallenge(answer.text) });
}

/** Replies to AUTH that say "I do not know this", not "I do not know you". @see RFC 5321 section 4.2.2 */
const NOT_UNDERSTOOD: ReadonlySet<number> = new Set([500, 501, 502, 503, 504, 555]);

function refusal(response: string, about: { start?: true; challenge?: string | undefined } = {}): LoginRefusal {
  const [code = '', status = ''] = /^(\d{3})(?:[ -]\d\.\d{1,3}\.\d{1,3})?/.exec(response) ?? [];
  const kind = replyKind(Number(status), about.start === true);
  const text = response.replace(/\r?\n\d{3}[ -]/g, ' ').replace(/^(\d{3})-/, '$1 ');
  return new LoginRefusal({ kind, text, code: code.replace('-', ' ') || undefined, challenge: about.challenge });
}

function replyKind(status: number, start: boolean): LoginFailure['kind'] {
  if (status >= 400 && status < 500) return 'unreachable';
  if (status < 500 || (start && NOT_UNDERSTOOD.has(status))) return 'protocol';
  return 'refused';
}

/** The library's own errors carry the server's reply, ours are known already. */
function failureOf(error: unknown, options: LoginOptions): LoginFailure {
  if (error instanceof Error && 'response' in error && !(error instanceof LoginRefusal)) {
    const { response } = error;
    if (typeof response === 'string' && /^[45]\d\d/.test(response)) return errorFailure(refusal(response), options);
  }
  return errorFailure(error, options);
}

/** Says QUIT; a server that has nothing to say to that is left without. */
async function leave(connection: SMTPConnection): Promise<void> {
  const gone = once(connection, 'end', { signal: AbortSignal.timeout(FAREWELL_MS) });
  connection.quit();
  await gone.catch(() => undefined);
}

async function called(start: (done: (error?: Error | null) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    start((error) => (error ? reject(error) : resolve()));
  });
}
