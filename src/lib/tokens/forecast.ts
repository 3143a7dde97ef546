/**
 * When a person will have to sign in again, and how that is known. Pure: what is kept about a grant and what the
 * provider says about its refresh tokens come in, with the time.
 */
import type { RefreshTokenLifetime } from '../providers/presets/refresh-token-lifetimes.ts';
import type { GrantHeader } from '../vault/grant.ts';

/**
 * `due`: now. `stated`: the provider said so with the token. `learned`: earlier sign-ins ended so. `possible`: only
 * under a condition that cms cannot see. `unused`: only if the token is not refreshed until then. `unknown`: nothing
 * that is known ends it.
 */
type Certainty = 'due' | 'stated' | 'learned' | 'possible' | 'unused' | 'unknown';

export interface Forecast {
  certainty: Certainty;
  /** Milliseconds since the epoch; absent with `due` and `unknown`. */
  at?: number;
  reason: string;
}

type Grant = Pick<
  GrantHeader,
  'state' | 'signed_in_at' | 'issued_at' | 'refresh_token_expires_at' | 'refresh_token_extended' | 'sign_in_lives'
>;

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
/** Lives that are kept: enough to see that the last ones agree. */
const KEPT_LIVES = 5;
const UNKNOWN: Forecast = { certainty: 'unknown', reason: 'nothing is known that would end this sign-in' };

/** @param lifetimes see `refreshTokenLifetimes` */
export function forecast(grant: Grant, lifetimes: readonly RefreshTokenLifetime[], now: number): Forecast {
  if (grant.state === 'authorization_required') return { certainty: 'due', reason: 'the sign-in has ended' };
  return (
    earliest([...stated(grant), ...learned(grant, now), ...lifetimes.flatMap((rule) => fixed(grant, rule))]) ??
    earliest(lifetimes.flatMap((rule) => conditional(grant, rule, now))) ??
    earliest([...renewed(grant), ...lifetimes.flatMap((rule) => unused(grant, rule))]) ??
    UNKNOWN
  );
}

function earliest(forecasts: readonly Forecast[]): Forecast | undefined {
  return forecasts.reduce<Forecast | undefined>(
    (first, each) => ((first?.at ?? Infinity) <= (each.at ?? Infinity) ? first : each),
    undefined,
  );
}

function stated({ refresh_token_expires_at: at, refresh_token_extended: extended }: Grant): Forecast[] {
  return at === undefined || extended ? [] : [{ certainty: 'stated', at, reason: 'the provider gave it until then' }];
}

/** What each refresh moves on ends only without refreshes. */
function renewed({ refresh_token_expires_at: at, refresh_token_extended: extended }: Grant): Forecast[] {
  if (at === undefined || !extended) return [];
  return [{ certainty: 'unused', at, reason: 'each refresh renews it; the last one until then' }];
}

/** The last two lives, or more, were equally long, and this one is not longer yet. */
function learned({ signed_in_at: began, sign_in_lives: lives = [] }: Grant, now: number): Forecast[] {
  const equal = equalLives(lives);
  if (equal.length < 2) return [];
  const shortest = Math.min(...equal);
  if (now > began + shortest + tolerance(shortest)) return [];
  const reason = `the last ${equal.length} sign-ins ended after ${roughly(shortest)}`;
  return [{ certainty: 'learned', at: began + shortest, reason }];
}

/** A condition that this sign-in, or the one before, has outlived does not hold. */
function conditional(
  { signed_in_at: began, sign_in_lives: lives = [] }: Grant,
  rule: RefreshTokenLifetime,
  now: number,
): Forecast[] {
  if (rule.when === undefined || rule.kind !== 'fixed') return [];
  const life = rule.days * DAY_MS;
  const age = Math.max(now - began, lives.at(-1) ?? 0);
  if (age > life + tolerance(life)) return [];
  return [{ certainty: 'possible', at: began + life, reason: `${days(rule.days)} after the sign-in, if ${rule.when}` }];
}

function fixed({ signed_in_at: began }: Grant, { kind, days: count, when }: RefreshTokenLifetime): Forecast[] {
  if (kind !== 'fixed' || when !== undefined) return [];
  const reason = `the provider ends sign-ins after ${days(count)}`;
  return [{ certainty: 'stated', at: began + count * DAY_MS, reason }];
}

function unused({ signed_in_at: began, issued_at: used = began }: Grant, rule: RefreshTokenLifetime): Forecast[] {
  if (rule.when !== undefined || rule.kind === 'fixed') return [];
  const reason = `the provider ends it after ${days(rule.days)} without a refresh`;
  return [{ certainty: 'unused', at: used + rule.days * DAY_MS, reason }];
}

/** The newest lives that agree with the newest one. */
function equalLives(lives: readonly number[]): number[] {
  const last = lives.at(-1);
  if (last === undefined) return [];
  const differs = lives.findLastIndex((life) => Math.abs(life - last) > tolerance(Math.min(life, last)));
  return lives.slice(differs + 1);
}

/** The end is seen at the next refresh only, so a life looks longer than it was by up to an access token's lifetime. */
function tolerance(life: number): number {
  return Math.min(Math.max(2 * HOUR_MS, life * 0.03), life / 4);
}

/**
 * The lives to keep with a new sign-in in place of `before`. One that was replaced while it worked has not shown how
 * long it would have lived; if it had outlived the others, they say nothing any more.
 */
export function livesAfter(
  before: Pick<GrantHeader, 'state' | 'signed_in_at' | 'reason' | 'sign_in_lives'>,
  now: number,
): number[] {
  const { state, signed_in_at: began, reason, sign_in_lives: lives = [] } = before;
  const ended = reason?.since ?? reason?.at ?? began;
  if (state === 'authorization_required' && ended > began) return [...lives, ended - began].slice(-KEPT_LIVES);
  const last = lives.at(-1);
  return last !== undefined && now - began > last + tolerance(last) ? [] : lives;
}

function days(count: number): string {
  return count === 1 ? '1 day' : `${count} days`;
}

/** `14 days`, `23 hours`, `40 minutes`: whole units, the way a policy is written. */
function roughly(life: number): string {
  if (life >= 1.5 * DAY_MS) return days(Math.round(life / DAY_MS));
  if (life >= 1.5 * HOUR_MS) return `${Math.round(life / HOUR_MS)} hours`;
  return `${Math.round(life / MINUTE_MS)} minutes`;
}
