/** Refreshes ahead of expiry. Decides by the wall clock at each tick; timers only wait, in slices of at most 30 s. */
import { setImmediate as breathe } from 'node:timers/promises';
import type { Account, OAuthAccount, PasswordAccount } from '../accounts/account.ts';
import type { CmsError } from '../errors.ts';
import { toCmsError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { KnownGrant } from '../token/known.ts';
import { mustWait, refreshAt } from '../token/schedule.ts';
import type { TokenService } from '../token/service.ts';

const LONGEST_WAIT_MS = 30_000;
const SHORTEST_WAIT_MS = 250;
/** Exchanges under way at once: a machine that wakes up must not fall upon its provider. */
const MAX_PARALLEL = 8;
/** Accounts are looked at for so long before others get a turn. */
const STRETCH_MS = 3;

export interface RefresherOptions {
  accounts: () => readonly Account[];
  tokens: TokenService;
  lastAskedAt: (address: string) => number;
  now: () => number;
  random: () => number;
  log: Logger;
}

export class Refresher {
  readonly #options: RefresherOptions;
  readonly #startedAt: number;
  #lined: readonly Account[] = [];
  #places: ReadonlyMap<string, number> = new Map();
  /** In the order of the accounts, milliseconds since the epoch; Infinity where it is up to somebody else. */
  #dues = new Float64Array();
  #cursor = -1;
  #lookedAt = -Infinity;
  /** One draw for each token, so that a due time does not move from tick to tick. */
  readonly #draws = new Map<string, { issuedAt: number | undefined; value: number }>();
  readonly #underWay = new Set<string>();
  /** Accounts whose grant cannot be read now, with the reason. */
  readonly unreadable = new Map<string, { error: CmsError; since: number }>();

  constructor(options: RefresherOptions) {
    this.#options = options;
    this.#startedAt = options.now();
  }

  /** Starts what is due. @returns milliseconds until the next tick */
  async tick(): Promise<number> {
    const { now } = this.#options;
    await this.#bringUpToDate();
    let next = now() + LONGEST_WAIT_MS;
    for (const [place, due] of this.#dues.entries()) {
      if (due > now()) next = Math.min(next, due);
      else this.#begin(this.#lined[place]);
    }
    return Math.max(SHORTEST_WAIT_MS, next - now());
  }

  /**
   * Computes when each account is due: all of them now and then, since what is asked for moves it and so does a clock
   * that is set; in between only those with another grant.
   */
  async #bringUpToDate(): Promise<void> {
    const { accounts, tokens, now } = this.#options;
    const lined = accounts();
    const changed = tokens.changes.since(this.#cursor);
    this.#cursor = tokens.changes.cursor;
    const isOld = Math.abs(now() - this.#lookedAt) >= LONGEST_WAIT_MS;
    if (lined === this.#lined && changed !== undefined && !isOld) {
      for (const address of changed) await this.#look(this.#places.get(address));
      return;
    }
    if (lined !== this.#lined) this.#places = new Map(lined.map(({ address }, place) => [address, place]));
    this.#lined = lined;
    this.#lookedAt = now();
    this.#dues = new Float64Array(lined.length).fill(Infinity);
    let turn = performance.now();
    for (let place = 0; place < lined.length; place++) {
      await this.#look(place);
      if (performance.now() - turn < STRETCH_MS) continue;
      // Whoever asks for a token meanwhile shall not wait for all of them.
      await breathe();
      turn = performance.now();
    }
  }

  async #look(place: number | undefined): Promise<void> {
    const account = place === undefined ? undefined : this.#lined[place];
    if (place === undefined || account === undefined) return;
    if (account.kind === 'password') return this.#prove(account);
    const record = this.#options.tokens.known(account.address);
    // With ten thousand accounts, waiting for what is at hand would take longer than deciding.
    const due = record === undefined ? await this.dueAt(account) : this.#dueOf(account, record);
    this.#dues[place] = due ?? Infinity;
  }

  /** An app password is never due, but somebody has to hear of one that cannot be read. */
  async #prove(account: PasswordAccount): Promise<void> {
    try {
      if (this.#options.tokens.known(account.address) === undefined) await this.#options.tokens.load(account);
      this.unreadable.delete(account.address);
    } catch (error) {
      this.#noteUnreadable(account.address, toCmsError(error));
    }
  }

  /** When the account's token is refreshed next; undefined while that is up to a person or to the store. */
  async dueAt(account: OAuthAccount): Promise<number | undefined> {
    try {
      return this.#dueOf(account, await this.#options.tokens.load(account));
    } catch (error) {
      this.#noteUnreadable(account.address, toCmsError(error));
      return undefined;
    }
  }

  #dueOf({ address }: OAuthAccount, record: KnownGrant): number | undefined {
    const { lastAskedAt, now } = this.#options;
    this.unreadable.delete(address);
    if (record.state === 'authorization_required' || !record.refreshable) return undefined;
    if (record.failure !== undefined && mustWait(record.failure, now())) return record.failure.retry_at;
    // An exchange was cut off between request and answer: only while it is young do providers repeat their answer.
    if (record.attempted) return now();
    const asked = Math.max(lastAskedAt(address), this.#startedAt);
    return refreshAt(record, asked, now(), this.#draw(address, record.issued_at));
  }

  #draw(address: string, issuedAt: number | undefined): number {
    const known = this.#draws.get(address);
    if (known?.issuedAt === issuedAt && known !== undefined) return known.value;
    const value = this.#options.random();
    this.#draws.set(address, { issuedAt, value });
    return value;
  }

  #noteUnreadable(address: string, error: CmsError): void {
    const before = this.unreadable.get(address);
    if (before?.error.code !== error.code) {
      this.#options.log.warn('cannot read the grant', { account: address, code: error.code, reason: error.message });
    }
    this.unreadable.set(address, { error, since: before?.since ?? this.#options.now() });
  }

  #begin(account: Account | undefined): void {
    const { tokens } = this.#options;
    if (account?.kind !== 'oauth') return;
    if (this.#underWay.has(account.address) || this.#underWay.size >= MAX_PARALLEL) return;
    this.#underWay.add(account.address);
    tokens
      .refreshAhead(account)
      // Logged where it failed; the next tick knows when to try again.
      .catch(() => undefined)
      .finally(() => this.#underWay.delete(account.address));
  }
}
