/**
 * The way through an HTTP proxy, as HTTPS_PROXY, ALL_PROXY, HTTP_PROXY and NO_PROXY in the environment say. Everything
 * that leaves the machine is https, so each request is a tunnel (CONNECT), and the proxy sees no more than the host.
 * @see RFC 9110 section 9.3.6
 */
import { request as requestPlain, type RequestOptions } from 'node:http';
import { request as requestTls } from 'node:https';
import type { Socket } from 'node:net';
import { getProxyForUrl } from 'proxy-from-env';
import { isLoopback } from '../../core/endpoint.ts';
import { CmsError } from '../../core/errors.ts';
import { Secret } from '../../core/secret.ts';
import { troubleOf, type Trouble } from './network-error.ts';

export interface Proxy {
  protocol: 'http:' | 'https:';
  hostname: string;
  port: number;
  /** What stands in Proxy-Authorization. */
  authorization?: Secret;
  /** Where it is named: `HTTPS_PROXY`. */
  variable: string;
}

/** The proxy did not open the way; its name is in the message, its password never. */
export class ProxyRefusal extends Error {
  override readonly name = 'ProxyRefusal';
  readonly suggestions: readonly string[];

  constructor({ reason, suggestions }: Trouble) {
    super(reason);
    this.suggestions = suggestions;
  }
}

/** In the order in which they count; HTTP_PROXY alone is taken for https, too, as undici does. */
const VARIABLES = ['https_proxy', 'HTTPS_PROXY', 'all_proxy', 'ALL_PROXY', 'http_proxy', 'HTTP_PROXY'] as const;

/**
 * The proxy to `target`, or undefined for a direct connection; loopback never has one.
 * @throws CmsError `config_invalid` for a variable that names no proxy
 */
export async function proxyFor(target: URL): Promise<Proxy | undefined> {
  const variable = VARIABLES.find((name) => Boolean(process.env[name]));
  if (variable === undefined || isLoopback(target.hostname)) return undefined;
  // The library decides by scheme and port; here the port is that of https in any case.
  const scheme = variable.toLowerCase() === 'http_proxy' ? 'http' : 'https';
  const goesThrough = getProxyForUrl(`${scheme}://${target.hostname}:${target.port || '443'}`) !== '';
  return goesThrough ? parseProxy(process.env[variable] ?? '', variable) : undefined;
}

/** Pure part of `proxyFor`. Without a scheme it is http. @throws CmsError `config_invalid` */
export function parseProxy(text: string, variable: string): Proxy {
  const full = text.includes('://') ? text : `http://${text}`;
  if (!URL.canParse(full)) throw notAProxy(variable, 'is not the address of a proxy');
  const { protocol, hostname, port, username, password } = new URL(full);
  if (protocol.startsWith('socks')) throw notAProxy(variable, 'names a SOCKS proxy, which cms cannot use');
  if ((protocol !== 'http:' && protocol !== 'https:') || hostname === '')
    throw notAProxy(variable, 'is not the address of a proxy');
  return {
    protocol,
    hostname: hostname.replace(/^\[(.*)\]$/, '$1'),
    port: Number(port) || (protocol === 'https:' ? 443 : 80),
    ...(username !== '' && { authorization: basic(decoded(username), decoded(password)) }),
    variable,
  };
}

/** The name of a proxy for people. */
export function proxyName({ hostname, port, variable }: Proxy): string {
  return `the proxy ${hostname}:${port} (${variable})`;
}

/**
 * A connection to `target` through the proxy, still without TLS of its own.
 * @throws ProxyRefusal; what `signal` says
 */
export async function connectThrough(proxy: Proxy, target: URL, options: RequestOptions): Promise<Socket> {
  const { hostname: host, port, authorization } = proxy;
  const place = `${target.hostname}:${target.port || '443'}`;
  const send = proxy.protocol === 'https:' ? requestTls : requestPlain;
  return new Promise((resolve, reject) => {
    const connecting = send({
      ...options,
      ...{ host, port, method: 'CONNECT', path: place, agent: false },
      headers: { host: place, ...(authorization && { 'proxy-authorization': authorization.reveal() }) },
    });
    connecting.once('error', (error) => reject(options.signal?.aborted ? error : unreachableProxy(proxy, error)));
    connecting.once('connect', ({ statusCode = 0 }, socket, head) => {
      if (statusCode === 200 && head.length === 0) return resolve(socket);
      socket.destroy();
      reject(refused(proxy, place, statusCode));
    });
    connecting.end();
  });
}

function unreachableProxy(proxy: Proxy, error: Error): ProxyRefusal {
  const { reason, suggestions } = troubleOf(error);
  return new ProxyRefusal({
    reason: `${proxyName(proxy)}: ${reason}`,
    suggestions: [`check ${proxy.variable}, or name the host in NO_PROXY if it needs no proxy`, ...suggestions],
  });
}

function refused(proxy: Proxy, place: string, status: number): ProxyRefusal {
  const name = proxyName(proxy);
  const login = [`export ${proxy.variable}=http://USER:PASSWORD@${proxy.hostname}:${proxy.port}   # %-encoded`];
  const ask = [`ask for ${place} to be allowed there, or name the host in NO_PROXY if it needs no proxy`];
  if (status === 407 && proxy.authorization === undefined)
    return new ProxyRefusal({ reason: `${name} wants a user name and a password (407)`, suggestions: login });
  if (status === 407)
    return new ProxyRefusal({ reason: `${name} does not take its user name and password (407)`, suggestions: login });
  if (status === 403 || status === 405)
    return new ProxyRefusal({
      reason: `${name} does not let anybody through to ${place} (${status})`,
      suggestions: ask,
    });
  return new ProxyRefusal({
    reason: `${name} could not open the way to ${place} (${status})`,
    suggestions: [`check ${proxy.variable}, then run the command again`],
  });
}

function basic(user: string, password: string): Secret {
  if (password !== '') new Secret(password);
  return new Secret(`Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`);
}

/** A password with a bare % in it was not encoded; it is taken as it stands. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function notAProxy(variable: string, why: string): CmsError {
  return new CmsError('config_invalid', `${variable} ${why}`, {
    suggestions: [`export ${variable}=http://PROXY:PORT`],
  });
}
