/** The result of a check. Pure. */
import { type CmsError, EXIT_STATUS, type ErrorCode, toCmsError } from '../core/errors.ts';
import type { Who } from '../explain/entry.ts';

export type CheckStatus = 'ok' | 'warning' | 'failure' | 'skipped';

/** Who has to act. */
export type Actor = Who | 'root';

export interface Judgement {
  status: CheckStatus;
  /** One clause, lower case, no full stop. */
  summary: string;
  /** Why; for a check that was skipped because of another, what failed there. */
  cause?: string;
  /** Commands and steps, the most likely cure first. */
  fix?: readonly string[];
  who?: Actor;
  /** Of a failure: the error that stands for it, and with it the exit status. */
  code?: ErrorCode;
  /** The failure elsewhere without which this check would have been made. */
  blockedBy?: string;
}

export interface Check extends Judgement {
  /** The link of the chain and what of it: `provider.answer`. */
  id: string;
  /** What was looked at: an address, a path, a host; empty where there is only one. */
  subject: string;
  /** Milliseconds that it took. */
  ms: number;
}

/** What goes with a warning or a failure. */
export type Remedy = Pick<Judgement, 'cause' | 'who'> & { fix?: readonly string[] };

export function ok(summary: string): Judgement {
  return { status: 'ok', summary };
}

/** @param why there is nothing to look at, or no permission */
export function skipped(why: string, remedy: Remedy = {}): Judgement {
  return { status: 'skipped', summary: why, ...remedied(remedy) };
}

export function warning(summary: string, remedy: Remedy): Judgement {
  return { status: 'warning', summary, ...remedied(remedy) };
}

export function failure(code: ErrorCode, summary: string, remedy: Remedy): Judgement {
  return { status: 'failure', summary, code, ...remedied(remedy) };
}

/** Left out because of a failure elsewhere, which is the only one to fix. */
export function because(check: Check): Judgement {
  const blockedBy = check.blockedBy ?? keyOf(check);
  const cause = check.blockedBy === undefined ? check.summary : check.cause;
  return { status: 'skipped', summary: `because of ${blockedBy}`, blockedBy, ...(cause !== undefined && { cause }) };
}

/** Whether what depends on this check makes no sense. */
export function isBroken(check: Check | undefined): check is Check {
  return check !== undefined && (check.status === 'failure' || check.blockedBy !== undefined);
}

/** An error as a failure: its message, and what it suggests. */
export function failed(error: unknown, who?: Actor): Judgement {
  const { code, message, suggestions }: CmsError = toCmsError(error);
  // The reader has just called it.
  const fix = suggestions.filter((line) => !line.startsWith('cms doctor'));
  return failure(code, message, { fix, ...(who !== undefined && { who }) });
}

export function keyOf({ id, subject }: Pick<Check, 'id' | 'subject'>): string {
  return subject === '' ? id : `${id} ${subject}`;
}

/** The exit status: that of the first failure. */
export function exitStatusOf(checks: readonly Check[]): number {
  const first = checks.find(({ status }) => status === 'failure');
  return first === undefined ? 0 : EXIT_STATUS[first.code ?? 'internal_error'];
}

/** `1 failure, 2 warnings; first: …` */
export function summaryOf(checks: readonly Check[]): string {
  const failures = checks.filter(({ status }) => status === 'failure');
  const warnings = checks.filter(({ status }) => status === 'warning');
  const [first] = failures.length > 0 ? failures : warnings;
  if (first === undefined) return 'all is well';
  const counts = [counted(failures.length, 'failure'), counted(warnings.length, 'warning')];
  return `${counts.filter((each) => each !== '').join(', ')}; first: ${keyOf(first)}: ${first.summary}`;
}

/** `1 account`, `2 accounts`; nothing for none. */
export function counted(count: number, what: string): string {
  return count === 0 ? '' : `${count} ${what}${count === 1 ? '' : 's'}`;
}

/** What is said of who must act, where nothing else is: root where it takes sudo. */
function remedied({ cause, fix = [], who }: Remedy): Pick<Judgement, 'cause' | 'fix' | 'who'> {
  const actor = who ?? (fix[0]?.startsWith('sudo ') === true ? 'root' : 'you');
  return { ...(cause !== undefined && { cause }), ...(fix.length > 0 && { fix, who: actor }) };
}
