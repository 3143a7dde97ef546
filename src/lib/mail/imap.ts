/** Logging in to an IMAP server as a mail program would. */
import type { ImapFlow, ImapFlowOptions } from 'imapflow';
import { xoauth2 } from '../core/sasl.ts';
import { errorFailure, LOGIN_TIMEOUT_MS, LoginRefusal } from './login.ts';
import type { LoginOptions, LoginResult } from './login.ts';

/**
 * Logs in and leaves, with OAUTHBEARER or XOAUTH2 as the server offers. STARTTLS is demanded where the server is not
 * TLS from the start; certificates are verified. Exchange's "authenticated but not connected" counts as a refusal.
 * @returns what happened; a server's refusal is a result, not an error
 * @throws CmsError `protocol_error` for a user or token that cannot stand in a SASL string
 * @see RFC 9051 section 6.2, RFC 8314
 */
export async function imapLogin(options: LoginOptions): Promise<LoginResult> {
  // The library has its own encoder, but a looser opinion of what may stand in a token.
  if (options.accessToken !== undefined) xoauth2(options.user, options.accessToken);
  const { ImapFlow: Client } = await import('imapflow');
  const client = new Client(clientOptions(options));
  try {
    await beforeDeadline(client, options.timeoutMs ?? LOGIN_TIMEOUT_MS);
    return { ok: true, user: options.user };
  } catch (error) {
    return errorFailure(asRefusal(error), options);
  } finally {
    client.close();
  }
}

function clientOptions(options: LoginOptions): ImapFlowOptions {
  const { server, user, accessToken, password, ca, timeoutMs = LOGIN_TIMEOUT_MS } = options;
  return {
    host: server.host,
    port: server.port,
    // Exactly one of the two: without doSTARTTLS the library would go on in the clear.
    secure: server.tls === 'implicit',
    ...(server.tls === 'starttls' && { doSTARTTLS: true }),
    auth: password === undefined ? { user, accessToken } : { user, pass: password },
    tls: { rejectUnauthorized: true, minVersion: 'TLSv1.2', ...(ca !== undefined && { ca }) },
    logger: false,
    verifyOnly: true,
    clientInfo: { name: 'cms' },
    connectionTimeout: timeoutMs,
    greetingTimeout: timeoutMs,
    socketTimeout: timeoutMs,
  };
}

async function beforeDeadline(client: ImapFlow, timeoutMs: number): Promise<void> {
  const stop = new AbortController();
  const broken = new Promise<never>((_resolve, reject) => {
    client.on('error', reject);
    const late = Object.assign(new Error(`no answer within ${timeoutMs} ms`), { code: 'ETIMEDOUT' });
    const timer = setTimeout(() => reject(late), timeoutMs);
    stop.signal.addEventListener('abort', () => clearTimeout(timer));
  });
  try {
    await Promise.race([broken, client.connect()]);
  } finally {
    stop.abort();
  }
}

/** What the library adds to the error of a refused login. */
interface AuthenticationError extends Error {
  authenticationFailed: true;
  response?: unknown;
  serverResponseCode?: unknown;
  oauthError?: unknown;
}

function asRefusal(error: unknown): unknown {
  if (!isAuthenticationError(error) || typeof error.response !== 'string') return error;
  const code = typeof error.serverResponseCode === 'string' ? error.serverResponseCode : undefined;
  const challenge = typeof error.oauthError === 'object' ? JSON.stringify(error.oauthError) : undefined;
  // RFC 5530 section 3: the server cannot tell at the moment.
  return new LoginRefusal({
    kind: code === 'UNAVAILABLE' ? 'unreachable' : 'refused',
    text: error.response,
    code,
    challenge,
  });
}

function isAuthenticationError(error: unknown): error is AuthenticationError {
  return error instanceof Error && 'authenticationFailed' in error && error.authenticationFailed === true;
}
