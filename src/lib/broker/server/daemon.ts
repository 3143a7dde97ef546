/** The broker with everything around it: its lock, its sockets, its ticker, and its reading of changes. */
import { type FSWatcher, statSync, watch } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AccountStore } from '../../accounts/store.ts';
import { CmsError, messageOf } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import { duplicate } from '../../os/libc.ts';
import { redact } from '../../core/redact.ts';
import { ensurePrivateFolder } from '../../os/files/files.ts';
import { readSettings, type Settings, type SocketSettings } from '../../config/settings.ts';
import type { TokenService, TokenServiceOptions } from '../../tokens/service.ts';
import type { Vault } from '../../vault/vault.ts';
import type { Condition } from '../../notify/decide.ts';
import { Notifier } from '../../notify/notifier.ts';
import type { Environment, Paths } from '../../os/paths.ts';
import { Broker } from './broker.ts';
import { AuditTrail, requireAuditFile } from './audit.ts';
import { BrokerLock } from './broker-lock.ts';
import { Conditions } from './conditions.ts';
import { AccountDirectory } from './directory.ts';
import { Acceptor } from './connections/acceptor.ts';
import {
  type ActivatedSocket,
  type Entrance,
  inodeOf,
  type Listener,
  listenOn,
  listenOnActivated,
} from './listener.ts';
import { resolvePolicy } from './names.ts';
import type { SocketPolicy } from './policy.ts';
import { Refresher } from './refresher.ts';
import { reloading, type ServiceManager, statusLine } from './service-manager.ts';
import { Series } from '../../core/series.ts';
import { type BrokerStatus, brokerStatus, brokerStatusText, type StatusParts } from './status.ts';

/** One change of accounts.json arrives as several events. */
/** `0` has every connection served through a stream: the slow way is the reference of the quick one. */
const SERVE_AT_ONCE = 'CMS_SERVE_FAST';
const DEBOUNCE_MS = 50;
/** After an exchange: until it is stored and its lock is free. */
const SETTLE_MS = 100;
/** After a tick that failed. */
const TROUBLE_MS = 5000;
const DRAIN_TIMEOUT_MS = 5000;
/** How soon a socket that cannot be opened is tried again. */
const MISSING_MS = 2000;
/** How soon the place of another broker is taken that has ended. */
const STAND_BY_MS = 1000;
/** For a client that is turned away and does not close. */
const TURN_AWAY_MS = 1000;

export interface DaemonOptions {
  paths: Paths;
  /** What hooks and notifications are given a part of. */
  env: Environment;
  accounts: AccountStore;
  vault: Vault;
  log: Logger;
  openTokens: (options: Required<Pick<TokenServiceOptions, 'resident' | 'changed'>>) => TokenService;
  /** From the command line, in addition to those of `config.toml`. */
  sockets: SocketSettings[];
  version: string;
  /** Bound by the service manager. One is served where its path is a wanted one. */
  activated?: readonly ActivatedSocket[];
  manager?: ServiceManager | undefined;
  /** Resolves when the process is asked to end. */
  asked?: Promise<void>;
}

export class Daemon {
  readonly #options: DaemonOptions;
  readonly #log: Logger;
  readonly #tokens: TokenService;
  readonly #directory: AccountDirectory;
  readonly #broker: Broker;
  readonly #refresher: Refresher;
  readonly #notifier: Notifier;
  readonly #conditions = new Conditions();
  readonly #audit: AuditTrail;
  readonly #acceptor: Acceptor;
  readonly #listeners = new Map<string, Listener>();
  readonly #missing = new Map<string, CmsError>();
  readonly #startedAt = Date.now();
  #wanted: Wanted[] = [];
  #reconciling = Promise.resolve();
  readonly #accountsRead = new Series(() => this.#readAccountsNow());
  readonly #reloads = new Series(() => this.#reloadNow());
  readonly #statusText = new Series(() => brokerStatusText(this.#statusParts(), redact));
  #lock: BrokerLock | undefined;
  readonly #watchers = new Map<string, FSWatcher>();
  #accountsStamp = '';
  #ticker: NodeJS.Timeout | undefined;
  #ticking = Promise.resolve();
  #working = false;
  #again = false;
  #debounce: NodeJS.Timeout | undefined;
  #stopping: Promise<void> | undefined;
  #isAskedToEnd = false;
  #fail: (reason: CmsError) => void = () => undefined;
  /** Resolves when this broker cannot go on. */
  readonly failed = new Promise<CmsError>((resolve) => (this.#fail = resolve));

  private constructor(options: DaemonOptions) {
    this.#options = options;
    this.#log = options.log;
    // A new expiry moves the next tick.
    this.#tokens = options.openTokens({ resident: true, changed: () => this.#tickSoon() });
    this.#directory = new AccountDirectory(options.accounts);
    this.#audit = new AuditTrail(options.paths.auditFile, options.log);
    this.#broker = new Broker({
      directory: this.#directory,
      tokens: this.#tokens,
      log: options.log,
      audit: this.#audit,
      now: Date.now,
      ownUid: ownUid(),
      status: () => this.#statusText.next(),
      reload: () => this.reload(),
    });
    this.#acceptor = new Acceptor(this.#broker, ownUid(), options.log);
    this.#refresher = new Refresher({
      accounts: () => this.#directory.all,
      tokens: this.#tokens,
      lastAskedAt: (address) => this.#broker.lastAskedAt(address),
      now: Date.now,
      random: Math.random,
    });
    const { paths, env, log } = options;
    this.#notifier = new Notifier({ paths, env, log, uid: ownUid(), tokens: this.#tokens, now: Date.now });
  }

  /**
   * Starts a broker; neither the network nor the keyring is needed for that.
   * @throws CmsError `cannot_create` (a broker runs already, a live socket), `config_invalid`, `io_error`
   */
  static async start(options: DaemonOptions): Promise<Daemon> {
    const daemon = new Daemon(options);
    try {
      await daemon.#start();
    } catch (error) {
      await daemon.stop();
      throw error;
    }
    return daemon;
  }

  async #start(): Promise<void> {
    void this.#options.asked?.then(() => (this.#isAskedToEnd = true));
    const { paths, vault } = this.#options;
    await ensurePrivateFolder(paths.configDir);
    this.#lock = (await BrokerLock.acquire(paths)) ?? (await this.#standBy());
    if (this.#lock === undefined) {
      if (this.#isAskedToEnd) return;
      throw alreadyRuns(paths.stateDir);
    }
    for (const file of [paths.lockDir, join(paths.lockDir, 'broker.lock')]) this.#watch(file, () => this.#tickSoon());
    requireAuditFile(paths.auditFile);
    await vault.sweep();
    await this.#accountsRead.next();
    const settings = await readSettings(paths);
    this.#wanted = await this.#wantedSockets(settings);
    await this.#notifier.use(settings);
    const own = new Set(['', paths.privateSocket, ...this.#options.sockets.map(({ path }) => path)]);
    await this.#reconcile((path) => own.has(path));
    this.#watch(paths.accountsFile, () => this.#accountsChangedSoon());
    this.#warn();
    this.#tellManager('READY=1');
    this.#tickSoon();
  }

  /**
   * Another broker runs. A service manager that holds our sockets would start us again for each client that waits there,
   * so we stay, answer nothing on them, and take over when that one ends.
   * @returns undefined without sockets of a service manager, and when this broker is to end
   */
  async #standBy(): Promise<BrokerLock | undefined> {
    const { activated = [], manager, paths } = this.#options;
    if (activated.length === 0) return undefined;
    this.#log.warn('another broker runs; this one waits for its end, and answers nothing until then', {
      state: paths.stateDir,
    });
    manager?.tell('READY=1', 'STATUS=waiting: another broker runs');
    const turnAway = (socket: Socket): void => {
      socket.on('error', () => undefined).setTimeout(TURN_AWAY_MS, () => socket.destroy());
      socket.resume().end();
    };
    const turnedAway = activated.map(({ fd }) => createServer(turnAway).listen({ fd: duplicate(fd) }));
    try {
      for (;;) {
        await Promise.race([sleep(STAND_BY_MS), this.#options.asked]);
        if (this.#isAskedToEnd) return undefined;
        manager?.tell('WATCHDOG=1');
        const lock = await BrokerLock.acquire(paths);
        if (lock !== undefined) return lock;
      }
    } finally {
      for (const server of turnedAway) server.close();
    }
  }

  /** What `STATUS` answers. */
  status(): BrokerStatus {
    return brokerStatus(this.#statusParts());
  }

  #statusParts(): StatusParts {
    return {
      version: this.#options.version,
      startedAt: this.#startedAt,
      now: Date.now(),
      directory: this.#directory,
      broker: this.#broker,
      tokens: this.#tokens,
      sockets: [...this.#listeners.values()].map(({ policy, mode }) => ({ ...policy, mode })),
      missing: this.#missing,
    };
  }

  /**
   * Reads accounts and settings again, and opens and closes sockets accordingly. One reload follows the other, and who
   * asks while one is under way is answered by the next: what counts are the settings of after the request.
   * @throws CmsError when one of them cannot be read; everything then stays as it was
   */
  reload(): Promise<void> {
    return this.#reloads.next();
  }

  async #reloadNow(): Promise<void> {
    if (this.#isStopping()) return;
    this.#options.manager?.tell(...reloading(process.hrtime.bigint()));
    try {
      await this.#reload();
    } finally {
      this.#tellManager('READY=1');
    }
  }

  async #reload(): Promise<void> {
    const settings = await readSettings(this.#options.paths);
    const wanted = await this.#wantedSockets(settings);
    await this.#accountsRead.next();
    await this.#notifier.use(settings);
    this.#wanted = wanted;
    await this.#reconcile(() => false);
    this.#warn();
    this.#tickSoon();
    this.#log.info('reloaded', { accounts: this.#directory.all.length, sockets: this.#listeners.size });
  }

  /** Accounts whose newest grant is in memory only: lost when the process ends. */
  get unstored(): string[] {
    return [...this.#tokens.unstored.keys()];
  }

  /** Answers what was asked, at most 5 s long, stores what is not stored, and removes the sockets. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    this.#options.manager?.tell('STOPPING=1', 'STATUS=ending');
    clearTimeout(this.#ticker);
    clearTimeout(this.#debounce);
    for (const file of [...this.#watchers.keys()]) this.#unwatch(file);
    const listeners = [...this.#listeners.values()];
    const impatience = setTimeout(() => this.#acceptor.destroyAll(), DRAIN_TIMEOUT_MS);
    await Promise.all(listeners.map((listener) => listener.close()));
    await this.#acceptor.drained();
    clearTimeout(impatience);
    this.#notifier.close();
    // No exchange begins from here on: how long it takes to end is bounded by those that have begun.
    await Promise.all([this.#settled(), this.#tokens.close()]);
    await this.#tokens.storeUnstored();
    await this.#audit.flush();
    await this.#lock?.[Symbol.asyncDispose]();
  }

  /** Waits for what is under way, but not for what hangs: afterwards nothing of this broker touches a file. */
  async #settled(): Promise<void> {
    const patience = new AbortController();
    const work = [this.#ticking, this.#reloads.settled(), this.#accountsRead.settled(), this.#reconciling];
    await Promise.race([Promise.all(work), sleep(DRAIN_TIMEOUT_MS, undefined, patience).catch(() => undefined)]);
    patience.abort();
  }

  async #readAccountsNow(): Promise<void> {
    const stamp = this.#stamp();
    await this.#directory.reload();
    this.#accountsStamp = stamp;
    this.#tokens.forget();
    this.#options.vault.forgetFailure();
    this.#options.vault.expectKey(this.#directory.vaultKeyId);
  }

  async #wantedSockets(settings: Settings): Promise<Wanted[]> {
    const { paths, sockets } = this.#options;
    const own: SocketPolicy = { path: paths.privateSocket, mode: 0o600, passwords: true, private: true };
    const given = await Promise.all(sockets.map(resolvePolicy));
    const set = settings.sockets.map(async (each) => ({ settings: each, policy: await policyIfKnown(each) }));
    return [...[own, ...given].map((policy) => ({ settings: policy, policy })), ...(await Promise.all(set))];
  }

  /**
   * Opens what is wanted and closes what is not, one call after the other: two at once would open a socket twice. A
   * socket that cannot be opened is an error only if it is `required`.
   */
  #reconcile(required: (path: string) => boolean): Promise<void> {
    const reconciled = this.#reconciling.then(() => this.#reconcileNow(required));
    this.#reconciling = reconciled.catch(() => undefined);
    return reconciled;
  }

  async #reconcileNow(required: (path: string) => boolean): Promise<void> {
    const all = this.#wanted;
    const wanted = new Map(all.map((each) => [each.settings.path, each]));
    for (const [path, listener] of this.#listeners) {
      if (JSON.stringify(wanted.get(path)?.policy) === JSON.stringify(listener.policy)) continue;
      this.#drop(path, listener);
    }
    for (const [path, each] of wanted) {
      // A tick that SIGTERM interrupted would reopen what has just been closed, and the process would not end.
      if (this.#isStopping()) return;
      if (this.#listeners.has(path)) continue;
      try {
        each.policy ??= await resolvePolicy(each.settings);
        // Other settings were read meanwhile, and another call follows for them.
        if (this.#wanted !== all) return;
        const listener = await this.#listen(each.policy);
        if (this.#isStopping()) {
          await listener.close();
          return;
        }
        this.#listeners.set(path, listener);
        this.#log.info('listening', { socket: path, mode: listener.mode.toString(8), group: each.settings.group });
        this.#watch(path, () => this.#tickSoon());
        this.#missing.delete(path);
      } catch (error) {
        if (required(path) || !(error instanceof CmsError)) throw error;
        if (this.#missing.get(path)?.message !== error.message) {
          this.#log.error('a socket of config.toml cannot be opened; it is tried again', {
            socket: path,
            reason: error.message,
            try: error.suggestions[0],
          });
        }
        this.#missing.set(path, error);
      }
    }
    for (const path of this.#missing.keys()) if (!wanted.has(path)) this.#missing.delete(path);
  }

  /** On the service manager's socket, as long as its file is in place; else on one of our own. */
  #listen(policy: SocketPolicy): Promise<Listener> {
    const { path } = policy;
    const entrance: Entrance = {
      accept: (socket) => this.#acceptor.accept(socket, policy),
      ...(this.#options.env[SERVE_AT_ONCE] !== '0' && {
        take: (client, listening) => this.#acceptor.take(client, listening, policy),
      }),
    };
    const activated = this.#options.activated?.find((each) => each.path === path);
    const isInPlace = activated?.inode !== undefined && inodeOf(path) === activated.inode;
    return isInPlace ? listenOnActivated(policy, activated, entrance) : listenOn(policy, entrance);
  }

  /** Of settings that lead to nothing. */
  #warn(): void {
    this.#notifier.warnOfMail(this.#directory.all);
    const wanted = new Set(this.#wanted.map(({ settings }) => settings.path));
    for (const { path, name } of this.#options.activated ?? []) {
      if (wanted.has(path)) continue;
      this.#log.warn('the service manager handed over a socket that no [[socket]] of config.toml names', {
        socket: path,
        name,
      });
    }
  }

  #isStopping(): boolean {
    return this.#stopping !== undefined;
  }

  #tellManager(...assignments: string[]): void {
    const { manager } = this.#options;
    if (manager === undefined) return;
    manager.tell(...assignments, statusLine(this.#conditionsNow(), this.#listeners.size));
  }

  /** Stops listening; the open connections go on. */
  #drop(path: string, listener: Listener): void {
    this.#unwatch(path);
    this.#listeners.delete(path);
    void listener.close();
  }

  /** Something changed: look soon, and once more if the ticker is at work right now. */
  #tickSoon(): void {
    if (this.#working) this.#again = true;
    else this.#schedule(SETTLE_MS);
  }

  #schedule(milliseconds: number): void {
    clearTimeout(this.#ticker);
    if (this.#isStopping()) return;
    this.#ticker = setTimeout(() => {
      this.#ticking = this.#tick();
    }, milliseconds);
  }

  async #tick(): Promise<void> {
    this.#working = true;
    let wait = SETTLE_MS;
    try {
      wait = await this.#work();
    } catch (error) {
      this.#log.error('the ticker failed', { reason: messageOf(error) });
      wait = TROUBLE_MS;
    }
    // Once the work is done: a tick that hangs is what the watchdog is for.
    this.#tellManager('WATCHDOG=1');
    this.#working = false;
    this.#schedule(this.#again ? SETTLE_MS : Math.min(wait, this.#options.manager?.signOfLifeMs ?? wait));
    this.#again = false;
  }

  /** @returns milliseconds until there may be something to do */
  async #work(): Promise<number> {
    await this.#keepLock();
    if (this.#stamp() !== this.#accountsStamp) await this.#accountsChanged();
    await this.#tokens.storeUnstored();
    this.#audit.tick();
    for (const [path, listener] of this.#listeners) {
      if (listener.isInPlace()) continue;
      this.#log.error('the socket file is gone or not ours any more', { socket: path });
      this.#drop(path, listener);
    }
    await this.#reconcile(() => false);
    if (this.#isStopping()) return SETTLE_MS;
    const next = Math.min(await this.#refresher.tick(), await this.#notify());
    return this.#missing.size > 0 ? Math.min(next, MISSING_MS) : next;
  }

  /** Where the state folder is closed or gone, the ticker goes on with the rest, and so tells of it. */
  async #keepLock(): Promise<void> {
    try {
      if (this.#lock?.isInPlace() === false) await this.#renew(this.#lock);
    } catch (error) {
      this.#log.error('cannot check the lock of the broker', { reason: messageOf(error) });
    }
  }

  /** The lock was deleted, or its folder: what is there now is locked, unless another broker has done so. */
  async #renew(lock: BrokerLock): Promise<void> {
    const { stateDir } = this.#options.paths;
    if (await lock.renew())
      this.#log.warn('the lock of the broker was deleted, and is taken again', { state: stateDir });
    else this.#fail(lockLost(stateDir));
  }

  /** @returns milliseconds until there may be something to tell */
  #notify(): Promise<number> {
    return this.#notifier.observe(this.#directory.all, this.#conditionsNow());
  }

  #conditionsNow(): Condition[] {
    const parts = { now: Date.now(), tokens: this.#tokens, broker: this.#broker };
    return this.#conditions.of(this.#directory.all, parts);
  }

  /** Runs `changed` when something happens to the file; the ticker looks as well, should watching not be possible. */
  #watch(file: string, changed: () => void): void {
    const folder = dirname(file);
    try {
      const watcher = watch(folder, (_event, name) => {
        if (name === basename(file)) changed();
      });
      watcher.on('error', () => watcher.close());
      this.#watchers.set(file, watcher);
    } catch (error) {
      this.#log.debug('cannot watch the folder', { folder, reason: messageOf(error) });
    }
  }

  #unwatch(file: string): void {
    this.#watchers.get(file)?.close();
    this.#watchers.delete(file);
  }

  #accountsChangedSoon(): void {
    clearTimeout(this.#debounce);
    this.#debounce = setTimeout(() => void this.#accountsChanged().then(() => this.#tickSoon()), DEBOUNCE_MS);
  }

  async #accountsChanged(): Promise<void> {
    try {
      await this.#accountsRead.next();
      this.#log.info('accounts reloaded', { accounts: this.#directory.all.length });
    } catch (error) {
      this.#accountsStamp = this.#stamp();
      this.#log.error('cannot read the accounts; those of before are served', { reason: messageOf(error) });
    }
  }

  #stamp(): string {
    try {
      const { ino, mtimeMs, size } = statSync(this.#options.paths.accountsFile);
      return `${ino} ${mtimeMs} ${size}`;
    } catch {
      return 'none';
    }
  }
}

/** A socket that is to be served. */
interface Wanted {
  settings: SocketSettings;
  /** Undefined as long as a name in it is unknown. */
  policy: SocketPolicy | undefined;
}

/** A name of `config.toml` that is gone, or cannot be looked up at boot, costs its socket and no other. */
function policyIfKnown(settings: SocketSettings): Promise<SocketPolicy | undefined> {
  return resolvePolicy(settings).catch((error: unknown) => {
    if (error instanceof CmsError) return undefined;
    throw error;
  });
}

function ownUid(): number {
  return process.getuid?.() ?? -1;
}

function lockLost(stateDir: string): CmsError {
  return new CmsError('cannot_create', `the lock in ${stateDir} was deleted, and another broker has it now`, {
    suggestions: ['cms status'],
  });
}

function alreadyRuns(stateDir: string): CmsError {
  return new CmsError('cannot_create', `a broker runs already for ${stateDir}`, { suggestions: ['cms status'] });
}
