/**
 * HTTP as a provider deserves it: bounded in time and size, never redirected, never in clear text except on loopback.
 */
import type { IncomingMessage } from 'node:http';
import { parseEndpoint } from '../../core/endpoint.ts';
import { CmsError } from '../../core/errors.ts';
import { trustingContext } from '../../os/tls-authorities.ts';
import { decodeBody, UndecodableBody } from './content-coding.ts';
import { type Trouble, troubleOf, troubleOfDelay } from './network-error.ts';
import { type Proxy, proxyFor, proxyName, ProxyRefusal } from './proxy.ts';
import { send, type Stage } from './transport.ts';

const TIMEOUT_MS = 10_000;
const MAX_BODY_BYTES = 1024 * 1024;

export interface HttpRequest {
  method?: string;
  headers?: Readonly<Record<string, string>>;
  body?: unknown;
  /** File of a CA to trust in addition to those of the system. */
  caFile?: string | undefined;
}

/**
 * By their names in lower case. Not `Headers`: the first use of any part of `fetch` loads all of it, which takes longer
 * than a request.
 */
export type HttpHeaders = ReadonlyMap<string, string>;

/** An answer read to its end. */
export interface HttpAnswer {
  status: number;
  headers: HttpHeaders;
  body: string;
}

/** No answer at all: name resolution, connection, TLS, a proxy, time-out, or a body without end. */
export class NoAnswer extends Error {
  override readonly name = 'NoAnswer';
  /** What may fix it. */
  readonly suggestions: readonly string[];

  constructor(message: string, options: { cause?: unknown; suggestions?: readonly string[] } = {}) {
    super(message, { cause: options.cause });
    this.suggestions = options.suggestions ?? [];
  }
}

/**
 * Sends a request and reads the whole answer, whatever its status. A redirect is an answer as well: followed, it would
 * carry the refresh token to wherever it points (RFC 9700 section 4.12).
 * @throws NoAnswer with the reason in plain words; CmsError `config_invalid` where certificates are not verified, or
 * for a proxy or authority that cannot be used
 */
export async function request(url: string, init: HttpRequest = {}, signal?: AbortSignal): Promise<HttpAnswer> {
  requireVerification();
  const target = parseEndpoint(url, 'address of the request');
  const [secureContext, proxy] = await Promise.all([trustingContext(init.caFile), proxyFor(target)]);
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  let stage: Stage = 'name resolution';
  const addresses: string[] = [];
  try {
    const incoming = await send(target, {
      method: init.method ?? 'GET',
      headers: { ...init.headers },
      body: textOf(init.body),
      secureContext,
      proxy,
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
      reached: (next, address) => {
        stage = next;
        if (address !== undefined) addresses.push(address);
      },
    });
    const headers = headersOf(incoming);
    const body = textFrom(await decodeBody(await readBody(incoming), headers.get('content-encoding'), MAX_BODY_BYTES));
    return { status: incoming.statusCode ?? 0, headers: decodedHeaders(headers), body };
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    throw noAnswer(target.host, error, timeout.aborted ? tooLate(stage, addresses, proxy) : troubleOf(error), proxy);
  }
}

/** A form or a text; nothing else is ever sent. */
function textOf(body: unknown): string | undefined {
  if (typeof body === 'string' || body === undefined || body === null) return body ?? undefined;
  if (body instanceof URLSearchParams) return body.toString();
  throw new TypeError('a request body is a form or a text');
}

function headersOf({ headersDistinct }: IncomingMessage): HttpHeaders {
  return new Map(Object.entries(headersDistinct).map(([name, values]) => [name, (values ?? []).join(', ')]));
}

/** What was said of the bytes does not hold for the text. */
function decodedHeaders(headers: HttpHeaders): HttpHeaders {
  return new Map([...headers].filter(([name]) => name !== 'content-encoding' && name !== 'content-length'));
}

/** UTF-8, or what a byte order mark says; the mark is not part of the text. */
function textFrom(bytes: Buffer): string {
  const mark = bytes.length < 2 ? 0 : bytes.readUInt16BE(0);
  const encoding = mark === 0xfeff ? 'utf-16be' : mark === 0xfffe ? 'utf-16le' : 'utf-8';
  return new TextDecoder(encoding).decode(bytes);
}

function tooLate(stage: Stage, addresses: readonly string[], proxy: Proxy | undefined): Trouble {
  const seconds = `no answer within ${TIMEOUT_MS / 1000} s`;
  if (stage === 'answer' || proxy !== undefined) return troubleOfDelay(seconds, []);
  return troubleOfDelay(`${seconds} (waiting for ${stage})`, stage === 'connection' ? addresses : []);
}

function noAnswer(host: string, error: unknown, trouble: Trouble, proxy: Proxy | undefined): NoAnswer {
  if (error instanceof ProxyRefusal) {
    return new NoAnswer(`${host}: ${error.message}`, { cause: error, suggestions: error.suggestions });
  }
  const undecodable =
    error instanceof UndecodableBody ? { reason: error.message, suggestions: error.suggestions } : trouble;
  const { reason, suggestions } = undecodable;
  const way = proxy === undefined ? '' : `, through ${proxyName(proxy)}`;
  return new NoAnswer(`${host}: ${reason}${way}`, {
    cause: error,
    suggestions: suggestions.map((line) => line.replace('HOST', host.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1'))),
  });
}

/** Node would take any certificate for the provider's, and send it the refresh token. */
function requireVerification(): void {
  if (process.env.NODE_TLS_REJECT_UNAUTHORIZED !== '0') return;
  throw new CmsError('config_invalid', 'NODE_TLS_REJECT_UNAUTHORIZED=0 turns the check of TLS certificates off', {
    suggestions: [
      'unset NODE_TLS_REJECT_UNAUTHORIZED',
      'cms account add ADDRESS --ca-file FILE   # trusts a private CA, for this account',
    ],
  });
}

async function readBody(incoming: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of incoming) {
    const bytes = chunk as Buffer;
    size += bytes.length;
    if (size > MAX_BODY_BYTES) throw new Error(`the answer is larger than ${MAX_BODY_BYTES} bytes`);
    chunks.push(bytes);
  }
  return Buffer.concat(chunks);
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
    suggestions: [...noAnswer.suggestions],
  });
}

/** Seconds by which the clock of this machine is ahead of the server's; undefined where the answer has no date. */
export function clockAheadSeconds(headers: HttpHeaders, now: number): number | undefined {
  const date = Date.parse(headers.get('date') ?? '');
  return Number.isNaN(date) ? undefined : Math.round((now - date) / 1000);
}

/** When to try again what failed for now. @param seconds that the server asked for */
export function againIn(seconds?: number): string {
  if (seconds === undefined || seconds <= 0) return 'run the command again later';
  return `run the command again in ${seconds < 120 ? `${Math.ceil(seconds)} s` : `${Math.ceil(seconds / 60)} min`}`;
}

/** `Retry-After` in seconds, from either of its forms. @see RFC 9110 section 10.2.3 */
export function retryAfterSeconds(headers: HttpHeaders, now: number): number | undefined {
  const value = headers.get('retry-after');
  if (value === undefined) return undefined;
  if (/^\d+$/.test(value)) return Number(value);
  // Date.parse would take "-1" for a year.
  const date = /^[A-Z][a-z]{2,8},? /.test(value) ? Date.parse(value) : NaN;
  if (Number.isNaN(date)) return undefined;
  // By the clock that the date was read from, if it says what time it has.
  const theirs = Date.parse(headers.get('date') ?? '');
  return Math.max(0, (date - (Number.isNaN(theirs) ? now : theirs)) / 1000);
}
