/**
 * When a token is good enough, when it is refreshed, and when a failed exchange is tried again. Pure: times in
 * milliseconds since the epoch come in, decisions go out.
 */
import type { GrantFailure, GrantHeader } from '../vault/grant.ts';

export const DEFAULT_MIN_VALIDITY_SECONDS = 600;
const SECOND = 1000;
const MINUTE = 60 * SECOND;
const DAY = 24 * 60 * MINUTE;

/** A wish for longer validity may not make us hammer the provider. */
const MIN_EXCHANGE_INTERVAL = MINUTE;
/** How far into the future an issue time may lie before the clock must have been set back. */
const CLOCK_TOLERANCE = MINUTE;
/** Refreshes of accounts that no client asks for: often enough for any idle limit that providers are known to have. */
const KEEP_ALIVE_INTERVAL = 3 * DAY;
/** A token that lives shorter is fetched when it is asked for: ahead of that, each one would be due at once. */
const SHORTEST_REFRESHED_AHEAD = 2 * SECOND;
const FIRST_BACKOFF = SECOND;
const MAX_BACKOFF = 5 * MINUTE;
const CLIENT_ERROR_BACKOFF = 60 * MINUTE;
const MAX_RETRY_AFTER = 60 * MINUTE;
/** Of the lifetime of a refresh token: its refresh then still has a second chance while the provider is down. */
const REFRESH_TOKEN_SHARE = 0.5;
/** The shortest interval at which a refresh token that ends soon is renewed. */
const SHORTEST_RENEWAL = SECOND;
/** The same for one that ends all the same: renewing it did not move its end. */
const SHORTEST_VAIN_RENEWAL = 60 * MINUTE;

export interface Demand {
  /** When the request was made. */
  began: number;
  minValiditySeconds: number;
  /** A token issued before the request does not do. */
  force: boolean;
  /** Refreshing ahead: any token does that was not issued at this time. */
  otherThan?: number;
}

type Token = Pick<GrantHeader, 'issued_at' | 'expires_at'>;

/** Whether the access token is still accepted by servers, as far as its times say. */
export function isUnexpired(token: Token, now: number): boolean {
  const { issued_at: issued, expires_at: expires } = token;
  // Issued in the future: the clock was set back, and it is unknown how long this token still lives.
  return issued !== undefined && expires !== undefined && now < expires && issued <= now + CLOCK_TOLERANCE;
}

/** Whether the token that is there answers the demand, without asking the provider. */
export function answers(token: Token, demand: Demand, now: number): boolean {
  const { issued_at: issued, expires_at: expires } = token;
  if (issued === undefined || expires === undefined) return false;
  // Not "later than": the clock that this time was read from may have been ahead.
  if (demand.otherThan !== undefined) return issued !== demand.otherThan;
  // Issued since the request began: whatever its lifetime, there is no newer one to be had.
  if (issued >= demand.began && issued <= now + CLOCK_TOLERANCE) return true;
  if (demand.force || !isUnexpired(token, now)) return false;
  return expires - now >= effectiveMinimum(token, demand.minValiditySeconds) || now - issued < MIN_EXCHANGE_INTERVAL;
}

/** The smaller of what was asked for and half the issued lifetime, in milliseconds. */
function effectiveMinimum(
  { issued_at: issued = 0, expires_at: expires = 0 }: Token,
  minValiditySeconds: number,
): number {
  return Math.min(minValiditySeconds * SECOND, (expires - issued) / 2);
}

/**
 * When to refresh without being asked: before the default demand would have to wait, spread by `random` (0 … 1) so
 * that accounts added together drift apart. Accounts that no client asked for in a day are only kept alive.
 */
export function refreshAt(record: GrantHeader, lastAskedAt: number, now: number, random: number): number {
  const { issued_at: issued = record.signed_in_at, expires_at: expires = 0 } = record;
  // The clock was ahead when this was noted: when the token ends is not known.
  if (issued > now + CLOCK_TOLERANCE) return now;
  const renewal = renewalAt(record, issued, random);
  const livesTooShort = expires - issued < SHORTEST_REFRESHED_AHEAD;
  if (livesTooShort || now - lastAskedAt > DAY)
    return Math.min(issued + KEEP_ALIVE_INTERVAL * (1 - random / 10), renewal);
  const minimum = effectiveMinimum(record, DEFAULT_MIN_VALIDITY_SECONDS);
  return Math.min(expires - minimum * (1.1 + random / 2), renewal);
}

/** When the refresh token has to be used so that it does not end unused; Infinity where its end is not known. */
function renewalAt(record: GrantHeader, issued: number, random: number): number {
  const { refresh_token_expires_at: end, refresh_token_extended: extended = false, signed_in_at } = record;
  if (end === undefined || end <= issued) return Infinity;
  // Only the first refresh shows whether a refresh moves the end.
  const inVain = !extended && issued > signed_in_at;
  const interval = (end - issued) * REFRESH_TOKEN_SHARE * (1 - random / 10);
  return issued + Math.max(interval, inVain ? SHORTEST_VAIN_RENEWAL : SHORTEST_RENEWAL);
}

/**
 * When to try again after the `count`th temporary failure in a row: full jitter under a doubling bound of 1 s to 5 min,
 * but not before the provider says, within an hour. `lifetime` is that of the last token in milliseconds: its tenth
 * bounds the wait too, so that a token of seconds has several attempts before it ends.
 */
export function retryAt(
  now: number,
  count: number,
  random: number,
  { retryAfterSeconds = 0, lifetime = Infinity }: { retryAfterSeconds?: number | undefined; lifetime?: number } = {},
): number {
  const most = Math.min(MAX_BACKOFF, Math.max(2 * FIRST_BACKOFF, lifetime / 10));
  const own = random * Math.min(FIRST_BACKOFF * 2 ** count, most);
  const said = Number.isNaN(retryAfterSeconds) ? 0 : retryAfterSeconds * SECOND;
  return now + Math.max(own, Math.min(said, MAX_RETRY_AFTER));
}

/** Whether something was noted before now; a note from the future was made by a clock that has been set back since. */
export function isPast(at: number | undefined, now: number): at is number {
  return at !== undefined && at <= now;
}

/** Whether the next attempt has to wait. */
export function mustWait({ at, retry_at }: Pick<GrantFailure, 'at' | 'retry_at'>, now: number): boolean {
  return isPast(at, now) && now < retry_at;
}

/** A wrong client stays wrong until someone fixes it. */
export function retryAfterClientError(now: number): number {
  return now + CLIENT_ERROR_BACKOFF;
}
