/** The listener for the redirect: on loopback alone, for as long as the sign-in takes, for one answer. */
import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { OAuthClient } from '../../accounts/account.ts';
import { CmsError, systemErrorCode } from '../../core/errors.ts';
import { judgeCallback, type LedState } from './callback.ts';
import { type Page, renderPage } from './page.ts';
import { isForeign, uidOfPeer, uidsOfPeers } from './peer-uid.ts';
import { sparing } from '../http/sparing.ts';

/** Tries for a port that is free on 127.0.0.1 and on ::1 at once. */
const PORT_ATTEMPTS = 10;
const REQUEST_TIMEOUT_MS = 5000;
/** A browser sends the cookies of every program on this host, whatever its port: 180 of 4 KiB at most. */
const MAX_HEADER_BYTES = 1024 * 1024;

export interface RedirectListener {
  /** As registered and as sent to the provider, with the port. */
  readonly redirectUri: string;
  /**
   * An address here that leads a browser on to `url`, once. Only the browser that opened it gets the cookie without
   * which its answer, with `state`, is refused: a user who reads the address in an argument list gains nothing by it.
   */
  lead(url: string, state: string): string;
  /**
   * Waits for the authorization response with `state`. `answer` gets its URL and makes the page for the browser; what
   * it throws is thrown here, after the page of `failed` was shown.
   */
  receive<T>(
    state: string,
    answer: (url: URL) => Promise<{ page: Page; value: T }>,
    failed: (error: unknown) => Page,
    signal: AbortSignal,
  ): Promise<T>;
  close(): Promise<void>;
}

type Remark = (words: string) => void;
type Handler = (request: IncomingMessage, response: ServerResponse) => void;

/**
 * Listens on 127.0.0.1, and on ::1 as well where the redirect URI says `localhost`: a browser may try either first,
 * and another process that held the other one would be sent the code.
 * @param tell hears, sparingly, of what came and was not the answer
 * @throws CmsError `cannot_create` when the port is taken
 * @see RFC 8252 sections 7.3 and 8.3
 */
export async function listenForRedirect(
  redirect: OAuthClient['redirect'],
  tell: (words: string) => void = () => undefined,
): Promise<RedirectListener> {
  const remark = sparing(tell);
  let lead: Lead | undefined;
  let handler: Handler = (_request, response) => send(response, notFound());
  const dispatch: Handler = (request, response) => {
    if (lead?.path === pathOf(request)) leadOn(lead, request, response, remark);
    else handler(request, response);
  };
  const servers = await bind(redirect, dispatch, (words) => remark(`note: ${words}`));
  const [first] = servers;
  const port = (first?.address() as AddressInfo).port;
  const redirectUri = `http://${redirect.host}:${port}${redirect.path}`;
  return {
    redirectUri,
    lead(url, state) {
      const path = `/${randomBytes(16).toString('base64url')}`;
      const cookie = { name: `cms-${randomBytes(4).toString('hex')}`, value: randomBytes(32).toString('base64url') };
      lead = { path, host: new URL(redirectUri).host, url, state, cookie, opened: false };
      return new URL(path, redirectUri).href;
    },
    receive(state, answer, failed, signal) {
      return new Promise((resolve, reject) => {
        const abort = (): void => reject(signal.reason as Error);
        if (signal.aborted) return abort();
        signal.addEventListener('abort', abort, { once: true });
        let used = false;
        handler = (request, response) => {
          const seen = { method: request.method ?? '', target: request.url ?? '', hosts: hostHeaders(request) };
          const { cookie } = request.headers;
          const verdict = judgeCallback({ ...seen, cookie }, new URL(redirectUri), state, lead);
          if (verdict.kind === 'refuse') {
            if (verdict.tell !== undefined) remark(`note: an answer came that cannot be used: ${verdict.tell}`);
            return send(response, refused(verdict.status, verdict.why));
          }
          if (used) return send(response, alreadyUsed());
          used = true;
          const over = (page: Page): Page => (lead === undefined ? page : withoutCookie(page, lead));
          answer(verdict.url).then(
            ({ page, value }) => send(response, over(page), () => resolve(value)),
            (error: unknown) => send(response, over(failed(error)), () => reject(toError(error))),
          );
        };
      });
    },
    close: () => closeAll(servers),
  };
}

interface Lead extends LedState {
  path: string;
  host: string;
  /** Where it leads. */
  url: string;
  opened: boolean;
}

function pathOf({ url = '' }: IncomingMessage): string {
  return url.replace(/[?#].*$/s, '');
}

/** Once, unless it is the same browser that asks again; never for another user of this computer. */
function leadOn(lead: Lead, request: IncomingMessage, response: ServerResponse, remark: (words: string) => void): void {
  const hosts = hostHeaders(request);
  if (hosts.length !== 1 || hosts[0] !== lead.host) return send(response, refused(403, 'wrong host'));
  if (request.method !== 'GET') return send(response, refused(405, 'wrong method'));
  const uid = uidOfPeer(request.socket);
  if (isForeign(uid, process.env)) {
    remark(
      `warning: another user of this computer (uid ${uid ?? ''}) tried to open this sign-in, and was refused; if that was your browser, open the address above in it`,
    );
    return send(response, refused(403, 'it comes from another user of this computer'));
  }
  const { name, value } = lead.cookie;
  const known = request.headers.cookie?.split(/; */).includes(`${name}=${value}`) ?? false;
  if (lead.opened && !known) {
    remark(
      'warning: the address that opens the browser was opened a second time, and led nowhere; if the page of the provider has not appeared, end this with Ctrl-C: another program may have taken it',
    );
    return send(response, alreadyOpened());
  }
  lead.opened = true;
  response.writeHead(302, {
    location: lead.url,
    'set-cookie': `${name}=${value}; Path=/; HttpOnly; SameSite=Lax`,
    'referrer-policy': 'no-referrer',
    'cache-control': 'no-store',
    'content-length': '0',
    connection: 'close',
  });
  response.end();
}

function withoutCookie(page: Page, { cookie: { name } }: Lead): Page {
  return { ...page, headers: { ...page.headers, 'set-cookie': `${name}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax` } };
}

function toError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}

async function bind(redirect: OAuthClient['redirect'], handler: Handler, remark: Remark): Promise<Server[]> {
  const both = redirect.host === 'localhost';
  for (let attempt = 1; ; attempt++) {
    const servers = [await listen('127.0.0.1', redirect.port ?? 0, handler, remark)];
    const port = (servers[0]?.address() as AddressInfo).port;
    try {
      const sixth = both ? await listenIfPossible('::1', port, handler, remark) : undefined;
      return sixth === undefined ? servers : [...servers, sixth];
    } catch (error) {
      await closeAll(servers);
      if (redirect.port !== undefined || attempt === PORT_ATTEMPTS) throw error;
    }
  }
}

async function listenIfPossible(
  host: string,
  port: number,
  handler: Handler,
  remark: Remark,
): Promise<Server | undefined> {
  try {
    return await listen(host, port, handler, remark);
  } catch (error) {
    const code = error instanceof CmsError ? systemErrorCode(error.cause) : undefined;
    // No IPv6 on this machine: then no other process can listen there either.
    if (code === 'EADDRNOTAVAIL' || code === 'EAFNOSUPPORT') return undefined;
    throw error;
  }
}

function listen(host: string, port: number, handler: Handler, remark: Remark): Promise<Server> {
  const server = createServer(
    {
      maxHeaderSize: MAX_HEADER_BYTES,
      headersTimeout: REQUEST_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      connectionsCheckingInterval: 1000,
      keepAlive: false,
    },
    handler,
  );
  server.maxHeadersCount = 64;
  keepRoom(server);
  server.on('clientError', (error, socket) => refuseUnread(error, socket, remark));
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(cannotListen(host, port, error)));
    server.listen({ host, port, exclusive: true }, () => resolve(server));
  });
}

/**
 * Of connections that have sent no request. A browser keeps a few in reserve; whoever opens thousands would take the
 * descriptors that the exchange of the code needs, and the browser's place.
 */
const MAX_SILENT = 100;
/** Twice as many are not waited for. */
const ROOM_INTERVAL_MS = 250;

/**
 * Beyond that, those of other users are closed, or else those that have been silent longest. Seldom, and for all that
 * came since: the kernel takes some 30 ms to say whose they are.
 */
function keepRoom(server: Server): void {
  const silent = new Set<Socket>();
  let looking: NodeJS.Timeout | undefined;
  const close = (socket: Socket): void => {
    silent.delete(socket);
    socket.destroy();
  };
  const makeRoom = (): void => {
    clearTimeout(looking);
    looking = undefined;
    if (silent.size <= MAX_SILENT) return;
    const all = [...silent];
    const uids = uidsOfPeers(all);
    all.filter((_socket, index) => isForeign(uids[index], process.env)).forEach(close);
    [...silent].slice(0, Math.max(0, silent.size - MAX_SILENT)).forEach(close);
  };
  server.on('connection', (socket: Socket) => {
    silent.add(socket);
    socket.once('close', () => silent.delete(socket));
    if (silent.size >= 2 * MAX_SILENT) makeRoom();
    else if (silent.size > MAX_SILENT) looking ??= setTimeout(makeRoom, ROOM_INTERVAL_MS).unref();
  });
  server.on('request', ({ socket }: IncomingMessage) => silent.delete(socket));
}

/** What never becomes a request: too long, or not HTTP. A connection on which nothing comes is a browser's reserve. */
function refuseUnread(error: Error, socket: Duplex, remark: Remark): void {
  const code = systemErrorCode(error) ?? '';
  const tooLong = code === 'HPE_HEADER_OVERFLOW';
  if (tooLong) remark('a request of more than 1 MiB came, too long to be the answer');
  else if (code.startsWith('HPE_')) remark('something came that is not HTTP; the address begins with http, not https');
  if (!code.startsWith('HPE_') || !socket.writable) return void socket.destroy();
  const { status, headers, body } = tooLong ? refused(431, 'it is too long') : refused(400, 'it is not HTTP');
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  socket.end([`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`, ...lines, '', body].join('\r\n'));
}

function cannotListen(host: string, port: number, error: Error): CmsError {
  const why = systemErrorCode(error) ?? error.message;
  return new CmsError('cannot_create', `cannot listen on ${host} port ${port} for the redirect: ${why}`, {
    cause: error,
    suggestions:
      why === 'EACCES'
        ? ['leave --redirect-port out, or choose one above 1023: those below are for root']
        : [
            `ss -ltnp 'sport = :${port}'   # shows who has the port`,
            'leave --redirect-port out, or choose another one',
          ],
  });
}

async function closeAll(servers: readonly Server[]): Promise<void> {
  await Promise.all(
    servers.map(async (server) => {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    }),
  );
}

/** Node joins repeated Host headers nowhere and keeps the first: the raw list tells. */
function hostHeaders(request: IncomingMessage): string[] {
  const raw = request.rawHeaders;
  return raw.filter((_value, index) => index % 2 === 1 && raw[index - 1]?.toLowerCase() === 'host');
}

function send(response: ServerResponse, page: Page, then?: () => void): void {
  response.writeHead(page.status, page.headers);
  // A browser that has gone away must not keep the sign-in from ending.
  if (then && response.destroyed) return then();
  if (then) response.once('close', then);
  response.end(page.body);
}

function notFound(): Page {
  return refused(404, 'nothing here');
}

function refused(status: number, why: string): Page {
  return renderPage({ tone: 'bad', title: 'Not for this page', lines: [`This request was refused: ${why}.`] }, status);
}

function alreadyOpened(): Page {
  const lines = [
    'This address works once, and something else on this computer has opened it before.',
    'If that was not you, end the sign-in with Ctrl-C in the terminal; otherwise use the address that is shown there.',
  ];
  return renderPage({ tone: 'bad', title: 'Opened already', lines }, 410);
}

function alreadyUsed(): Page {
  return renderPage(
    { tone: 'open', title: 'Already answered', lines: ['This sign-in has been answered. You can close this tab.'] },
    410,
  );
}
