/**
 * The states of the accounts for notifications and status, looked at several times a second. An account that is well is
 * the same object as the last time, and is not even looked at unless its grant has changed or something speaks against
 * it: with ten thousand of them, fetching each from memory takes longer than everything else that a look has to do.
 */
import type { Account } from '../../accounts/account.ts';
import type { StateView } from '../../accounts/view.ts';
import type { Condition } from '../../notify/decide.ts';
import type { KnownGrant } from '../../tokens/cached-grant.ts';
import { stateOf, type StateParts } from './status.ts';

export class Conditions {
  #accounts: readonly Account[] = [];
  #places: ReadonlyMap<string, number> = new Map();
  #cursor = -1;
  #all: Condition[] = [];
  /** Grants that work, in the order of the accounts; each exchange brings another record. */
  #well: (KnownGrant | undefined)[] = [];
  /** Places of the accounts that are not well: their state changes with time alone. */
  readonly #unwell = new Set<number>();

  /** In the order of the accounts. One that is well is the very object of the last time, any other a new one. */
  of(accounts: readonly Account[], parts: StateParts): Condition[] {
    const { tokens, broker } = parts;
    const { unstored } = tokens;
    const changed = this.#changedOf(accounts, tokens.changes.since(this.#cursor));
    this.#cursor = tokens.changes.cursor;
    const places = new Set(this.#unwell);
    for (const address of [...changed, ...unstored.keys(), ...tokens.troubles.addresses(), ...broker.reported()]) {
      const place = this.#places.get(address);
      if (place !== undefined) places.add(place);
    }
    for (const place of places) this.#look(place, parts, unstored);
    return [...this.#all];
  }

  #changedOf(accounts: readonly Account[], changed: readonly string[] | undefined): Iterable<string> {
    if (accounts === this.#accounts && changed !== undefined) return changed;
    if (accounts !== this.#accounts) this.#line(accounts);
    return this.#places.keys();
  }

  /** What is known stays with the account, wherever its place is now. */
  #line(accounts: readonly Account[]): void {
    const before = this.#places;
    const [all, well] = [this.#all, this.#well];
    const old = accounts.map(({ address }) => before.get(address) ?? -1);
    this.#accounts = accounts;
    this.#places = new Map(accounts.map(({ address }, place) => [address, place]));
    this.#well = old.map((place) => well[place]);
    // Each is looked at next, before anybody sees it.
    this.#all = old.flatMap((place, at) => all[place] ?? unseen(accounts[at]));
    this.#unwell.clear();
  }

  #look(place: number, parts: StateParts, unstored: ReadonlyMap<string, number>): void {
    const account = this.#accounts[place];
    if (account === undefined) return;
    const { address, provider } = account;
    const record = parts.tokens.known(address);
    const works = record?.state === 'active' && record.failure === undefined && !unstored.has(address);
    const isTroubled = parts.tokens.troubles.of(address) !== undefined;
    if (!works || isTroubled || parts.broker.refusedSince(address) !== undefined) {
      this.#unwell.add(place);
      this.#well[place] = undefined;
      this.#all[place] = conditionOf(provider, address, record, stateOf(account, parts, unstored));
      return;
    }
    this.#unwell.delete(place);
    if (this.#well[place] === record && this.#all[place]?.provider === provider) return;
    this.#well[place] = record;
    this.#all[place] = conditionOf(provider, address, record, { state: 'ok' });
  }
}

function unseen(account: Account | undefined): Condition[] {
  return account === undefined ? [] : [conditionOf(account.provider, account.address, undefined, { state: 'unknown' })];
}

function conditionOf(provider: string, address: string, record: KnownGrant | undefined, state: StateView): Condition {
  const { grant_id: grant, issued_at: issued } = record ?? {};
  // Not spread: V8 would give each of them a shape of its own, as large as what is in it.
  return Object.assign(
    { address, provider, state: state.state },
    state,
    grant !== undefined && { grant },
    issued !== undefined && { last_refresh_at: new Date(issued).toISOString() },
  );
}
