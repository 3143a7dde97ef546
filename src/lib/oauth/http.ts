/**
 * HTTP as a provider deserves it: bounded in time and size, never redirected, never in clear text except on loopback.
 */
import { CmsError, systemErrorCode } from '../errors.ts';

const TIMEOUT_MS = 10_000;
const MAX_BODY_BYTES = 1024 * 1024;

/** An answer read to its end. */
export interface HttpAnswer {
  status: number;
  headers: Headers;
  body: string;
}

/** No answer at all: name resolution, connection, TLS, time-out, or a body without end. */
export class NoAnswer extends Error {
  override readonly name = 'NoAnswer';
}

/**
 * Sends a request and reads the whole answer, whatever its status.
 * @throws NoAnswer with the reason in plain words; CmsError `config_invalid` where certificates are not verified
 */
export async function request(url: string, init: RequestInit = {}, signal?: AbortSignal): Promise<HttpAnswer> {
  requireVerification();
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  const { host } = new URL(url);
  try {
    const response = await fetch(url, {
      ...init,
      // A redirect would carry the refresh token to wherever it points (RFC 9700 section 4.12).
      redirect: 'manual',
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
    });
    return { status: response.status, headers: response.headers, body: await readBody(response) };
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    throw new NoAnswer(`${host}: ${reasonOf(error, timeout.aborted)}`, { cause: error });
  }
}

/** Node would take any certificate for the provider's, and send it the refresh token. */
function requireVerification(): void {
  if (process.env.NODE_TLS_REJECT_UNAUTHORIZED !== '0') return;
  throw new CmsError('config_invalid', 'NODE_TLS_REJECT_UNAUTHORIZED=0 turns the check of TLS certificates off', {
    suggestions: ['unset NODE_TLS_REJECT_UNAUTHORIZED', 'export NODE_EXTRA_CA_CERTS=/path/to/an/authority.pem'],
  });
}

async function readBody(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    const bytes = chunk as Uint8Array;
    size += bytes.length;
    if (size > MAX_BODY_BYTES) throw new Error(`the answer is larger than ${MAX_BODY_BYTES} bytes`);
    chunks.push(bytes);
  }
  return Buffer.concat(chunks).toString('utf8');
}

const REASONS: Readonly<Record<string, string>> = {
  ENOTFOUND: 'no such host (DNS)',
  EAI_AGAIN: 'name resolution failed (DNS)',
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  ENETUNREACH: 'network unreachable',
  EHOSTUNREACH: 'host unreachable',
  ETIMEDOUT: 'connection timed out',
  UND_ERR_CONNECT_TIMEOUT: 'connection timed out',
  UND_ERR_SOCKET: 'connection closed before the answer',
  CERT_HAS_EXPIRED: 'its TLS certificate has expired',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its TLS certificate is self-signed',
  SELF_SIGNED_CERT_IN_CHAIN: 'its TLS certificate chain is self-signed',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its TLS certificate cannot be verified',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'the issuer of its TLS certificate is unknown',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its TLS certificate is for another host',
};

function reasonOf(error: unknown, timedOut: boolean): string {
  if (timedOut) return `no answer within ${TIMEOUT_MS / 1000} s`;
  // fetch wraps the reason once, and a connection tried over IPv4 and IPv6 wraps it again.
  for (let each: unknown = error; each instanceof Error; each = each.cause) {
    const inner: unknown = each instanceof AggregateError ? each.errors[0] : each;
    const code = systemErrorCode(inner);
    if (code !== undefined) return REASONS[code] ?? code;
    if (each.cause === undefined) return each.message;
  }
  return String(error);
}

/** The first error of a kind in a chain of causes; openid-client wraps what its transport throws. */
export function causeIn<T extends Error>(
  error: unknown,
  kind: abstract new (...parameters: never[]) => T,
): T | undefined {
  for (let each: unknown = error; each instanceof Error; each = each.cause) {
    if (each instanceof kind) return each;
  }
  return undefined;
}

/** A `NoAnswer` as the error that users see; everything else unchanged. */
export function unreachable(error: unknown): unknown {
  const noAnswer = causeIn(error, NoAnswer);
  if (noAnswer === undefined) return error;
  return new CmsError('temporarily_unavailable', `cannot reach ${noAnswer.message}`, {
    cause: noAnswer,
    suggestions: ['check the network, then run the command again'],
  });
}

/** `Retry-After` in seconds, from either of its forms. @see RFC 9110 section 10.2.3 */
export function retryAfterSeconds(headers: Headers, now: number): number | undefined {
  const value = headers.get('retry-after');
  if (value === null) return undefined;
  if (/^\d{1,9}$/.test(value)) return Number(value);
  // Date.parse would take "-1" for a year.
  const date = /^[A-Z][a-z]{2,8},? /.test(value) ? Date.parse(value) : NaN;
  return Number.isNaN(date) ? undefined : Math.max(0, (date - now) / 1000);
}
