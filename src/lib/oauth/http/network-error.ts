/** What a network error means, and what fixes it. Pure. */
import { isIPv6 } from 'node:net';
import { messageOf, systemErrorCode } from '../../core/errors.ts';

export interface Trouble {
  reason: string;
  suggestions: readonly string[];
}

const RETRY = ['check the network, then run the command again'];
const DNS = ['getent hosts HOST   # does this machine know the name?', ...RETRY];
/** For a name all of whose addresses are IPv6, and lead nowhere. */
export const IPV6_ALONE = [
  'getent ahosts HOST   # it has only IPv6 addresses: is that intended, or is an IPv4 address missing in /etc/hosts or the DNS?',
  'ping -6 -c 1 HOST   # does IPv6 work from here? without it, the name needs an IPv4 address',
];
const CLOCK = ['timedatectl   # is the clock of this machine right?'];
const AUTHORITY = [
  'cms account add ADDRESS --ca-file FILE   # trusts a private authority for this account',
  'export NODE_EXTRA_CA_CERTS=FILE          # trusts it in every cms that is started from here',
];
const PORTAL = ['open any web page in a browser: this network may require a login first (captive portal)'];

const PRIVATE = 'a private authority, or a proxy that reads TLS?';
const unknownIssuer = (what: string): Trouble => ({ reason: `${what} (${PRIVATE})`, suggestions: AUTHORITY });

const TROUBLES: Readonly<Record<string, Trouble>> = {
  ENOTFOUND: { reason: 'no such host (DNS)', suggestions: DNS },
  EAI_AGAIN: { reason: 'name resolution failed (DNS)', suggestions: DNS },
  ECONNREFUSED: { reason: 'connection refused', suggestions: RETRY },
  ECONNRESET: { reason: 'connection reset', suggestions: RETRY },
  ENETUNREACH: { reason: 'network unreachable', suggestions: RETRY },
  EHOSTUNREACH: { reason: 'host unreachable', suggestions: RETRY },
  ETIMEDOUT: { reason: 'connection timed out', suggestions: RETRY },
  CERT_HAS_EXPIRED: { reason: 'its TLS certificate has expired (or the clock here is ahead)', suggestions: CLOCK },
  CERT_NOT_YET_VALID: {
    reason: 'its TLS certificate is not valid yet (is the clock here behind?)',
    suggestions: CLOCK,
  },
  DEPTH_ZERO_SELF_SIGNED_CERT: unknownIssuer('its TLS certificate is self-signed'),
  SELF_SIGNED_CERT_IN_CHAIN: unknownIssuer('the authority of its TLS certificate is unknown'),
  CERT_SIGNATURE_FAILURE: unknownIssuer('its TLS certificate cannot be verified'),
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: unknownIssuer('its TLS certificate cannot be verified'),
  UNABLE_TO_GET_ISSUER_CERT: unknownIssuer('the issuer of its TLS certificate is unknown'),
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: unknownIssuer('the issuer of its TLS certificate is unknown'),
  ERR_TLS_CERT_ALTNAME_INVALID: { reason: 'its TLS certificate is for another host', suggestions: PORTAL },
  EPROTO: { reason: 'it does not speak TLS there', suggestions: PORTAL },
};

/** A connection tried over several addresses names each of them: a broken IPv6 shows. */
export function troubleOf(error: unknown): Trouble {
  for (let each: unknown = error; each instanceof Error; each = each.cause) {
    if (each instanceof AggregateError && each.errors.length > 0) return troubleOfAll(each.errors as unknown[]);
    const known = knownTrouble(each);
    if (known !== undefined) return overIPv6(each, known);
    if (each.cause === undefined) return { reason: each.message, suggestions: RETRY };
  }
  return { reason: messageOf(error), suggestions: RETRY };
}

/** @param addresses those to which no connection came about in time, if it was that what was waited for */
export function troubleOfDelay(reason: string, addresses: readonly string[]): Trouble {
  if (addresses.length === 0 || !addresses.every(isIPv6)) return { reason, suggestions: RETRY };
  return { reason: `${reason} over IPv6 (${addresses.join(', ')})`, suggestions: IPV6_ALONE };
}

function troubleOfAll(errors: readonly unknown[]): Trouble {
  const [first] = errors;
  const plain = (error: unknown): Trouble =>
    (error instanceof Error ? knownTrouble(error) : undefined) ?? troubleOf(error);
  const reasons = errors.map((each) => `${plain(each).reason} (${addressOf(each) ?? 'unknown address'})`);
  const alone = errors.every((each) => isIPv6(addressOf(each) ?? ''));
  return { reason: [...new Set(reasons)].join(', '), suggestions: alone ? IPV6_ALONE : plain(first).suggestions };
}

function overIPv6(error: Error, { reason, suggestions }: Trouble): Trouble {
  const address = addressOf(error);
  if (suggestions !== RETRY || address === undefined || !isIPv6(address)) return { reason, suggestions };
  return { reason: `${reason} over IPv6 (${address})`, suggestions: IPV6_ALONE };
}

function addressOf(error: unknown): string | undefined {
  const { address } = error as { address?: unknown };
  return typeof address === 'string' ? address : undefined;
}

function knownTrouble(error: Error): Trouble | undefined {
  // What Node says when the other side closes although an answer is due.
  if (error.message === 'socket hang up') return { reason: 'connection closed before the answer', suggestions: RETRY };
  if (error.message === 'aborted')
    return { reason: 'connection closed before the end of the answer', suggestions: RETRY };
  const code = systemErrorCode(error);
  if (code === undefined) return undefined;
  if (code.startsWith('HPE_')) return { reason: 'its answer is not HTTP', suggestions: PORTAL };
  if (code.startsWith('ERR_SSL_')) return { reason: 'it does not speak TLS there', suggestions: PORTAL };
  return TROUBLES[code] ?? { reason: code, suggestions: RETRY };
}
