/** One request on a connection of its own: direct or through a proxy, plain only on loopback. */
import { type IncomingMessage, request as requestPlain, type RequestOptions } from 'node:http';
import { request as requestTls } from 'node:https';
import { isIP, type Socket } from 'node:net';
import { connect as connectTls, type SecureContext, type TLSSocket } from 'node:tls';
import { connectThrough, type Proxy } from './proxy.ts';

/**
 * How long one address of a host may take before the next is tried as well. Node's 250 ms give up a distant server
 * that is well, and then all that is left may be an IPv6 that leads nowhere. @see RFC 8305 section 5
 */
const ATTEMPT_TIMEOUT_MS = 1000;

export interface OutgoingRequest {
  method: string;
  headers: Record<string, string>;
  body: string | undefined;
  /** The CAs to trust; without it, those that Node trusts. */
  secureContext: SecureContext | undefined;
  proxy: Proxy | undefined;
  signal: AbortSignal;
  /** Told how far it has come, and where to, for those who wait too long. */
  reached: (stage: Stage, address?: string) => void;
}

/** What is being waited for. */
export type Stage = 'name resolution' | 'connection' | 'TLS' | 'answer';

/** Sends it and waits for the head of the answer. Rejects with the errors of node:http and node:tls, and ProxyRefusal. */
export async function send(url: URL, outgoing: OutgoingRequest): Promise<IncomingMessage> {
  const { method, headers, body, signal, secureContext, proxy } = outgoing;
  const connection = {
    ...(secureContext && { secureContext }),
    autoSelectFamilyAttemptTimeout: ATTEMPT_TIMEOUT_MS,
    signal,
  };
  const tunnel = proxy && (await tunnelTo(url, proxy, connection));
  const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) };
  const options: RequestOptions = {
    ...connection,
    method,
    // Node, given a tunnel, would name port 80 here.
    headers: { host: url.host, ...headers, ...length },
    ...(tunnel === undefined ? { agent: false } : { createConnection: () => tunnel }),
  };
  return new Promise((resolve, reject) => {
    const request = url.protocol === 'https:' ? requestTls(url, options) : requestPlain(url, options);
    request.once('socket', (socket) => report(socket, url.protocol === 'https:', outgoing.reached));
    request.once('error', reject).once('response', resolve).end(body);
  });
}

async function tunnelTo(
  url: URL,
  proxy: Proxy,
  options: RequestOptions & { secureContext?: SecureContext },
): Promise<TLSSocket> {
  const socket = await connectThrough(proxy, url, options);
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  // RFC 6066 section 3 has no names that are addresses; the certificate is compared with the host in any case.
  return connectTls({
    socket,
    host,
    ...(isIP(host) === 0 && { servername: host }),
    ...(options.secureContext && { secureContext: options.secureContext }),
  });
}

function report(socket: Socket, secure: boolean, reached: OutgoingRequest['reached']): void {
  // Once for each address of the name.
  socket.on('lookup', (_error: Error | null, address: string) => reached('connection', address));
  socket.once('connect', () => reached(secure ? 'TLS' : 'answer'));
  socket.once('secureConnect', () => reached('answer'));
}
