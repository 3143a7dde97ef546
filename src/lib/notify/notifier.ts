/**
 * Notifies the user of an account that needs help: one line in the log, a hook, the desktop, a mail. And
 * when it works again, that mail which has waited leaves. Nothing here throws or keeps the broker waiting; what fails is
 * logged and changes nothing else.
 */
import { hostname } from 'node:os';
import type { Account } from '../accounts/account.ts';
import { messageOf } from '../core/errors.ts';
import { findExim4 } from '../exim/binary.ts';
import { readInstalled } from '../exim/install/installed.ts';
import type { Logger } from '../core/log.ts';
import type { Environment, Paths } from '../os/paths.ts';
import { EVENT_NAMES, type HookSettings } from '../config/hooks.ts';
import type { NotifySettings } from '../config/notify.ts';
import type { TokenService } from '../tokens/service.ts';
import { prepareSmtp } from '../mail/smtp.ts';
import { Children } from './child.ts';
import { type Condition, decide, type Outages, refreshed } from './decide.ts';
import { findNotifySend, hasSessionBus, notifySendArguments } from './desktop.ts';
import { type Event, grouped, plain } from './event.ts';
import { hookEnvironment, judgeProgram, requireTrustedProgram } from './hooks.ts';
import { mailTrouble, sendMail } from './mail.ts';
import { readOutages, writeOutages } from './memory.ts';
import { flushQueue, flushRemedy } from './queue.ts';

const DEFAULT_REMINDER_MS = 24 * 60 * 60_000;
const DEFAULT_TIMEOUT_MS = 10_000;

export interface NotifierOptions {
  paths: Paths;
  env: Environment;
  uid: number;
  tokens: TokenService;
  log: Logger;
  now: () => number;
}

export interface NotifierSettings {
  hooks: HookSettings;
  notify: NotifySettings;
}

export class Notifier {
  readonly #options: NotifierOptions;
  readonly #hooks = new Children();
  // Hooks that hang must not keep the desktop waiting.
  readonly #desktop = new Children();
  #settings: NotifierSettings = { hooks: {}, notify: {} };
  #told: Outages | undefined;
  #written = '';
  readonly #last = new Map<string, Condition>();
  #seen: readonly Condition[] = [];
  #flushing = false;
  #flushAgain = false;

  constructor(options: NotifierOptions) {
    this.#options = options;
  }

  /** Goes by these settings from now on. A hook that cannot be trusted is said now, and not run later. */
  async use(settings: NotifierSettings): Promise<void> {
    const before = JSON.stringify(this.#settings.hooks);
    this.#settings = settings;
    if (settings.notify.mail !== undefined) await prepareSmtp();
    if (JSON.stringify(settings.hooks) === before) return;
    const { log } = this.#options;
    for (const name of EVENT_NAMES) {
      const program = settings.hooks[name]?.[0];
      if (program !== undefined && (await this.#isTrusted(program))) log.info('hook is on', { event: name, program });
    }
  }

  /** Says now what would keep a mail from being sent later. */
  warnOfMail(accounts: readonly Account[]): void {
    const reason = mailTrouble(this.#settings.notify, accounts);
    if (reason !== undefined) this.#options.log.warn('[notify] of config.toml: no mail will be sent', { reason });
  }

  /**
   * Tells what is new about the accounts.
   * @returns milliseconds until there may be something to tell although nothing has changed
   */
  async observe(accounts: readonly Account[], conditions: readonly Condition[]): Promise<number> {
    const { now } = this.#options;
    this.#told ??= await this.#recall();
    const { reminderMs = DEFAULT_REMINDER_MS } = this.#settings.notify;
    // An account that is well is the very object of the last look: most are, and this is done several times a second.
    const changed = conditions.filter(
      (each, place) => each !== this.#seen[place] && this.#last.get(each.address) !== each,
    );
    this.#seen = conditions;
    const told = this.#told;
    const concerned =
      told.size === 0 ? changed : conditions.filter((each) => each.state !== 'ok' || told.has(each.address));
    const { events, outages, next } = decide(concerned, told, now(), reminderMs);
    const all = [...events, ...refreshed(changed, this.#last)];
    this.#told = outages;
    this.#note(changed, conditions);
    if (all.length > 0) this.#tell(all, accounts, conditions);
    await this.#remember(outages);
    return next - now();
  }

  /** Kills what is still running and runs nothing more. */
  close(): void {
    this.#hooks.close();
    this.#desktop.close();
  }

  /** Keeps what was seen last; an account that is not known right now is as it was. */
  #note(changed: readonly Condition[], all: readonly Condition[]): void {
    for (const each of changed) {
      if (each.state !== 'unknown' || !this.#last.has(each.address)) this.#last.set(each.address, each);
    }
    if (this.#last.size === all.length) return;
    const present = new Set(all.map(({ address }) => address));
    for (const address of this.#last.keys()) if (!present.has(address)) this.#last.delete(address);
  }

  #tell(events: readonly Event[], accounts: readonly Account[], conditions: readonly Condition[]): void {
    for (const event of events) {
      this.#log(event);
      void this.#runHook(event);
    }
    const forPeople = events.filter(({ name }) => name !== 'refreshed');
    if (forPeople.length === 0) return;
    const well = new Set(conditions.flatMap(({ address, state }) => (state === 'ok' ? [address] : [])));
    for (const group of grouped(forPeople)) {
      void this.#showOnDesktop(group);
      const affected = new Set(group.map(({ address }) => address));
      void this.#sendMail(
        group,
        accounts.filter(({ address }) => well.has(address) && !affected.has(address)),
      );
    }
    if (events.some(({ name }) => name === 'recovered')) void this.#flushQueue();
  }

  #log(event: Event): void {
    const { log } = this.#options;
    const { name, address: account, code, since, remedy } = event;
    const reason = event.reason === undefined ? undefined : plain(event.reason);
    if (name === 'refreshed') return;
    if (name === 'recovered') log.info('the account works again', { account, code, since });
    else if (name === 'degraded') log.error('the account has a problem', { account, code, reason, since, remedy });
    else log.error('the account needs attention', { account, code, reason, since, remedy });
  }

  async #runHook(event: Event): Promise<void> {
    const { env, log, uid } = this.#options;
    const { hooks } = this.#settings;
    const argv = hooks[event.name];
    const [program] = argv ?? [];
    if (argv === undefined || program === undefined || !(await this.#isTrusted(program))) return;
    const fields = { event: event.name, account: event.address, program };
    const { failure, output } = await this.#hooks.run(argv, {
      env: hookEnvironment(event, env),
      timeoutMs: hooks.timeoutMs ?? DEFAULT_TIMEOUT_MS,
      judge: () => judgeProgram(program, uid),
    });
    if (output !== '') log.debug('a hook said', { ...fields, output: plain(output) });
    if (failure === undefined) log.debug('a hook ran', fields);
    else log.error('a hook failed', { ...fields, reason: failure });
  }

  async #isTrusted(program: string): Promise<boolean> {
    const { uid, log } = this.#options;
    try {
      await requireTrustedProgram(program, uid);
      return true;
    } catch (error) {
      log.error(messageOf(error));
      return false;
    }
  }

  async #showOnDesktop([event, ...others]: readonly Event[]): Promise<void> {
    const { env, log } = this.#options;
    const { desktop } = this.#settings.notify;
    const program = findNotifySend(env);
    if (event === undefined || desktop === false || (desktop === undefined && !hasSessionBus(env))) return;
    if (program === undefined) {
      if (desktop) log.warn('nothing on the desktop', { reason: 'notify-send is not installed (libnotify-bin)' });
      return;
    }
    // Its own environment is the session's: it is the desktop's program, chosen by nobody in config.toml.
    const argv = notifySendArguments(program, event, others.length);
    const { failure, output } = await this.#desktop.run(argv, {
      env: hookEnvironment(event, env),
      timeoutMs: DEFAULT_TIMEOUT_MS,
    });
    if (failure === undefined) log.debug('shown on the desktop', { account: event.address });
    else log.warn('nothing on the desktop', { account: event.address, reason: `${failure} ${plain(output)}`.trim() });
  }

  async #sendMail([event, ...others]: readonly Event[], healthy: readonly Account[]): Promise<void> {
    const { tokens, log, now } = this.#options;
    const { notify: settings } = this.#settings;
    if (event === undefined || (settings.mail ?? false) === false) return;
    const post = { settings, healthy, tokens, hostname: hostname(), now: now(), others: others.length };
    const posted = await sendMail(event, post);
    if (typeof posted === 'string')
      log.error('the mail about it was not sent', { account: event.address, reason: posted });
    else log.info('a mail about it was sent', { account: event.address, from: posted.from, to: posted.to });
  }

  /** One run at a time, and one more for whatever recovers meanwhile. */
  async #flushQueue(): Promise<void> {
    this.#flushAgain = true;
    if (this.#flushing) return;
    this.#flushing = true;
    while (this.#flushAgain) {
      this.#flushAgain = false;
      await this.#flushOnce().catch((error: unknown) => this.#flushFailed(messageOf(error)));
    }
    this.#flushing = false;
  }

  async #flushOnce(): Promise<void> {
    const { env, uid, paths, log } = this.#options;
    const { flushQueue: wanted } = this.#settings.notify;
    if (!(wanted ?? (await readInstalled(paths)) !== undefined)) return;
    const exim = findExim4(env);
    const failure = await flushQueue(exim, { env, uid });
    if (failure === undefined) log.info('exim was told to try its queue again', { command: `${exim} -qff` });
    else this.#flushFailed(failure);
  }

  /** An ordinary user may not, where exim's configuration does not say so; nor anybody under NoNewPrivileges. */
  #flushFailed(reason: string): void {
    const fields = { reason: plain(reason), remedy: flushRemedy(reason) };
    this.#options.log.warn('exim was not told to try its queue again', fields);
  }

  async #recall(): Promise<Outages> {
    try {
      const told = await readOutages(this.#options.paths.outagesFile);
      this.#written = fingerprint(told);
      return told;
    } catch (error) {
      this.#options.log.warn('what was told before is not known', { reason: messageOf(error) });
      return new Map();
    }
  }

  async #remember(outages: Outages): Promise<void> {
    const now = fingerprint(outages);
    if (now === this.#written) return;
    try {
      await writeOutages(this.#options.paths.outagesFile, outages);
      this.#written = now;
    } catch (error) {
      this.#options.log.warn('a restart will tell it again', { reason: messageOf(error) });
    }
  }
}

/** What has to survive a restart; when a lasting outage was last seen changes with every look. */
function fingerprint(outages: Outages): string {
  return JSON.stringify([...outages].map(([address, outage]) => [address, { ...outage, seen: 0 }]));
}
