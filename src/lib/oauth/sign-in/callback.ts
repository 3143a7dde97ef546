/** What to make of a request to the loopback redirect URI. Pure; the state is looked at before anything else is. */
import { timingSafeEqual } from 'node:crypto';
import { printable } from '../../accounts/address.ts';

export interface CallbackRequest {
  method: string;
  /** The request target, as it came. */
  target: string;
  /** All Host headers. */
  hosts: readonly string[];
  /** The Cookie header. */
  cookie?: string | undefined;
}

/** A state that is good only together with the cookie of the browser that was led to the provider from here. */
export interface LedState {
  state: string;
  cookie: { name: string; value: string };
}

export type CallbackVerdict =
  /** Ours: the URL with the authorization response. */
  | { kind: 'response'; url: URL }
  /** Not ours: it changes nothing. `tell`: what the person at the terminal should know of it. */
  | { kind: 'refuse'; status: 400 | 403 | 404 | 405; why: string; tell?: string };

/**
 * @param redirectUri ours, with its port
 * @param state of the address that was shown to the person; it is in no argument list
 * @param led of the browser that cms opened
 * @see RFC 8252 section 8, RFC 6749 section 10.12
 */
export function judgeCallback(
  request: CallbackRequest,
  redirectUri: URL,
  state: string,
  led?: LedState,
): CallbackVerdict {
  if (!request.target.startsWith('/')) return refuse(400, 'wrong request target');
  const url = new URL(redirectUri.origin + request.target);
  const here = url.pathname === redirectUri.pathname;
  // A page of another origin can reach this port by a name of its own (DNS rebinding), but not under our name.
  if (request.hosts.length !== 1 || request.hosts[0] !== redirectUri.host) {
    const named = request.hosts.map(printable).join(' and ') || 'no host';
    return refuse(403, 'wrong host', here ? `it was addressed to ${named}, not to "${redirectUri.host}"` : undefined);
  }
  if (!here) return refuse(404, 'nothing here');
  if (request.method !== 'GET')
    return refuse(405, 'wrong method', `it came as ${printable(request.method)}, not as GET`);
  const states = url.searchParams.getAll('state');
  const [given = ''] = states;
  if (states.length === 1 && same(given, state)) return { kind: 'response', url };
  if (states.length === 1 && led !== undefined && same(given, led.state)) {
    if (cookiesIn(request.cookie, led.cookie.name).some((value) => same(value, led.cookie.value)))
      return { kind: 'response', url };
    return refuse(403, 'not from the browser that was opened', 'it did not come from the browser that cms opened');
  }
  return refuse(403, 'not the sign-in that was started here', whatCame(url.searchParams));
}

/** What came without being the answer: a provider's error without a state can be just what the person waits for. */
function whatCame(query: URLSearchParams): string | undefined {
  const state = query.has('state') ? 'the state of another sign-in' : 'no state';
  const [error, text] = [query.get('error'), query.get('error_description')];
  if (error !== null) return `it has ${state}, and the error ${printable(error)}${text ? `: ${printable(text)}` : ''}`;
  if (query.has('code')) return `it has a code, but ${state}`;
  return query.size === 0 ? undefined : `it has ${state}, and neither a code nor an error`;
}

/** All values: a cookie that another program on this computer has set under the same name hides none. */
function cookiesIn(header: string | undefined, name: string): string[] {
  const pairs = (header ?? '').split(';').map((pair) => pair.trim());
  return pairs.filter((pair) => pair.startsWith(`${name}=`)).map((pair) => pair.slice(name.length + 1));
}

function refuse(status: 400 | 403 | 404 | 405, why: string, tell?: string): CallbackVerdict {
  return { kind: 'refuse', status, why, ...(tell !== undefined && { tell }) };
}

function same(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}
