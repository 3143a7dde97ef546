/** One account in the words of the table. Pure. */
import type { AccountState } from '../accounts/view.ts';
import type { AccountStatus } from '../broker/server/status.ts';
import { isUnexpired } from '../tokens/schedule.ts';
import { duration, since } from '../terminal/duration.ts';
import { type Colour, paint, type Screen } from '../terminal/screen.ts';

const BAR_WIDTH = 10;
const DAY_MS = 86_400_000;
/** A sign-in that ends only unused is worth a word when it is not far from that. */
const SOON_MS = 14 * DAY_MS;

const COLOURS: Record<AccountState, Colour> = {
  ok: 'green',
  unknown: 'dim',
  failing: 'yellow',
  refused: 'yellow',
  degraded: 'yellow',
  locked: 'red',
  unreadable: 'red',
  authorization_required: 'red',
};

export function stateCell({ state }: AccountStatus, screen: Screen): string {
  return paint(screen, COLOURS[state], stateWord(state));
}

export function stateWord(state: AccountState): string {
  return state.replaceAll('_', ' ').toUpperCase();
}

/** What is left of the access token; as a bar too where there is room for one. */
export function tokenCell(account: AccountStatus, now: number, screen: Screen, withBar: boolean): string {
  const { kind, access_token_expires_at: expires, last_refresh_at: issued } = account;
  if (kind === 'password') return 'app password';
  if (expires === undefined) return '-';
  const end = Date.parse(expires);
  if (end <= now) return paint(screen, 'dim', 'expired');
  // The clock was set back since: how long it still lives is unknown, and it is not used.
  if (issued !== undefined && !isUnexpired({ issued_at: Date.parse(issued), expires_at: end }, now)) return 'unknown';
  const left = duration(end - now);
  if (!withBar || issued === undefined) return left;
  return `${bar((end - now) / (end - Date.parse(issued)), screen)} ${left}`;
}

/** `share` of the bar is full; what is not empty shows at least one step. */
function bar(share: number, screen: Screen): string {
  const full = Math.min(BAR_WIDTH, Math.max(1, Math.round(share * BAR_WIDTH))) || 1;
  const [fullSign, emptySign] = screen.unicode ? ['█', '░'] : ['#', '.'];
  const colour = share > 0.25 ? 'green' : 'yellow';
  return paint(screen, colour, fullSign.repeat(full)) + paint(screen, 'dim', emptySign.repeat(BAR_WIDTH - full));
}

export function refreshedCell({ last_refresh_at: refreshed }: AccountStatus, now: number): string {
  if (refreshed === undefined) return '-';
  return Date.parse(refreshed) > now + 60_000 ? 'in the future' : `${since(refreshed, now)} ago`;
}

/** When a person has to sign in again. */
export function againCell(account: AccountStatus, now: number, screen: Screen): string {
  const { next_sign_in: next } = account;
  if (next === undefined) return '-';
  if (next.certainty === 'due') return paint(screen, 'red', 'now');
  const left = next.at === undefined ? 0 : Date.parse(next.at) - now;
  const when = left > 0 ? `in ${duration(left)}` : 'any time now';
  switch (next.certainty) {
    case 'possible':
      return `perhaps ${when}`;
    case 'stated':
    case 'learned':
      return left < 2 * DAY_MS ? paint(screen, 'yellow', when) : when;
    case 'unused':
      return isNearlyUnused(account, now) ? `${when} if unused` : 'not foreseeable';
    default:
      return 'not foreseeable';
  }
}

export function whyCell({ next_sign_in: next }: AccountStatus): string {
  return next === undefined || next.certainty === 'unknown' ? '-' : next.reason;
}

/** Whether the end of the sign-in has a date that a person should know. */
export function isForeseen(account: AccountStatus, now: number): boolean {
  const { next_sign_in: next } = account;
  if (next?.certainty === 'unused') return isNearlyUnused(account, now);
  return next?.at !== undefined;
}

/** Whether a person has to act, now or within days. */
export function needsAttention(account: AccountStatus, now: number): boolean {
  const { state, next_sign_in: next } = account;
  if (state !== 'ok') return true;
  if (next?.at === undefined || Date.parse(next.at) - now > SOON_MS) return false;
  return next.certainty !== 'possible' && isForeseen(account, now);
}

function isNearlyUnused({ next_sign_in: next, last_refresh_at: used }: AccountStatus, now: number): boolean {
  if (next?.at === undefined || used === undefined) return false;
  const left = Date.parse(next.at) - now;
  return left < SOON_MS && left < (Date.parse(next.at) - Date.parse(used)) / 2;
}
