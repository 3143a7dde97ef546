/**
 * The server in front of the authorization server. Everything passes through it, so that a test can see each exchange,
 * answer in the provider's place, let the provider work and lose its answer, or take the provider off the network.
 */
import { createServer, request as httpRequest } from 'node:http';
import type { IncomingHttpHeaders, IncomingMessage, OutgoingHttpHeaders, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';

export interface RecordedRequest {
  method: string;
  path: string;
  headers: IncomingHttpHeaders;
  /** The form that was posted; empty for other requests. */
  parameters: URLSearchParams;
  grantType: string | undefined;
  clientId: string | undefined;
  receivedAt: number;
  /** HTTP status of the answer; undefined while there is none, and for an answer that was never sent. */
  status: number | undefined;
}

export interface Reply {
  status: number;
  headers?: OutgoingHttpHeaders;
  /** A string or bytes are sent at once with their length; anything else in chunks, at its own pace. */
  body?: string | Buffer | AsyncIterable<string | Buffer>;
}

export interface ForwardedReply extends Reply {
  headers: OutgoingHttpHeaders;
  body: Buffer;
}

/** 'hang' never answers; 'reset' cuts the connection; undefined leaves the exchange alone. */
export type FaultOutcome = Reply | 'hang' | 'reset' | undefined;

/** `forward` lets the provider work and returns its answer; it does so once, however often it is called. */
export type Fault = (
  request: RecordedRequest,
  forward: () => Promise<ForwardedReply>,
) => FaultOutcome | Promise<FaultOutcome>;

/** Headers that belong to one connection only. @see RFC 9110 section 7.6.1 */
const HOP_BY_HOP = new Set(['connection', 'keep-alive', 'transfer-encoding', 'content-length']);

export class Gateway {
  readonly requests: RecordedRequest[] = [];
  readonly #faults = new Map<string, Fault>();
  readonly #server: Server;
  readonly #upstreamPort: () => number;
  #port = 0;

  constructor(upstreamPort: () => number) {
    this.#upstreamPort = upstreamPort;
    this.#server = createServer((request, response) => void this.#handle(request, response));
  }

  get port(): number {
    return this.#port;
  }

  setFault(fault: Fault | undefined, path: string): void {
    if (fault === undefined) this.#faults.delete(path);
    else this.#faults.set(path, fault);
  }

  /** Listens on 127.0.0.1; always on the port that it had first. */
  async open(): Promise<void> {
    this.#port = await listen(this.#server, this.#port);
  }

  /** Refuses connections from now on and cuts those that there are. */
  async close(): Promise<void> {
    await closeServer(this.#server);
  }

  async end(): Promise<void> {
    await this.close();
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const body = await buffer(request);
      const record = recordOf(request, body);
      this.requests.push(record);
      let forwarded: Promise<ForwardedReply> | undefined;
      const forward = () => (forwarded ??= this.#forward(request, body));
      const outcome = await this.#faults.get(record.path)?.(record, forward);
      if (outcome === 'hang') return;
      if (outcome === 'reset') return void request.socket.resetAndDestroy();
      const reply = outcome ?? (await forward());
      record.status = reply.status;
      await send(response, reply);
    } catch (error) {
      if (response.headersSent) response.destroy();
      else response.writeHead(502).end(`gateway: ${String(error)}`);
    }
  }

  #forward(request: IncomingMessage, body: Buffer): Promise<ForwardedReply> {
    const headers = { ...withoutHopByHop(request.headers), 'content-length': body.length };
    // A connection kept alive can be closed by the other side just as the next request goes out.
    const target = { host: '127.0.0.1', port: this.#upstreamPort(), agent: false } as const;
    return new Promise((resolve, reject) => {
      const upstream = httpRequest({ ...target, method: request.method, path: request.url, headers }, (answer) => {
        buffer(answer).then((bytes) => {
          resolve({ status: answer.statusCode ?? 502, headers: withoutHopByHop(answer.headers), body: bytes });
        }, reject);
      });
      upstream.once('error', reject).end(body);
    });
  }
}

/** @returns the port */
export function listen(server: Server, port = 0): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => {
      server.off('error', reject);
      resolve((server.address() as AddressInfo).port);
    });
  });
}

export async function closeServer(server: Server): Promise<void> {
  if (!server.listening) return;
  const closed = new Promise((resolve) => server.close(resolve));
  server.closeAllConnections();
  await closed;
}

function recordOf(request: IncomingMessage, body: Buffer): RecordedRequest {
  const form = request.headers['content-type']?.startsWith('application/x-www-form-urlencoded') === true;
  const parameters = new URLSearchParams(form ? body.toString() : '');
  return {
    method: request.method ?? 'GET',
    path: new URL(request.url ?? '/', 'http://127.0.0.1').pathname,
    headers: request.headers,
    parameters,
    grantType: parameters.get('grant_type') ?? undefined,
    clientId: parameters.get('client_id') ?? undefined,
    receivedAt: Date.now(),
    status: undefined,
  };
}

function withoutHopByHop(headers: IncomingHttpHeaders): OutgoingHttpHeaders {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !HOP_BY_HOP.has(name)));
}

async function send(response: ServerResponse, { status, headers = {}, body = '' }: Reply): Promise<void> {
  response.writeHead(status, headers);
  if (typeof body === 'string' || Buffer.isBuffer(body)) return void response.end(body);
  for await (const chunk of body) {
    if (response.destroyed) return;
    response.write(chunk);
  }
  response.end();
}
