/**
 * The accounts as a table with the columns that fit, or one below the other where too few do. Pure.
 *
 * What is printed into a file or a pipe has all columns, whatever the width.
 */
import type { AccountStatus } from '../broker/server/status.ts';
import { table, tableWidth } from '../terminal/table.ts';
import { printable, wrap } from '../terminal/width.ts';
import { againCell, needsAttention, refreshedCell, stateCell, stateWord, tokenCell, whyCell } from './cells.ts';
import { paint, type Screen } from '../terminal/screen.ts';

/** In a narrower terminal a table says less than lines. */
const NARROWEST_TABLE = 60;
/** Above this number of accounts, a terminal shows only those that need attention. */
const MANY = 50;

const TITLES = {
  account: 'ACCOUNT',
  provider: 'PROVIDER',
  state: 'STATE',
  token: 'TOKEN',
  left: 'TOKEN',
  refreshed: 'REFRESHED',
  again: 'SIGN IN AGAIN',
  why: 'WHY',
} as const;

type Column = keyof typeof TITLES;
type Cells = Record<Column, string>;

/** The first that fits: what is dropped first matters least. */
const LAYOUTS: readonly (readonly Column[])[] = [
  ['account', 'provider', 'state', 'token', 'refreshed', 'again', 'why'],
  ['account', 'provider', 'state', 'token', 'refreshed', 'again'],
  ['account', 'state', 'token', 'refreshed', 'again'],
  ['account', 'state', 'token', 'again'],
  ['account', 'state', 'left', 'again'],
];
const PIPED: readonly Column[] = ['account', 'provider', 'state', 'left', 'refreshed', 'again', 'why'];

export interface AccountsText {
  text: string;
  /** Whether it says why a person will have to sign in again. */
  saysWhy: boolean;
}

export function accountsText(accounts: readonly AccountStatus[], now: number, screen: Screen): AccountsText {
  const rows = accounts.map((account) => cellsOf(account, now, screen));
  const layout = screen.terminal ? LAYOUTS.find((columns) => fits(columns, rows, screen.columns)) : PIPED;
  if (layout === undefined) return { text: rows.map((row) => stacked(row, screen)).join(''), saysWhy: false };
  const text = table(
    layout.map((column) => paint(screen, 'bold', TITLES[column])),
    rows.map((row) => layout.map((column) => row[column])),
  );
  return { text, saysWhy: layout.includes('why') };
}

function fits(columns: readonly Column[], rows: readonly Cells[], width: number): boolean {
  if (width < NARROWEST_TABLE) return false;
  const head = columns.map((column) => TITLES[column]);
  return (
    tableWidth(
      head,
      rows.map((row) => columns.map((column) => row[column])),
    ) <= width
  );
}

function cellsOf(account: AccountStatus, now: number, screen: Screen): Cells {
  return {
    account: printable(account.address),
    provider: printable(account.provider ?? '-'),
    state: stateCell(account, screen),
    token: tokenCell(account, now, screen, true),
    left: tokenCell(account, now, screen, false),
    refreshed: refreshedCell(account, now),
    again: againCell(account, now, screen),
    why: whyCell(account),
  };
}

function stacked({ account, provider, state, token, refreshed, again }: Cells, screen: Screen): string {
  const lines = [
    paint(screen, 'bold', account),
    `  ${state}, ${provider}`,
    `  token      ${token}`,
    `  refreshed  ${refreshed}`,
    `  sign in    ${again}`,
  ];
  return `${lines.map((line) => wrap(line, screen.columns, '    ')).join('\n')}\n`;
}

/** Those that are shown. @param all although they are many */
export function chooseAccounts(
  accounts: readonly AccountStatus[],
  now: number,
  screen: Screen,
  all: boolean,
): readonly AccountStatus[] {
  if (all || !screen.terminal || accounts.length <= MANY) return accounts;
  return accounts.filter((account) => needsAttention(account, now)).slice(0, MANY);
}

/** `9,998 ok, 2 AUTHORIZATION REQUIRED` of so many accounts, and how the others can be seen. */
export function summary(accounts: readonly AccountStatus[], shown: number): string {
  if (accounts.length < 2) return '';
  const counts = new Map<string, number>();
  for (const { state } of accounts) counts.set(stateWord(state), (counts.get(stateWord(state)) ?? 0) + 1);
  const parts = [...counts].sort(([, a], [, b]) => b - a).map(([word, count]) => `${figure(count)} ${word}`);
  const more = accounts.length - shown;
  const rest = more === 0 ? '' : `; ${figure(more)} not shown: cms status --all`;
  return `${figure(accounts.length)} accounts: ${parts.join(', ')}${rest}\n`;
}

function figure(count: number): string {
  return count.toLocaleString('en-US');
}
