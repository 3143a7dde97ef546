/** What an exchange leaves behind: pure steps from one grant record to the next. */
import type { OAuthClient } from '../accounts/account.ts';
import type { ErrorCode } from '../core/errors.ts';
import { effectOnGrant } from '../explain/explain.ts';
import type { GrantRecord, GrantSecrets } from '../vault/grant.ts';
import type { Granted, Renewed } from '../oauth/token/exchange.ts';
import type { Secret } from '../core/secret.ts';
import { retryAfterClientError, retryAt } from './schedule.ts';

/** Noted before the request goes out; writing it also proves that the answer can be stored. */
export function withAttempt(record: GrantRecord, now: number): GrantRecord {
  return { ...record, secrets: { ...record.secrets, attempt: { at: now } } };
}

/**
 * After a successful exchange with `used`. A rotated token is kept next to the one that brought it, until it has been
 * accepted itself; one that was not rotated has just been accepted.
 */
export function withGranted(record: GrantRecord, used: Secret, granted: Granted, now: number): GrantRecord {
  const { failure: _failure, secrets, ...kept } = withRenewed(record, used, granted, now);
  const scope = granted.scope ?? secrets.scope;
  return {
    ...kept,
    issued_at: now,
    expires_at: now + granted.expires_in * 1000,
    secrets: { ...secrets, access_token: granted.access_token, ...(scope !== undefined && { scope }) },
  };
}

/** The refresh token alone, after an exchange whose access token is good for nothing. */
function withRenewed(record: GrantRecord, used: Secret, renewed: Renewed, now: number): GrantRecord {
  const { reason: _reason, secrets, ...others } = record;
  const { refresh_token_expires_at: _end, refresh_token_extended: _extended, ...kept } = others;
  const { attempt: _attempt, previous_refresh_token: _previous, ...rest } = secrets;
  const rotated = renewed.refresh_token !== undefined && !renewed.refresh_token.equals(used);
  return {
    ...kept,
    state: 'active',
    ...endOfRefreshToken(record, renewed, rotated, now),
    secrets: {
      ...rest,
      refresh_token: renewed.refresh_token ?? used,
      refresh_token_accepted: !rotated,
      ...(rotated && { previous_refresh_token: used }),
    },
  };
}

/** After an exchange whose access token cannot be served. Where only its length is wrong, it is kept for trial logins. */
export function withUnusable(
  record: GrantRecord,
  used: Secret,
  outcome: Renewed & { message: string; granted?: Granted },
  { now, random }: { now: number; random: number },
): GrantRecord {
  const { message, granted } = outcome;
  const next =
    granted === undefined ? withRenewed(record, used, outcome, now) : withGranted(record, used, granted, now);
  const before = record.failure && { failure: record.failure };
  return withFailure({ ...next, ...before }, { code: 'protocol_error', message }, now, random);
}

/** What rounding and the way of the answer can move an end by. */
const STEADY_MS = 5000;

type RefreshTokenEnd = Pick<GrantRecord, 'refresh_token_expires_at' | 'refresh_token_extended'>;

/** What was said of the end of one token does not hold for the next, unless it is said again. */
function endOfRefreshToken(before: RefreshTokenEnd, renewed: Renewed, rotated: boolean, now: number): RefreshTokenEnd {
  const { refresh_token_expires_at: end, refresh_token_extended: extended = false } = before;
  const { refresh_token_expires_in: seconds } = renewed;
  if (seconds === undefined && rotated) return {};
  const at = seconds === undefined ? end : now + seconds * 1000;
  if (at === undefined) return {};
  const movedOn = extended || (end !== undefined && at > end + STEADY_MS);
  return { refresh_token_expires_at: at, ...(movedOn && { refresh_token_extended: true }) };
}

/** After a well-formed refusal. Nothing is deleted: only a new sign-in replaces a refresh token. */
export function withRefusal(
  record: GrantRecord,
  error: string,
  description: string | undefined,
  now: number,
): GrantRecord {
  const { failure: _failure, ...kept } = record;
  const since = Math.min(record.reason?.since ?? record.reason?.at ?? now, now);
  return {
    ...kept,
    state: 'authorization_required',
    reason: { error, ...(description !== undefined && { description }), at: now, since },
    secrets: withoutAttempt(record.secrets),
  };
}

/** A refusal that was kept as final although it passes by itself: the grant is tried again. */
export function withoutPassingRefusal(record: GrantRecord): GrantRecord {
  const { reason, ...kept } = record;
  if (reason === undefined || effectOnGrant(reason.error, reason.description) !== undefined) return record;
  return { ...kept, state: 'active' };
}

export interface Failure {
  code: Extract<ErrorCode, 'temporarily_unavailable' | 'client_invalid' | 'config_invalid' | 'protocol_error'>;
  message: string;
  retryAfterSeconds?: number;
}

/** After anything else. `random` is 0 … 1. */
export function withFailure(record: GrantRecord, failure: Failure, now: number, random: number): GrantRecord {
  const count = (record.failure?.count ?? 0) + 1;
  const retry_at =
    failure.code === 'client_invalid' || failure.code === 'protocol_error'
      ? retryAfterClientError(now)
      : retryAt(now, count, random, { retryAfterSeconds: failure.retryAfterSeconds, lifetime: lifetimeOf(record) });
  return {
    ...record,
    failure: {
      code: failure.code,
      message: failure.message,
      at: now,
      since: Math.min(record.failure?.since ?? now, now),
      retry_at,
      count,
    },
    secrets: withoutAttempt(record.secrets),
  };
}

function lifetimeOf({ issued_at: issued, expires_at: expires }: GrantRecord): number {
  return issued === undefined || expires === undefined ? Infinity : expires - issued;
}

/** The refresh tokens worth sending, in order: the one before only while the newest has never been accepted. */
export function refreshTokensToTry(secrets: GrantSecrets): Secret[] {
  const { refresh_token: current, previous_refresh_token: previous, refresh_token_accepted: accepted } = secrets;
  return [current, accepted ? undefined : previous].filter((token) => token !== undefined);
}

/** Whether the refresh token was issued by this server to this client. */
export function isBoundTo(secrets: GrantSecrets, client: OAuthClient): boolean {
  const { binding } = secrets;
  return (
    binding?.token_endpoint === client.token_endpoint &&
    binding.client_id === client.client_id &&
    binding.issuer === client.issuer
  );
}

/** Whether the refresh token may be sent there to be revoked. */
export function isRevocableAt(secrets: GrantSecrets, client: OAuthClient): boolean {
  return isBoundTo(secrets, client) && secrets.binding?.revocation_endpoint === client.revocation_endpoint;
}

export function bindingOf(client: OAuthClient): NonNullable<GrantSecrets['binding']> {
  const { issuer, token_endpoint, client_id, revocation_endpoint } = client;
  return {
    token_endpoint,
    client_id,
    ...(issuer !== undefined && { issuer }),
    ...(revocation_endpoint !== undefined && { revocation_endpoint }),
  };
}

function withoutAttempt({ attempt: _attempt, ...secrets }: GrantSecrets): GrantSecrets {
  return secrets;
}
