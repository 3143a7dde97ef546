/** Below the table: what is wrong, since when, in whose words, and what to do; and who will have to sign in. Pure. */
import type { AccountStatus } from '../broker/server/status.ts';
import { printable, wrap } from '../terminal/width.ts';
import { againCell, isForeseen, stateWord } from './cells.ts';
import { since } from '../terminal/duration.ts';
import type { Screen } from '../terminal/screen.ts';

/** Addresses that are named before it is a matter of how many. */
const NAMED = 3;

/** The same trouble is reported once, for all its accounts: a locked keyring affects all of them. */
export function troubles(accounts: readonly AccountStatus[], now: number, screen: Screen): string {
  const troubled = accounts.filter(({ state }) => state !== 'ok' && state !== 'unknown');
  const groups = grouped(troubled, ({ address, state, reason, explanation, remedy }) => [
    state,
    ...[reason, explanation, remedy].map((text) => text?.replaceAll(address, '')),
  ]);
  return groups.map((group) => `${wrap(trouble(group, now), screen.columns, '  ')}\n`).join('');
}

function grouped(
  accounts: readonly AccountStatus[],
  alike: (account: AccountStatus) => readonly (string | undefined)[],
): AccountStatus[][] {
  const groups = new Map<string, AccountStatus[]>();
  for (const account of accounts) {
    const key = JSON.stringify(alike(account));
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [account]);
    else group.push(account);
  }
  return [...groups.values()];
}

function trouble(group: readonly AccountStatus[], now: number): string {
  const [first] = group;
  if (first === undefined) return '';
  const { address, state, reason, explanation, remedy } = first;
  const words = (text: string): string => printable(group.length === 1 ? text : text.replaceAll(address, 'ADDRESS'));
  const earliest = group.flatMap((each) => each.since ?? []).sort()[0];
  const when = earliest === undefined ? '' : ` for ${since(earliest, now)}`;
  const lines = [`${names(group)}: ${stateWord(state)}${when}: ${words(explanation ?? reason ?? 'no reason known')}`];
  if (explanation !== undefined && reason !== undefined) lines.push(`  ${verbatim(words(reason))}`);
  if (remedy !== undefined) lines.push(`  ${words(remedy)}`);
  return lines.join('\n');
}

/** An error that is not from OAuth need not come from the provider. */
function verbatim(reason: string): string {
  return reason.startsWith('the token endpoint answered') ? reason : `the provider said: ${reason}`;
}

function names(group: readonly AccountStatus[]): string {
  const named = group.slice(0, group.length > NAMED + 1 ? NAMED : group.length).map(({ address }) => address);
  const more = group.length - named.length;
  return named.join(', ') + (more === 0 ? '' : ` and ${more.toLocaleString('en-US')} more`);
}

/** Why a person will have to sign in again, and when the first of them, where the table has no room for it. */
export function forecasts(accounts: readonly AccountStatus[], now: number, screen: Screen): string {
  const foreseen = accounts.filter((account) => isForeseen(account, now));
  const groups = grouped(foreseen, ({ next_sign_in: next }) => [next?.certainty, next?.reason]);
  return groups.map((group) => `${wrap(forecastLine(group, now, screen), screen.columns)}\n`).join('');
}

function forecastLine(group: readonly AccountStatus[], now: number, screen: Screen): string {
  const end = ({ next_sign_in: next }: AccountStatus): string => next?.at ?? '';
  const first = group.reduce((earliest, each) => (end(each) < end(earliest) ? each : earliest));
  const when = againCell(first, now, { ...screen, colour: false });
  const who = group.length === 1 ? '' : ' (the first of them)';
  return `${names(group)}: sign in again ${when}${who}: ${printable(first.next_sign_in?.reason ?? '')}`;
}
