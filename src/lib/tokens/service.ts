/**
 * The token service: a fresh access token for an account, or a named reason why there is none.
 *
 * Invariants:
 * - One exchange per account at a time: one flight in this process, one lock between processes.
 * - A refresh token leaves the disk only by a newer one that is on the disk.
 * - What was exchanged is stored before it is served. Where storing fails, the lock is kept, the grant stays in memory
 *   and storing is tried again: no other process may use the older refresh token in the meantime.
 * - An error never deletes a refresh token; only a well-formed refusal says that a person is needed.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Account, OAuthAccount } from '../accounts/account.ts';
import { elapsedMs } from '../os/monotonic.ts';
import { uninterrupted } from '../os/ending.ts';
import { CmsError, messageOf, toCmsError } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import type { Secret } from '../core/secret.ts';
import type { GrantRecord } from '../vault/grant.ts';
import type { Lock } from '../os/files/lock.ts';
import type { Reservation } from '../os/files/reservation.ts';
import type { Vault } from '../vault/vault.ts';
import { type AccessToken, demandOf, readGrant, tokenOf, type TokenRequest } from './access-token.ts';
import { bindingChanged, hasNoPassword, isEnding, isPasswordAccount, neverSignedIn, waitsForLock } from './failures.ts';
import { authorizationRequired, exchangeFailed } from './refusals.ts';
import { Changes } from './changes.ts';
import { isShortened, type KnownGrant, knownOf } from './cached-grant.ts';
import type { Exchange, ExchangeOutcome } from '../oauth/token/exchange.ts';
import {
  isBoundTo,
  refreshTokensToTry,
  withAttempt,
  withFailure,
  withGranted,
  withoutPassingRefusal,
  withRefusal,
  withUnusable,
} from './rotation.ts';
import { answers, type Demand, isPast, isUnexpired, mustWait } from './schedule.ts';
import { type Step, type Trouble, Troubles } from './troubles.ts';

/** Longer than an exchange with its retry of the previous token can take. */
const LOCK_TIMEOUT_MS = 30_000;
/** An exchange elsewhere is mostly done by then: a process that holds the lock for longer may be stuck. */
const LOCK_SLOW_MS = 5000;
/** How long a process that ends after its answer goes on trying to store what it was granted. */
const STORE_PATIENCE_MS = 5000;
const STORE_RETRY_MS = 500;
/** How long a token that still lives is held back for a newer one: clients wait for 4 s. */
const NEWER_PATIENCE_MS = 3000;
/** As many as `redact` knows secrets: a token that is in memory is cut out of whatever is said. */
const MAX_TOKENS = 2048;

export interface TokenServiceOptions {
  vault: Vault;
  exchange: Exchange;
  log: Logger;
  now: () => number;
  /** 0 … 1 */
  random: () => number;
  /** The process stays (a broker): what could not be stored is kept and stored later, instead of waiting for it. */
  resident?: boolean;
  /** Access tokens kept in memory; those of other accounts are read again when asked for. Default 2048. */
  maxTokens?: number;
  /** Told of each outcome of an exchange, stored or not. */
  changed?: (record: GrantRecord) => void;
}

/** Granted, but not on the disk yet. */
interface Unstored {
  record: GrantRecord;
  lock: Lock;
  since: number;
}

export class TokenService {
  readonly #options: TokenServiceOptions;
  readonly #known = new Map<string, KnownGrant>();
  /** Of those, the ones with an access token, the oldest first. */
  readonly #withToken = new Map<string, KnownGrant>();
  /** Of what `known` answers. */
  readonly changes = new Changes();
  /** The last error of each account that its grant does not tell. */
  readonly troubles: Troubles;
  readonly #exchanging = new Set<Promise<unknown>>();
  #closed = false;
  readonly #flights = new Map<string, Promise<KnownGrant>>();
  readonly #unstored = new Map<string, Unstored>();

  constructor(options: TokenServiceOptions) {
    this.#options = options;
    this.troubles = new Troubles(options.now, (address, trouble) => this.#troubleChanged(address, trouble));
  }

  /**
   * An access token that fulfils the request, exchanged if need be.
   * @throws CmsError `authorization_required`, `temporarily_unavailable`, `client_invalid`, `config_invalid`,
   * `password_account`, `store_locked`, `store_unavailable`, `data_invalid`, `io_error`
   */
  async accessToken(account: Account, request: TokenRequest = {}): Promise<AccessToken> {
    const cached = this.cached(account, request);
    if (cached !== undefined) return cached;
    if (account.kind === 'password') throw isPasswordAccount(account.address);
    const demand = this.#demand(request);
    const flight = this.#fly(account, demand);
    const known = this.#known.get(account.address);
    const mayWait = !this.#options.resident || demand.force || known === undefined || isShortened(known);
    if (mayWait || !isUnexpired(known, this.#options.now())) return tokenOf(await flight);
    return tokenOf(await Promise.race([flight, sleep(NEWER_PATIENCE_MS, known, { ref: false })]));
  }

  /** The token at hand, if it fulfils the request; never waits, never asks anybody. */
  cached(account: Account, request: TokenRequest = {}): AccessToken | undefined {
    const known = this.#known.get(account.address);
    if (known === undefined || isShortened(known)) return undefined;
    return answers(known, this.#demand(request), this.#options.now()) ? tokenOf(known) : undefined;
  }

  /**
   * Exchanges although the token may still be good; an older token that still lives answers a failure.
   * @throws CmsError as `accessToken`
   */
  async refreshAhead(account: OAuthAccount): Promise<AccessToken> {
    const { issued_at: otherThan = 0 } = await this.#load(account.address);
    return tokenOf(await this.#fly(account, { ...this.#demand({}), otherThan }));
  }

  /**
   * The app password of an account without OAuth.
   * @throws CmsError `password_account` for an OAuth account, `authorization_required`, `store_locked`, …
   */
  async password(account: Account): Promise<Secret> {
    if (account.kind !== 'password') throw hasNoPassword(account.address);
    const { password } = await this.#load(account.address);
    if (password === undefined) throw neverSignedIn(account.address);
    return password;
  }

  /** What is known of the account's grant in this process; the disk is not asked. */
  known(address: string): KnownGrant | undefined {
    return this.#known.get(address);
  }

  /** Loads the grant if it is not known yet. @throws CmsError as `accessToken` */
  async load(account: Account): Promise<KnownGrant> {
    return this.#load(account.address);
  }

  /** Begins no more exchanges, and resolves when those under way are stored, as far as they can be. */
  async close(): Promise<void> {
    this.#closed = true;
    while (this.#exchanging.size > 0) await Promise.allSettled([...this.#exchanging]);
  }

  /** Accounts whose newest grant is in memory only, and since when: DEGRADED. */
  get unstored(): ReadonlyMap<string, number> {
    return new Map([...this.#unstored].map(([address, { since }]) => [address, since]));
  }

  /** Forgets what was read, so that the next request reads the disk: after a sign-in or removal elsewhere. */
  forget(address?: string): void {
    for (const each of address === undefined ? [...this.#known.keys()] : [address]) this.#drop(each);
    this.changes.noteAll();
    for (const { record } of this.#unstored.values()) this.#know(record);
  }

  /** Tries again to store what could not be stored; called by the broker's ticker and before it ends. */
  async storeUnstored(): Promise<void> {
    for (const [address, unstored] of this.#unstored) {
      try {
        await this.#options.vault.write(unstored.record);
        this.#unstored.delete(address);
        await unstored.lock[Symbol.asyncDispose]();
        this.changes.note(address);
        this.#options.log.info('stored after all', { account: address });
      } catch (error) {
        this.#options.log.error('cannot store a new grant; it is kept in memory', {
          account: address,
          reason: messageOf(error),
        });
      }
    }
  }

  #demand(request: TokenRequest): Demand {
    return demandOf(request, this.#options.now());
  }

  async #load(address: string): Promise<KnownGrant> {
    const known = this.#known.get(address);
    return known === undefined || isShortened(known) ? knownOf(await this.#reload(address)) : known;
  }

  /** From the disk: another process may have rotated or signed in again. */
  async #reload(address: string): Promise<GrantRecord> {
    const record = await this.#noting(address, 'read', readGrant(this.#options.vault, address));
    if (record === undefined) {
      this.#drop(address);
      this.changes.note(address);
      throw this.#noted(address, 'read', neverSignedIn(address));
    }
    const current = withoutPassingRefusal(record);
    this.#know(current);
    return current;
  }

  #know(record: GrantRecord): void {
    const { address } = record;
    this.#drop(address);
    const known = knownOf(record);
    this.#known.set(address, known);
    if (known.access_token !== undefined) this.#withToken.set(address, known);
    this.#shorten();
    this.changes.note(address);
  }

  #drop(address: string): void {
    this.#known.delete(address);
    this.#withToken.delete(address);
  }

  /** Lets go of the oldest tokens; not of one that is in memory alone. */
  #shorten(): void {
    let tooMany = this.#withToken.size - (this.#options.maxTokens ?? MAX_TOKENS);
    if (tooMany <= 0) return;
    for (const [address, known] of this.#withToken) {
      if (this.#unstored.has(address)) continue;
      known.access_token = undefined;
      this.#withToken.delete(address);
      if (--tooMany === 0) return;
    }
  }

  /** What the step comes to. What it fails with is noted, and no more once it has succeeded. */
  async #noting<T>(address: string, step: Step, work: Promise<T>): Promise<T> {
    try {
      const result = await work;
      this.troubles.clear(address, step);
      return result;
    } catch (error) {
      throw this.#noted(address, step, toCmsError(error));
    }
  }

  #noted(address: string, step: Step, error: CmsError): CmsError {
    this.troubles.note(address, step, error);
    return error;
  }

  #troubleChanged(address: string, trouble: Trouble | undefined): void {
    this.changes.note(address);
    if (trouble === undefined) return;
    const { code, message: reason } = trouble.error;
    this.#options.log.warn('no new token', { account: address, code, reason });
  }

  /**
   * Joins the exchange under way, or begins one. A caller that joins shares its failure, unless the token at hand will
   * do; what it brought may still be too old for a caller that came later.
   */
  async #fly(account: OAuthAccount, demand: Demand): Promise<KnownGrant> {
    const { address } = account;
    const under = this.#flights.get(address);
    if (under !== undefined) {
      const joined = await under.then(
        (known) => (answers(known, demand, this.#options.now()) ? known : undefined),
        (error: unknown) => this.#serveInstead(address, demand, toCmsError(error)),
      );
      return joined ?? this.#fly(account, demand);
    }
    const flight = this.#serveOrExchange(account, demand).finally(() => this.#flights.delete(address));
    this.#flights.set(address, flight);
    return flight;
  }

  async #serveOrExchange(account: OAuthAccount, demand: Demand): Promise<KnownGrant> {
    const known = await this.#load(account.address);
    if (answers(known, demand, this.#options.now())) return known;
    if (this.#unstored.has(account.address)) return this.#serveUnstored(account, known, demand);
    try {
      const current = await this.#reload(account.address);
      const refusal = answers(current, demand, this.#options.now())
        ? undefined
        : this.#reasonNotToExchange(account, current, demand);
      if (refusal !== undefined) return this.#serveOld(knownOf(current), demand, refusal);
      return await this.#lockAndExchange(account, demand);
    } catch (error) {
      return this.#serveInstead(account.address, demand, toCmsError(error));
    }
  }

  /** A full disk, a stuck lock or a damaged file is no reason to withhold a token that still lives. */
  #serveInstead(address: string, demand: Demand, failure: CmsError): KnownGrant {
    const known = this.#known.get(address);
    if (known === undefined || isShortened(known)) throw failure;
    return this.#serveOld(known, demand, failure);
  }

  async #lockAndExchange(account: OAuthAccount, demand: Demand): Promise<KnownGrant> {
    const lock = await this.#lock(account.address);
    try {
      return await this.#underLock(account, demand, lock);
    } finally {
      // A grant that is only in memory keeps its lock.
      if (this.#unstored.get(account.address)?.lock !== lock) await lock[Symbol.asyncDispose]();
    }
  }

  async #lock(address: string): Promise<Lock> {
    const { vault } = this.#options;
    const say = (): void => this.troubles.note(address, 'lock', waitsForLock(address, vault.lockFile(address)));
    const slow = setTimeout(say, LOCK_SLOW_MS).unref();
    try {
      return await this.#noting(address, 'lock', vault.lock(address, LOCK_TIMEOUT_MS));
    } finally {
      clearTimeout(slow);
    }
  }

  /** No exchange while the newest refresh token is not on the disk: the next one might not get there either. */
  async #serveUnstored(account: OAuthAccount, known: KnownGrant, demand: Demand): Promise<KnownGrant> {
    if (!this.#options.resident) {
      // No other process tries in between.
      await this.storeUnstored();
      if (!this.#unstored.has(known.address)) return this.#serveOrExchange(account, demand);
    }
    if (isUnexpired(known, this.#options.now())) return known;
    throw new CmsError('io_error', `the newest grant of ${known.address} cannot be stored`, {
      suggestions: ['cms status', 'df -h'],
    });
  }

  async #underLock(account: OAuthAccount, demand: Demand, lock: Lock): Promise<KnownGrant> {
    const record = await this.#reload(account.address);
    if (answers(record, demand, this.#options.now())) return knownOf(record);
    const refusal = this.#reasonNotToExchange(account, record, demand);
    if (refusal !== undefined) return this.#serveOld(knownOf(record), demand, refusal);
    const work = (): Promise<GrantRecord> => this.#exchangeAndStore(account, record, lock);
    const working = this.#options.resident ? work() : uninterrupted(work);
    this.#exchanging.add(working);
    const next = await working.finally(() => this.#exchanging.delete(working));
    if (next.state === 'active' && next.failure === undefined) return knownOf(next);
    return this.#serveOld(knownOf(next), demand, this.#failureOf(next));
  }

  /** Once this has begun it is not cut off: the answer may hold the only refresh token that the provider still takes. */
  async #exchangeAndStore(account: OAuthAccount, record: GrantRecord, lock: Lock): Promise<GrantRecord> {
    const { vault, now } = this.#options;
    const { address } = account;
    await using room = await this.#noting(address, 'write', vault.reserve(record));
    const noted = withAttempt(record, now());
    await this.#noting(address, 'write', vault.write(noted));
    const next = await this.#noting(address, 'exchange', this.#exchange(account, noted));
    this.troubles.clear(address);
    await this.#store(next, lock, room);
    return next;
  }

  #reasonNotToExchange(account: OAuthAccount, record: GrantRecord, demand: Demand): CmsError | undefined {
    const { address, client } = account;
    if (!isBoundTo(record.secrets, client)) return this.#noted(address, 'bind', bindingChanged(address));
    if (record.secrets.refresh_token === undefined) return this.#noted(address, 'bind', neverSignedIn(address));
    this.troubles.clear(address, 'bind');
    if (this.#closed) return isEnding(address);
    const { failure, reason } = record;
    // One attempt serves all who were waiting for it.
    const answersAll = [failure?.at, reason?.at].some((at) => isPast(at, this.#options.now()) && at >= demand.began);
    if (answersAll) return this.#failureOf(record);
    if (demand.force) return undefined;
    if (record.state === 'authorization_required') return authorizationRequired(record);
    if (failure !== undefined && mustWait(failure, this.#options.now())) return this.#failureOf(record);
    return undefined;
  }

  /** A token that still lives beats an error, unless a new one was insisted on. */
  #serveOld(known: KnownGrant, demand: Demand, failure: CmsError): KnownGrant {
    if (!demand.force && isUnexpired(known, this.#options.now())) return known;
    throw failure;
  }

  #failureOf(record: GrantRecord): CmsError {
    if (record.state === 'authorization_required') return authorizationRequired(record);
    const { failure } = record;
    if (failure === undefined) return neverSignedIn(record.address);
    return exchangeFailed(record, failure, this.#options.now());
  }

  async #exchange(account: OAuthAccount, record: GrantRecord): Promise<GrantRecord> {
    const { exchange, now, random, log } = this.#options;
    let refused: GrantRecord | undefined;
    for (const refreshToken of refreshTokensToTry(record.secrets)) {
      const outcome = await exchange(account.client, refreshToken, record.secrets.client_secret);
      logOutcome(log, account, outcome);
      if (outcome.kind === 'granted') return withGranted(record, refreshToken, outcome, now());
      if (outcome.kind === 'temporary') {
        const { message, retry_after: retryAfterSeconds } = outcome;
        const failure = {
          code: 'temporarily_unavailable',
          message,
          ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
        } as const;
        return withFailure(record, failure, now(), random());
      }
      if (outcome.kind === 'unusable') {
        return withUnusable(record, refreshToken, outcome, { now: now(), random: random() });
      }
      if (outcome.kind === 'config_invalid') {
        return withFailure(record, { code: 'config_invalid', message: outcome.message }, now(), random());
      }
      if (outcome.kind === 'client_invalid') {
        return withFailure(record, { code: 'client_invalid', message: describe(outcome) }, now(), random());
      }
      // What is said of the newest refresh token is the reason.
      refused ??= withRefusal(record, outcome.error, outcome.error_description, now());
    }
    return refused ?? record;
  }

  async #store(record: GrantRecord, lock: Lock, room: Reservation): Promise<void> {
    this.#know(record);
    this.#options.changed?.(record);
    const patience = this.#options.resident ? 0 : STORE_PATIENCE_MS;
    const deadline = elapsedMs() + patience;
    for (;;) {
      try {
        await this.#options.vault.write(record, room);
        return;
      } catch (error) {
        // Only what was exchanged is worth keeping for; a lost failure note costs nothing.
        const exchanged = record.failure === undefined || record.failure.code === 'protocol_error';
        if (!exchanged || record.state !== 'active') return;
        if (elapsedMs() >= deadline) {
          this.#keepUnstored(record, lock, error);
          return;
        }
      }
      await sleep(STORE_RETRY_MS);
    }
  }

  #keepUnstored(record: GrantRecord, lock: Lock, error: unknown): void {
    this.#unstored.set(record.address, { record, lock, since: this.#options.now() });
    // Its token may have made room meanwhile.
    this.#know(record);
    this.#options.log.error('cannot store a new grant; it is kept in memory', {
      account: record.address,
      reason: messageOf(error),
    });
  }
}

function describe({ error, error_description }: { error: string; error_description?: string }): string {
  return error_description === undefined ? error : `${error} (${error_description})`;
}

function logOutcome(log: Logger, account: OAuthAccount, outcome: ExchangeOutcome): void {
  const fields = { account: account.address, endpoint: account.client.token_endpoint };
  if (outcome.kind === 'granted') log.info('refreshed', { ...fields, expires_in: outcome.expires_in });
  else if (outcome.kind === 'unusable')
    log.error('refreshed, but the token cannot be used', { ...fields, reason: outcome.message });
  else if (outcome.kind === 'temporary')
    log.warn('refresh failed, will be tried again', { ...fields, reason: outcome.message });
  else if (outcome.kind === 'config_invalid')
    log.error('refresh not possible from here', { ...fields, reason: outcome.message });
  else log.error('refresh refused', { ...fields, reason: describe(outcome) });
}
