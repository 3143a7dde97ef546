/** What a trial login is asked and what it answers, whatever the protocol. */
import type { MailServer } from '../accounts/account.ts';
import { CmsError, messageOf, systemErrorCode } from '../core/errors.ts';

export type LoginOptions = {
  server: MailServer;
  /** The name that SASL carries. */
  user: string;
  /** For the whole exchange, in milliseconds; default 15000. */
  timeoutMs?: number;
  /** PEM of the authorities to trust in place of the system's. Certificates are always verified. */
  ca?: string | string[];
} & ({ accessToken: string; password?: never } | { password: string; accessToken?: never });

export interface LoginFailure {
  ok: false;
  /**
   * `refused`: the server does not take these credentials. `unreachable`: no judgement now (no connection, no answer,
   * a temporary refusal), try later. `certificate`: the server's is not to be trusted. `protocol`: it does not speak
   * as it must (no TLS, no mechanism for tokens).
   */
  kind: 'refused' | 'unreachable' | 'certificate' | 'protocol';
  /** What happened, in one line, the server's words included. Never a secret. */
  detail: string;
  /** The server's words, one line of printable characters. */
  reply?: string;
  /** `535 5.7.8`, or IMAP's `AUTHENTICATIONFAILED`. */
  code?: string;
}

/** `mechanism`: of SASL, where that is known. */
export type LoginResult = { ok: true; user: string; mechanism?: string } | LoginFailure;

export const LOGIN_TIMEOUT_MS = 15_000;
const LONGEST_REPLY = 500;

/** A server's answer that ends a login: what it said last, and the challenge before it, if that said anything. */
export interface ServerReply {
  kind: LoginFailure['kind'];
  text: string;
  code?: string | undefined;
  challenge?: string | undefined;
}

/** Thrown inside an exchange, turned into a LoginFailure at its end. */
export class LoginRefusal extends Error {
  readonly reply: ServerReply;

  constructor(reply: ServerReply) {
    super(reply.text);
    this.reply = reply;
  }
}

/** A server's answer as a failure. What was sent is cut out of it, should the server have repeated it. */
function replyFailure(reply: ServerReply, options: LoginOptions): LoginFailure {
  const challenge = reply.challenge === undefined ? '' : ` ${reply.challenge}`;
  const text = presentable(`${reply.text}${challenge}`, options);
  const code = reply.code === undefined ? {} : { code: reply.code };
  return { ok: false, kind: reply.kind, detail: `${place(options)} answered: ${text}`, reply: text, ...code };
}

/** An error of a connection as a failure: of the certificate, of the way there, or of the protocol. */
export function errorFailure(error: unknown, options: LoginOptions): LoginFailure {
  if (error instanceof LoginRefusal) return replyFailure(error.reply, options);
  // A user name or token that cannot be sent is the caller's mistake, not the server's.
  if (error instanceof CmsError) throw error;
  // An address of each family was tried: then there is no message, but a code.
  const text = withoutPlaces(messageOf(error)) || (systemErrorCode(error) ?? 'no connection');
  return { ok: false, kind: kindOf(error), detail: `${place(options)}: ${presentable(text, options)}` };
}

/** OpenSSL puts the thread and the code in front of its words, and the line of its sources behind them. */
function withoutPlaces(text: string): string {
  return text.replace(/^[\dA-F]+:error:[\dA-F]+:[^:]*:[^:]*:([^:]+):[^]*$/, '$1');
}

/** The certificate errors of node:tls, by code where there is one, else by OpenSSL's words. */
function isCertificateError(error: unknown): boolean {
  const code = `${systemErrorCode(error) ?? ''} ${originalCode(error)}`;
  if (/CERT|SELF_SIGNED|LEAF_SIGNATURE|ISSUER|HOSTNAME_MISMATCH/.test(code)) return true;
  return /certificate|altnames/i.test(messageOf(error));
}

/** The JSON that Google (and RFC 7628) sends as a base64 challenge before a refusal, or undefined. */
export function decodeChallenge(base64: string): string | undefined {
  const text = Buffer.from(base64.trim(), 'base64').toString('utf8');
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? JSON.stringify(value) : undefined;
  } catch {
    return undefined;
  }
}

const UNREACHABLE =
  /^(?:E(?:CONN|HOST|NET|TIMED|AI_|NOT|PIPE|SOCKET|DNS)|NoConnection|ClosedAfter|CONNECT|GREETING|ETIMEOUT|UPGRADE)/;

function kindOf(error: unknown): LoginFailure['kind'] {
  if (isCertificateError(error)) return 'certificate';
  return UNREACHABLE.test(originalCode(error) || (systemErrorCode(error) ?? '')) ? 'unreachable' : 'protocol';
}

/** nodemailer puts a code of its own in front of the system's. */
function originalCode(error: unknown): string {
  if (!(error instanceof Error) || !('originalCode' in error)) return '';
  return typeof error.originalCode === 'string' ? error.originalCode : '';
}

function place({ server }: LoginOptions): string {
  return `${server.host}:${server.port}`;
}

/** `text` in one line, without control characters or what was sent to the server, at most 500 characters. */
function presentable(text: string, options: LoginOptions): string {
  const line = withoutSecret(text, options)
    .replace(/[\p{Cc}\p{Cf}\u2028\u2029]+/gu, ' ')
    .replace(/ {2,}/g, ' ')
    .trim();
  return line.length > LONGEST_REPLY ? `${line.slice(0, LONGEST_REPLY)}…` : line;
}

/** Cuts out the token or password, in clear and inside of base64. */
function withoutSecret(text: string, { accessToken, password }: LoginOptions): string {
  const secret = accessToken ?? password;
  if (secret === '') return text;
  return text
    .replaceAll(secret, '[hidden]')
    .replace(/[A-Za-z0-9+/]{8,}={0,2}/g, (run) =>
      Buffer.from(run, 'base64').toString('utf8').includes(secret) ? '[hidden]' : run,
    );
}
