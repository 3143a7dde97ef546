/** What to make of a request to the loopback redirect URI. Pure; the state is looked at before anything else is. */
import { timingSafeEqual } from 'node:crypto';

export interface CallbackRequest {
  method: string;
  /** The request target, as it came. */
  target: string;
  /** All Host headers. */
  hosts: readonly string[];
}

export type CallbackVerdict =
  /** Ours: the URL with the authorization response. */
  | { kind: 'response'; url: URL }
  /** Not ours: it changes nothing. */
  | { kind: 'refuse'; status: 400 | 403 | 404 | 405; why: string };

/**
 * @param redirectUri ours, with its port
 * @see RFC 8252 section 8, RFC 6749 section 10.12
 */
export function judgeCallback(request: CallbackRequest, redirectUri: URL, state: string): CallbackVerdict {
  // A page of another origin can reach this port by a name of its own (DNS rebinding), but not under our name.
  if (request.hosts.length !== 1 || request.hosts[0] !== redirectUri.host) return refuse(403, 'wrong host');
  if (!request.target.startsWith('/')) return refuse(400, 'wrong request target');
  const url = new URL(redirectUri.origin + request.target);
  if (url.pathname !== redirectUri.pathname) return refuse(404, 'nothing here');
  if (request.method !== 'GET') return refuse(405, 'wrong method');
  const states = url.searchParams.getAll('state');
  if (states.length !== 1 || !same(states[0] ?? '', state)) return refuse(403, 'not the sign-in that was started here');
  return { kind: 'response', url };
}

function refuse(status: 400 | 403 | 404 | 405, why: string): CallbackVerdict {
  return { kind: 'refuse', status, why };
}

function same(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}
