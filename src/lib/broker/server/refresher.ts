/** Refreshes ahead of expiry. Decides by the wall clock at each tick; timers only wait, in slices of at most 30 s. */
import { setImmediate as breathe } from 'node:timers/promises';
import type { Account, OAuthAccount, PasswordAccount } from '../../accounts/account.ts';
import { elapsedMs } from '../../os/monotonic.ts';
import type { KnownGrant } from '../../tokens/cached-grant.ts';
import { mustWait, refreshAt } from '../../tokens/schedule.ts';
import type { TokenService } from '../../tokens/service.ts';

const LONGEST_WAIT_MS = 30_000;
const SHORTEST_WAIT_MS = 250;
/** Exchanges begun within a second: a machine that wakes up must not fall upon its provider. */
const MAX_PARALLEL = 8;
/** From then on an exchange keeps no other waiting: whatever it hangs on may be its account's own trouble. */
const YOUNG_MS = 1000;
/** Exchanges under way in all. */
const MAX_UNDER_WAY = 256;
/** Between attempts that bring no new token, where the grant itself says no time: doubled up to a minute. */
const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 60_000;
/** Accounts are looked at for so long before others get a turn. */
const STRETCH_MS = 3;

export interface RefresherOptions {
  accounts: () => readonly Account[];
  tokens: TokenService;
  lastAskedAt: (address: string) => number;
  now: () => number;
  random: () => number;
}

export class Refresher {
  readonly #options: RefresherOptions;
  readonly #startedAt: number;
  #lined: readonly Account[] = [];
  #places: ReadonlyMap<string, number> = new Map();
  /** In the order of the accounts, milliseconds since the epoch; Infinity where it is not up to the broker. */
  #dues = new Float64Array();
  #cursor = -1;
  #lookedAt = { wall: -Infinity, elapsed: -Infinity };
  /** One draw for each token, so that a due time does not move from tick to tick. */
  readonly #draws = new Map<string, { issuedAt: number | undefined; value: number }>();
  /** Since when, by `elapsedMs`. */
  readonly #underWay = new Map<string, number>();
  /** Attempts in a row that brought no new token, and when the next one may be made, by `elapsedMs`. */
  readonly #vain = new Map<string, { count: number; until: number }>();

  constructor(options: RefresherOptions) {
    this.#options = options;
    this.#startedAt = elapsedMs();
  }

  /** Starts what is due. @returns milliseconds until the next tick */
  async tick(): Promise<number> {
    const { now } = this.#options;
    await this.#bringUpToDate();
    let next = now() + LONGEST_WAIT_MS;
    const ready: OAuthAccount[] = [];
    for (const [place, due] of this.#dues.entries()) {
      const account = this.#lined[place];
      if (account?.kind !== 'oauth' || this.#underWay.has(account.address)) continue;
      const pause = due > now() ? due - now() : this.#pauseOf(account.address);
      if (pause > 0) next = Math.min(next, now() + pause);
      else ready.push(account);
    }
    if (this.#beginAll(ready) < ready.length) next = now();
    return Math.max(SHORTEST_WAIT_MS, next - now());
  }

  /** Those go first that have not just failed. @returns how many have begun */
  #beginAll(ready: readonly OAuthAccount[]): number {
    const vain = (account: OAuthAccount): boolean => this.#vain.has(account.address);
    const inTurn = [...ready.filter((each) => !vain(each)), ...ready.filter(vain)];
    const room = this.#room();
    for (const account of inTurn.slice(0, room)) this.#begin(account);
    return Math.min(room, inTurn.length);
  }

  #room(): number {
    const old = elapsedMs() - YOUNG_MS;
    const young = [...this.#underWay.values()].filter((since) => since > old).length;
    return Math.max(0, Math.min(MAX_PARALLEL - young, MAX_UNDER_WAY - this.#underWay.size));
  }

  #pauseOf(address: string): number {
    return (this.#vain.get(address)?.until ?? 0) - elapsedMs();
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
    // By both clocks: one stands still while the machine sleeps, the other is set.
    const isOld = [now() - this.#lookedAt.wall, elapsedMs() - this.#lookedAt.elapsed].some(
      (age) => Math.abs(age) >= LONGEST_WAIT_MS,
    );
    if (lined === this.#lined && changed !== undefined && !isOld) {
      for (const address of changed) await this.#look(this.#places.get(address));
      return;
    }
    if (lined !== this.#lined) this.#line(lined);
    this.#lookedAt = { wall: now(), elapsed: elapsedMs() };
    this.#dues = new Float64Array(lined.length).fill(Infinity);
    let turn = performance.now();
    for (let place = 0; place < lined.length; place++) {
      await this.#look(place);
      if (performance.now() - turn < STRETCH_MS) continue;
      // A client that asks for a token meanwhile must not wait for all of them.
      await breathe();
      turn = performance.now();
    }
  }

  /** Other settings: what could not be done before may be possible now. */
  #line(lined: readonly Account[]): void {
    this.#lined = lined;
    this.#places = new Map(lined.map(({ address }, place) => [address, place]));
    this.#vain.clear();
    const { troubles } = this.#options.tokens;
    for (const address of [...troubles.addresses()]) if (!this.#places.has(address)) troubles.clear(address);
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

  /** An app password is never due, but one that cannot be read has to be told. */
  async #prove(account: PasswordAccount): Promise<void> {
    const { tokens } = this.#options;
    // What it fails with is kept by the token service, as for any account.
    if (tokens.known(account.address) === undefined) await tokens.load(account).catch(() => undefined);
  }

  /** When the account's token is refreshed next; undefined while that is up to a person or to the store. */
  async dueAt(account: OAuthAccount): Promise<number | undefined> {
    const record = await this.#options.tokens.load(account).catch(() => undefined);
    return record && this.#dueOf(account, record);
  }

  #dueOf({ address }: OAuthAccount, record: KnownGrant): number | undefined {
    const { lastAskedAt, now, tokens } = this.#options;
    if (record.state === 'authorization_required' || !record.refreshable) return undefined;
    if (record.failure !== undefined && mustWait(record.failure, now())) return record.failure.retry_at;
    // An exchange was cut off between request and answer: only while it is young do providers repeat their answer.
    if (record.attempted) return now();
    // A new token is what shows that the trouble is over.
    if (tokens.troubles.of(address) !== undefined) return now();
    const asked = Math.max(lastAskedAt(address), now() - (elapsedMs() - this.#startedAt));
    return refreshAt(record, asked, now(), this.#draw(address, record.issued_at));
  }

  #draw(address: string, issuedAt: number | undefined): number {
    const known = this.#draws.get(address);
    if (known?.issuedAt === issuedAt && known !== undefined) return known.value;
    const value = this.#options.random();
    this.#draws.set(address, { issuedAt, value });
    return value;
  }

  #begin(account: OAuthAccount): void {
    const { tokens } = this.#options;
    const { address } = account;
    const before = tokens.known(address);
    this.#underWay.set(address, elapsedMs());
    tokens
      .refreshAhead(account)
      // Told where it failed; the next tick knows when to try again.
      .catch(() => undefined)
      .finally(() => {
        this.#underWay.delete(address);
        const after = tokens.known(address);
        // A failure may be answered with the token of before.
        if (after?.issued_at !== before?.issued_at) this.#vain.delete(address);
        // A failure that the grant tells has its own time for the next attempt.
        else this.#noteVain(address, after?.failure?.count !== before?.failure?.count);
      });
  }

  #noteVain(address: string, hasOwnTime: boolean): void {
    const count = (this.#vain.get(address)?.count ?? 0) + 1;
    const pause = hasOwnTime ? 0 : Math.min(FIRST_PAUSE_MS * 2 ** (count - 1), LONGEST_PAUSE_MS);
    this.#vain.set(address, { count, until: elapsedMs() + pause });
  }
}
