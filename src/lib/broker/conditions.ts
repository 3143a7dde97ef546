/**
 * The states of the accounts for whoever tells people, looked at several times a second. An account that is well is the
 * same object as the last time, so that a look at ten thousand of them costs about as much as going through a list.
 */
import type { Account } from '../accounts/account.ts';
import type { StateView } from '../accounts/view.ts';
import type { Condition } from '../notify/decide.ts';
import type { GrantRecord } from '../store/grant.ts';
import { stateOf, type StateParts } from './status.ts';

export class Conditions {
  /** Grants that work, in the order of the accounts; each exchange brings another record. */
  readonly #well: ({ record: GrantRecord; condition: Condition } | undefined)[] = [];

  /** In the order of the accounts. */
  of(accounts: readonly Account[], parts: StateParts): Condition[] {
    const { unstored } = parts.tokens;
    this.#well.length = accounts.length;
    return accounts.map((account, index) => {
      const { address, provider } = account;
      const record = parts.tokens.known(address);
      const works = record?.state === 'active' && record.failure === undefined && !unstored.has(address);
      if (!works || parts.broker.refusedSince(address) !== undefined) {
        return conditionOf(provider, address, record, stateOf(account, parts, unstored));
      }
      const before = this.#well[index];
      if (before?.record === record && before.condition.provider === provider) return before.condition;
      const condition = conditionOf(provider, address, record, { state: 'ok' });
      this.#well[index] = { record, condition };
      return condition;
    });
  }
}

function conditionOf(provider: string, address: string, record: GrantRecord | undefined, state: StateView): Condition {
  return {
    ...state,
    address,
    provider,
    ...(record !== undefined && { grant: record.grant_id }),
    ...(record?.issued_at !== undefined && { last_refresh_at: new Date(record.issued_at).toISOString() }),
  };
}
