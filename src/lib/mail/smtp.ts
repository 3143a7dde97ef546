/** Logging in to a submission server as a mail program would, and sending one message. */
import { once } from 'node:events';
import type SMTPConnection from 'nodemailer/lib/smtp-connection';
import type {
  SMTPConnectionCustomAuthContext,
  SMTPConnectionCustomAuthHandler,
  SMTPConnectionCustomAuthResponse,
  SMTPConnectionOptions,
} from 'nodemailer/lib/smtp-connection';
import {
  commonMechanisms,
  type Mechanism,
  noCommonMechanism,
  offeredMechanisms,
  passwordMechanisms,
  TOKEN_MECHANISMS,
} from '../core/mechanisms.ts';
import { base64, oauthbearer, xoauth2 } from '../core/sasl.ts';
import { decodeChallenge, errorFailure, LOGIN_TIMEOUT_MS, LoginRefusal } from './login.ts';
import type { LoginFailure, LoginOptions, LoginResult } from './login.ts';

export interface SmtpMessage {
  from: string;
  to: string;
  /** The whole message, RFC 5322, any line ends. */
  raw: string;
}

// Not the library's own logins: it puts the token into the AUTH command, where Gmail and Dovecot refuse long lines (555,
// 500), does not know OAUTHBEARER, and logs in by CRAM-MD5, which exim's configuration does not.
const AS_EXIM = 'AS-EXIM';
const FAREWELL_MS = 1000;

type Way = Pick<LoginOptions, 'server' | 'ca' | 'timeoutMs'>;

/**
 * Logs in as exim does and leaves. STARTTLS is demanded where the server is not TLS from the start; certificates are
 * verified.
 * @returns what happened, and by which mechanism; a server's refusal is a result, not an error
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

/**
 * The mechanisms that a server offers once there is TLS. Nothing secret is sent.
 * @returns undefined where it was not got so far
 */
export async function smtpMechanisms(options: Way): Promise<string[] | undefined> {
  const { default: Connection } = await import('nodemailer/lib/smtp-connection');
  const connection = new Connection(connectionOptions(options));
  const { broken, release } = breakage(connection, options);
  try {
    await Promise.race([broken, called((done) => connection.connect(done))]);
    const offered = offeredBy(connection);
    await leave(connection);
    return offered;
  } catch {
    return undefined;
  } finally {
    release();
    connection.close();
  }
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
  const chosen: Chosen = { among: [] };
  const connection = new Connection(connectionOptions(options, (context) => present(context, options, chosen)));
  const { broken, release } = breakage(connection, options);
  try {
    await Promise.race([broken, logIn(connection, { options, chosen }).then(() => act(connection))]);
    await leave(connection);
    const { mechanism } = chosen;
    return { ok: true, user: options.user, ...(mechanism !== undefined && { mechanism }) };
  } catch (error) {
    return failureOf(error, options);
  } finally {
    release();
    connection.close();
  }
}

function connectionOptions(options: Way, present?: SMTPConnectionCustomAuthHandler): SMTPConnectionOptions {
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
    ...(present && { customAuth: { [AS_EXIM]: present } }),
  };
}

/** Rejects when the connection breaks or the time is over. */
function breakage(connection: SMTPConnection, { timeoutMs = LOGIN_TIMEOUT_MS }: Way) {
  const stop = new AbortController();
  const broken = new Promise<never>((_resolve, reject) => {
    connection.on('error', reject);
    // After a 421 its words are still on their way to the code that asked for the reply.
    connection.on('end', () => setImmediate(() => reject(lost('the server closed the connection'))));
    const timer = setTimeout(() => reject(lost(`no answer within ${timeoutMs} ms`)), timeoutMs);
    stop.signal.addEventListener('abort', () => clearTimeout(timer));
  });
  return { broken, release: () => stop.abort() };
}

function lost(message: string): Error {
  return Object.assign(new Error(message), { code: 'ECONNRESET' });
}

/** @throws Error where exim would find no mechanism; nothing secret has been sent then */
async function logIn(
  connection: SMTPConnection,
  { options, chosen }: { options: LoginOptions; chosen: Chosen },
): Promise<void> {
  await called((done) => connection.connect(done));
  const { user, password } = options;
  const spoken = password === undefined ? TOKEN_MECHANISMS : passwordMechanisms(password);
  const offered = offeredBy(connection);
  chosen.among = commonMechanisms(offered, spoken);
  if (chosen.among.length === 0) throw new Error(noCommonMechanism(offered, spoken));
  await called((done) => connection.login({ method: AS_EXIM, user }, done));
}

/** The library's own list lacks what it does not know itself. */
function offeredBy({ lastServerResponse: ehlo }: SMTPConnection): string[] {
  return ehlo === false ? [] : offeredMechanisms(ehlo);
}

interface Chosen {
  /** Those that both sides speak, in exim's order. */
  among: readonly Mechanism[];
  /** The one by which the login went. */
  mechanism?: Mechanism;
}

/** By the first mechanism that the server, which has offered it, does not refuse to begin with. */
async function present(context: SMTPConnectionCustomAuthContext, options: LoginOptions, chosen: Chosen): Promise<void> {
  let start: SMTPConnectionCustomAuthResponse | undefined;
  for (const mechanism of chosen.among) {
    start = await context.sendCommand(`AUTH ${mechanism}`);
    if (start.status === 334) {
      await DIALOGUES[mechanism](context, options);
      chosen.mechanism = mechanism;
      return;
    }
    if (start.status < 500) break;
  }
  if (start !== undefined) throw refusal(start.response, { start: true });
}

/** What follows AUTH, in two steps, so that a token is on a line of its own. */
const DIALOGUES: Readonly<
  Record<Mechanism, (context: SMTPConnectionCustomAuthContext, options: LoginOptions) => Promise<void>>
> = {
  // The server says why it refuses, and waits to be told that we have understood: by an empty line, or by a %x01.
  XOAUTH2: (context, { user, accessToken = '' }) => answer(context, xoauth2(user, accessToken), ''),
  OAUTHBEARER: (context, { user, accessToken = '', server }) =>
    answer(context, oauthbearer(user, accessToken, server), base64('\x01')),
  PLAIN: (context, { user, password = '' }) => answer(context, `\0${user}\0${password}`),
  LOGIN: async (context, { user, password = '' }) => {
    const { status, response } = await context.sendCommand(base64(user));
    if (status !== 334) throw refusal(response);
    await answer(context, password);
  },
};

/** @param understood the answer to a challenge that tells the reason */
async function answer(
  context: SMTPConnectionCustomAuthContext,
  credentials: string,
  understood?: string,
): Promise<void> {
  const { status, response, text } = await context.sendCommand(base64(credentials));
  if (status === 235) return;
  if (status !== 334 || understood === undefined) throw refusal(response);
  const last = await context.sendCommand(understood);
  throw refusal(last.response, { challenge: decodeChallenge(text) });
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
