/** The listener for the redirect: on loopback alone, for as long as the sign-in takes, for one answer. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { OAuthClient } from '../accounts/account.ts';
import { CmsError, systemErrorCode } from '../errors.ts';
import { judgeCallback } from './callback.ts';
import { type Page, renderPage } from './page.ts';

/** Tries for a port that is free on 127.0.0.1 and on ::1 at once. */
const PORT_ATTEMPTS = 10;
const REQUEST_TIMEOUT_MS = 5000;

export interface RedirectListener {
  /** As registered and as sent to the provider, with the port. */
  readonly redirectUri: string;
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

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

/**
 * Listens on 127.0.0.1, and on ::1 as well where the redirect URI says `localhost`: a browser may try either first,
 * and whoever else held the other one would be sent the code.
 * @throws CmsError `cannot_create` when the port is taken
 * @see RFC 8252 sections 7.3 and 8.3
 */
export async function listenForRedirect(redirect: OAuthClient['redirect']): Promise<RedirectListener> {
  let handler: Handler = (_request, response) => send(response, notFound());
  const dispatch: Handler = (request, response) => handler(request, response);
  const servers = await bind(redirect, dispatch);
  const [first] = servers;
  const port = (first?.address() as AddressInfo).port;
  const redirectUri = `http://${redirect.host}:${port}${redirect.path}`;
  return {
    redirectUri,
    receive(state, answer, failed, signal) {
      return new Promise((resolve, reject) => {
        const abort = (): void => reject(signal.reason as Error);
        if (signal.aborted) return abort();
        signal.addEventListener('abort', abort, { once: true });
        let used = false;
        handler = (request, response) => {
          const verdict = judgeCallback(
            { method: request.method ?? '', target: request.url ?? '', hosts: hostHeaders(request) },
            new URL(redirectUri),
            state,
          );
          if (verdict.kind === 'refuse') return send(response, refused(verdict.status, verdict.why));
          if (used) return send(response, alreadyUsed());
          used = true;
          answer(verdict.url).then(
            ({ page, value }) => send(response, page, () => resolve(value)),
            (error: unknown) => send(response, failed(error), () => reject(toError(error))),
          );
        };
      });
    },
    close: () => closeAll(servers),
  };
}

function toError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}

async function bind(redirect: OAuthClient['redirect'], handler: Handler): Promise<Server[]> {
  const both = redirect.host === 'localhost';
  for (let attempt = 1; ; attempt++) {
    const servers = [await listen('127.0.0.1', redirect.port ?? 0, handler)];
    const port = (servers[0]?.address() as AddressInfo).port;
    try {
      const sixth = both ? await listenIfPossible('::1', port, handler) : undefined;
      return sixth === undefined ? servers : [...servers, sixth];
    } catch (error) {
      await closeAll(servers);
      if (redirect.port !== undefined || attempt === PORT_ATTEMPTS) throw error;
    }
  }
}

async function listenIfPossible(host: string, port: number, handler: Handler): Promise<Server | undefined> {
  try {
    return await listen(host, port, handler);
  } catch (error) {
    const code = error instanceof CmsError ? systemErrorCode(error.cause) : undefined;
    // No IPv6 on this machine: then nobody else can listen there either.
    if (code === 'EADDRNOTAVAIL' || code === 'EAFNOSUPPORT') return undefined;
    throw error;
  }
}

function listen(host: string, port: number, handler: Handler): Promise<Server> {
  const server = createServer(
    {
      headersTimeout: REQUEST_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      connectionsCheckingInterval: 1000,
      keepAlive: false,
    },
    handler,
  );
  server.maxHeadersCount = 64;
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(cannotListen(host, port, error)));
    server.listen({ host, port, exclusive: true }, () => resolve(server));
  });
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

function alreadyUsed(): Page {
  return renderPage(
    { tone: 'open', title: 'Already answered', lines: ['This sign-in has been answered. You can close this tab.'] },
    410,
  );
}
