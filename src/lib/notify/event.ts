/** What a notification says about an account. Pure. */
import type { ErrorCode } from '../core/errors.ts';
import type { EventName } from '../config/hooks.ts';

export interface Event {
  name: EventName;
  address: string;
  provider: string;
  /** Of the account now, as `cms status` calls it. */
  state: string;
  /** Why; of an outage that is over, why it was. */
  code?: ErrorCode;
  reason?: string;
  /** What the reason means, where cms knows. */
  explanation?: string;
  /** ISO 8601: since when it has lasted, or when the outage began that is over. */
  since?: string;
  remedy?: string;
  /** It was told before, and it lasts. */
  reminder: boolean;
}

const LONGEST_TEXT = 500;

/** One line of at most 500 characters, none of which steers a terminal, a mail header or a display's direction. */
export function plain(text: string): string {
  const line = text
    .replace(/[\p{Cc}\p{Cf}\u2028\u2029\ufffd]+/gu, ' ')
    .replace(/ {2,}/g, ' ')
    .trim();
  return line.length > LONGEST_TEXT ? `${line.slice(0, LONGEST_TEXT)}…` : line;
}

/** What happened, in one line; for several accounts at once the first of them stands for all. */
export function headline({ name, address, code, reminder }: Event, others = 0): string {
  const who = others === 0 ? address : `${address} and ${others} more`;
  return `${reminder ? 'reminder: ' : ''}${who}: ${happening(name, code)}`;
}

function happening(name: EventName, code: ErrorCode | undefined): string {
  if (name === 'recovered') return 'works again';
  if (name === 'refreshed') return 'a new access token';
  if (code === 'store_locked') return 'the keyring is locked';
  if (name === 'degraded') return 'does not work as it should';
  if (code === 'access_denied') return 'the mail server refuses the sign-in';
  if (code === 'client_invalid') return 'the provider refuses the client';
  return 'a sign-in is needed';
}

/** The lines below the headline: why, since when, and what to do. */
export function details({ name, reason, explanation, since, remedy }: Event, others = 0): string[] {
  const when = since === undefined ? [] : [`since ${since.slice(0, 16).replace('T', ' ')} UTC`];
  const why = [...(reason === undefined ? [] : [reason]), ...when].join(', ');
  if (name === 'recovered') return why === '' ? [] : [`it was: ${why}`];
  return [
    ...(why === '' ? [] : [why]),
    ...(explanation === undefined ? [] : [explanation]),
    ...(remedy === undefined ? [] : [`to do: ${remedy}`]),
    ...(others === 0 ? [] : ['the others: cms status']),
  ];
}

/** Events that are told to people in one go: the same has happened to several accounts at the same time. */
export function grouped(events: readonly Event[]): Event[][] {
  const groups = new Map<string, Event[]>();
  for (const event of events) {
    const key = `${event.name} ${event.code ?? ''} ${event.reminder}`;
    groups.set(key, [...(groups.get(key) ?? []), event]);
  }
  return [...groups.values()];
}
