/**
 * Which events the states of the accounts amount to. Pure: states, time and what was told before in, events and what
 * has now been told out.
 *
 * An outage is reported once, when it has lasted long enough not to be a hiccup; then again at each interval; and once
 * that it is over. It is reported again only when it turns from something that may pass into something that needs a
 * person.
 */
import type { StateView } from '../accounts/view.ts';
import type { ErrorCode } from '../core/errors.ts';
import type { Event } from './event.ts';

/** An account as the broker sees it now. */
export interface Condition extends StateView {
  address: string;
  provider: string;
  /** Of the last sign-in, where it is known. */
  grant?: string;
  /** ISO 8601. */
  last_refresh_at?: string;
}

export interface Outage {
  name: 'authorization_required' | 'degraded';
  code: ErrorCode | undefined;
  reason: string | undefined;
  grant: string | undefined;
  /** Milliseconds since the epoch: when it began, was last seen, and was last told (undefined: not yet). */
  since: number;
  seen: number;
  told: number | undefined;
}

export type Outages = ReadonlyMap<string, Outage>;

export interface Decision {
  events: Event[];
  outages: Map<string, Outage>;
  /** When, in milliseconds since the epoch, time alone brings the next event. */
  next: number;
}

const MINUTE_MS = 60_000;
/** What ends by itself often enough is told only after this. */
const PATIENCE_MS: Partial<Record<StateView['state'], number>> = {
  // A desktop session that has just begun unlocks its keyring a moment later.
  locked: 5 * MINUTE_MS,
  unreadable: 5 * MINUTE_MS,
  degraded: MINUTE_MS,
  // Providers and networks come back; mail waits in the queue meanwhile.
  failing: 60 * MINUTE_MS,
};
/** A fault of this machine: not weather, but a disk may be full for a moment and a file be half edited. */
const LOCAL_PATIENCE_MS = MINUTE_MS;
const LOCAL: ReadonlySet<ErrorCode | undefined> = new Set<ErrorCode | undefined>(['io_error', 'config_invalid']);
/** A refused login is known only when one is tried: an outage that no login has shown in this time is over. */
const FORGET_REFUSAL_MS = 24 * 60 * MINUTE_MS;

/** @param reminderMs 0 for no reminders */
export function decide(conditions: readonly Condition[], before: Outages, now: number, reminderMs: number): Decision {
  const decision: Decision = { events: [], outages: new Map(), next: Infinity };
  for (const condition of conditions) {
    const outage = notAhead(before.get(condition.address), now);
    if (condition.state === 'unknown') keep(decision, condition, outage);
    else if (condition.state === 'ok') recover(decision, condition, outage, now);
    else suffer(decision, condition, { outage, now, reminderMs });
  }
  return decision;
}

/** What was noted by a clock that was ahead counts from now on. */
function notAhead(outage: Outage | undefined, now: number): Outage | undefined {
  if (outage === undefined || Math.max(outage.since, outage.seen, outage.told ?? 0) <= now) return outage;
  const { since, seen, told } = outage;
  const at = (time: number): number => Math.min(time, now);
  return { ...outage, since: at(since), seen: at(seen), told: told === undefined ? undefined : at(told) };
}

/** The accounts whose token is another one than before, of the same sign-in. */
export function refreshed(conditions: readonly Condition[], before: ReadonlyMap<string, Condition>): Event[] {
  return conditions
    .filter((condition) => {
      const last = before.get(condition.address);
      if (condition.state !== 'ok' || condition.last_refresh_at === undefined) return false;
      return last?.grant === condition.grant && last?.last_refresh_at !== condition.last_refresh_at;
    })
    .map(({ address, provider, state }) => ({ name: 'refreshed', address, provider, state, reminder: false }));
}

function keep({ outages }: Decision, { address }: Condition, outage: Outage | undefined): void {
  if (outage !== undefined) outages.set(address, outage);
}

function recover(decision: Decision, condition: Condition, outage: Outage | undefined, now: number): void {
  if (outage === undefined) return;
  const { address, provider, state } = condition;
  // No one reports a login that succeeded: after a refusal only a new sign-in is good news.
  if (outage.code === 'access_denied' && !isNewGrant(condition, outage)) {
    if (now - outage.seen < FORGET_REFUSAL_MS) decision.outages.set(address, outage);
    return;
  }
  if (outage.told === undefined) return;
  const { code, reason, since } = outage;
  decision.events.push({
    name: 'recovered',
    ...{ address, provider, state, reminder: false },
    ...(code !== undefined && { code }),
    ...(reason !== undefined && { reason }),
    since: new Date(since).toISOString(),
  });
}

interface Moment {
  outage: Outage | undefined;
  now: number;
  reminderMs: number;
}

function suffer(decision: Decision, condition: Condition, { outage, now, reminderMs }: Moment): void {
  const next = outageOf(condition, outage, now);
  const escalated = next.name === 'authorization_required' && outage?.name === 'degraded';
  if (escalated) next.told = undefined;
  const due = dueAt(condition, next, reminderMs);
  if (due <= now) {
    decision.events.push(eventOf(condition, next));
    next.told = now;
  }
  decision.outages.set(condition.address, next);
  decision.next = Math.min(decision.next, dueAt(condition, next, reminderMs));
}

function outageOf(condition: Condition, outage: Outage | undefined, now: number): Outage {
  const { code, reason, grant } = condition;
  const began = condition.since === undefined ? now : Math.min(now, Date.parse(condition.since));
  // A sign-in that was broken again at once is another outage than the one that it ended.
  if (outage !== undefined && !isNewGrant(condition, outage)) {
    // A user who was told to sign in need not hear that the keyring is locked as well.
    const name = outage.name === 'authorization_required' ? outage.name : nameOf(condition);
    return { ...outage, name, code, reason, grant: grant ?? outage.grant, seen: now };
  }
  return { name: nameOf(condition), code, reason, grant, since: began, seen: now, told: undefined };
}

function isNewGrant({ grant }: Condition, outage: Outage): boolean {
  return grant !== undefined && outage.grant !== undefined && grant !== outage.grant;
}

function nameOf({ state, code }: Condition): Outage['name'] {
  const needsPerson = state === 'authorization_required' || state === 'refused' || code === 'client_invalid';
  return needsPerson ? 'authorization_required' : 'degraded';
}

function patienceMs({ state, code }: Condition): number {
  return state === 'failing' && LOCAL.has(code) ? LOCAL_PATIENCE_MS : (PATIENCE_MS[state] ?? 0);
}

function dueAt(condition: Condition, { name, since, told }: Outage, reminderMs: number): number {
  if (told !== undefined) return reminderMs === 0 ? Infinity : told + reminderMs;
  return name === 'authorization_required' ? since : since + patienceMs(condition);
}

function eventOf(condition: Condition, { name, since, told }: Outage): Event {
  const { address, provider, state, code, reason, explanation, remedy } = condition;
  return {
    name,
    ...{ address, provider, state },
    ...(code !== undefined && { code }),
    ...(reason !== undefined && { reason }),
    ...(explanation !== undefined && { explanation }),
    since: new Date(since).toISOString(),
    ...(remedy !== undefined && { remedy }),
    reminder: told !== undefined,
  };
}
