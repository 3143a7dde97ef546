/** What a row of the reliability matrix is, and the place where it runs: a provider, a home, a broker, all real. */
import { randomInt } from 'node:crypto';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import type { OAuthAccount } from '../../src/lib/accounts/account.ts';
import { openContext } from '../../src/lib/context.ts';
import { prepareVault, storeSignIn } from '../../src/lib/enrol/store-account.ts';
import { Secret } from '../../src/lib/core/secret.ts';
import type { KeyStore } from '../../src/lib/vault/key-source.ts';
import type { GrantRecord } from '../../src/lib/vault/grant.ts';
import { accountAt } from '../lib/tokens/signed-in.ts';
import { CMS_PROGRAM, type TemporaryHome, temporaryHome } from '../support/environment.ts';
import { type Environment, type Finished, run, type RunningProcess, start } from '../support/processes.ts';
import { type EmbeddedProvider, type ProviderOptions, startProvider } from '../support/provider.ts';
import { asRoot, type Requirement } from '../support/requirements.ts';
import { type Revealed, revealed } from '../support/secrets.ts';
import { obtainTokens } from '../support/tokens.ts';
import { type RawRequest, talk } from '../support/wire.ts';

export interface Scale {
  quick: boolean;
  soakMinutes: number;
  /** The size for this run. */
  pick<T>(quick: T, full: T): T;
  /** A bound in milliseconds; wide in a quick run, which shares the machine with everything else. */
  within(milliseconds: number): number;
}

/** What a row found. It holds if nothing is in `failures`. */
export interface Measured {
  figure: string;
  failures: readonly string[];
  /** What a reader of the table should know besides. */
  note?: string;
}

export interface Row {
  number: number;
  title: string;
  target: string;
  needs?: readonly Requirement[];
  /** Its figure is a time: nothing runs beside it. `full`: in a full run, that is; a quick one has wider bounds. */
  alone?: 'always' | 'full';
  run(scale: Scale): Promise<Measured>;
}

/** Collects what did not hold, so that a row reports all of it. */
export class Checks {
  readonly failures: string[] = [];

  that(holds: boolean, otherwise: string): void {
    if (!holds && this.failures.length < 20) this.failures.push(otherwise);
  }

  all(problems: readonly string[]): void {
    for (const problem of problems) this.that(false, problem);
  }

  measured(figure: string, note?: string): Measured {
    return { figure, failures: this.failures, ...(note !== undefined && { note }) };
  }
}

export const JANE = 'jane@example.org';

export interface SiteOptions {
  provider?: ProviderOptions;
  /** Default: JANE alone. */
  addresses?: readonly string[];
  /** Added to the environment of every `cms`. */
  env?: Environment;
  store?: KeyStore;
}

export interface ServeOptions {
  argv?: readonly string[];
  env?: Environment;
  /** Programs that start the next one, such as `prlimit --nofile=64:64`. */
  under?: readonly string[];
  logLevel?: string;
  timeoutMs?: number;
}

/** A provider, accounts signed in there, and a home for the broker. Everything in it ends with it. */
export class Site implements AsyncDisposable {
  readonly provider: EmbeddedProvider;
  readonly home: TemporaryHome;
  readonly env: Environment;
  readonly addresses: readonly string[];
  readonly #store: KeyStore;
  readonly #processes: RunningProcess[] = [];

  private constructor(provider: EmbeddedProvider, home: TemporaryHome, options: SiteOptions) {
    this.provider = provider;
    this.home = home;
    this.env = { ...home.env, ...options.env };
    this.addresses = options.addresses ?? [JANE];
    this.#store = options.store ?? 'file';
  }

  static async open(options: SiteOptions = {}): Promise<Site> {
    const [provider, home] = await Promise.all([startProvider(options.provider), temporaryHome()]);
    const site = new Site(provider, home, options);
    for (const address of site.addresses) await site.signIn(address);
    provider.clearRequests();
    return site;
  }

  get socket(): string {
    return join(this.home.runtimeDir, 'cms.sock');
  }

  get vaultDir(): string {
    return join(this.home.stateDir, 'vault');
  }

  /** Everything that processes of this site have said so far. */
  get logs(): string[] {
    return this.#processes.flatMap(({ stdout, stderr }) => [stdout, stderr]);
  }

  /** `age` in milliseconds lets the access token look older than it is; `client` leads to another server. */
  async signIn(address: string, { age = 0, client = {} }: SignInOptions = {}): Promise<void> {
    const context = openContext(this.env);
    await prepareVault(context, { store: this.#store, interactive: false });
    const { access_token, refresh_token, expires_in } = await obtainTokens(this.provider, address);
    const plain = accountAt(this.provider, address);
    const account = { ...plain, client: { ...plain.client, ...client } };
    const issued_at = Date.now() - age;
    await storeSignIn(context, account, {
      access_token: new Secret(access_token),
      refresh_token: new Secret(refresh_token),
      expires_in,
      issued_at,
      identity: address,
    });
  }

  /** Starts a broker and waits until it listens. */
  async serve(options: ServeOptions = {}): Promise<RunningProcess> {
    const { timeoutMs = 15_000 } = options;
    const broker = this.launch(options);
    await broker.waitFor(/listening socket=\S+cms\.sock/, { timeoutMs });
    return broker;
  }

  /** Starts a broker. */
  launch({ argv = [], env = {}, under = [], logLevel = 'debug' }: ServeOptions = {}): RunningProcess {
    const command = [...under, process.execPath, CMS_PROGRAM, 'serve', '--log-level', logLevel, ...argv];
    return this.spawn(command, { ...this.env, ...env });
  }

  /** Starts anything else that belongs to the site. */
  spawn([file = '', ...args]: readonly string[], env: Environment = this.env): RunningProcess {
    const child = start(file, args, { env });
    this.#processes.push(child);
    return child;
  }

  cms(...argv: string[]): Promise<Finished> {
    return run(process.execPath, [CMS_PROGRAM, ...argv], { env: this.env, timeoutMs: 60_000 });
  }

  ask(request: string, raw?: RawRequest): Promise<string> {
    return talk(this.socket, request, raw);
  }

  async status(): Promise<BrokerStatus> {
    return JSON.parse(await this.ask('STATUS')) as BrokerStatus;
  }

  /** What stands on the disk for one account. */
  async onDisk(address: string = JANE): Promise<Revealed<GrantRecord>> {
    const record = await openContext(this.env).vault.read(address);
    if (record === undefined) throw new Error(`nothing is stored for ${address}`);
    return revealed(record);
  }

  /** Has a token exchanged now. @returns the error's code, or undefined when it worked */
  async refresh(address: string = JANE): Promise<string | undefined> {
    const answer = JSON.parse((await this.ask(`REFRESH ${address}`)) || '{"error":"nothing"}') as { error?: string };
    return answer.error;
  }

  /** The state of one account, as the broker sees it. */
  async stateOf(address: string = JANE): Promise<string> {
    const { accounts } = await this.status();
    return accounts.find((account) => account.address === address)?.state ?? 'missing';
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#processes.map((child) => endNow(child)));
    await this.provider.stop();
    await this.home.remove();
  }
}

export interface SignInOptions {
  age?: number;
  client?: Partial<OAuthAccount['client']>;
}

export interface BrokerStatus {
  accounts: { address: string; state: string; reason?: string }[];
}

async function endNow(child: RunningProcess): Promise<void> {
  if (!child.running) return;
  child.kill('SIGCONT');
  child.kill('SIGKILL');
  await child.exited;
}

/** `kill -9`, and the wait until the process is gone. */
export async function killHard(child: RunningProcess): Promise<void> {
  child.kill('SIGKILL');
  await child.exited;
}

/** Makes the account's token look expired, by signing it in with one that was issued long ago. */
export async function expire(site: Site, address: string = JANE): Promise<void> {
  await site.signIn(address, { age: 24 * 3600 * 1000 });
  site.provider.clearRequests();
}

export interface ProcessFigures {
  rssMiB: number;
  /** Without the pages of files, which come and go as the kernel likes. */
  ownMiB: number;
  descriptors: number;
}

/** Memory and open descriptors of a process, from /proc. The broker hides its descriptors from all but root. */
export function figuresOf(pid: number): ProcessFigures {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const mib = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? 0) / 1024;
  const [command = '', ...args] = asRoot(['ls', `/proc/${pid}/fd`]);
  const { status: failed, stdout } = spawnSync(command, args, { encoding: 'utf8' });
  if (failed !== 0) throw new Error(`the descriptors of ${pid} cannot be counted: root, or sudo without a password`);
  return { rssMiB: mib('VmRSS'), ownMiB: mib('RssAnon'), descriptors: stdout.trim().split('\n').length };
}

/** Waits until `reached`, at most `timeoutMs`. @returns milliseconds waited, or undefined when the time was up */
export async function until(
  reached: () => boolean | Promise<boolean>,
  timeoutMs: number,
  pauseMs = 20,
): Promise<number | undefined> {
  const began = performance.now();
  while (!(await reached())) {
    if (performance.now() - began > timeoutMs) return undefined;
    await sleep(pauseMs);
  }
  return performance.now() - began;
}

/** The value below which `share` (0 … 1) of the values lie. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

export async function timed<T>(work: () => Promise<T>): Promise<{ value: T; ms: number }> {
  const began = performance.now();
  const value = await work();
  return { value, ms: performance.now() - began };
}

/** A pause of 0 … `most` milliseconds. */
export async function randomPause(most: number): Promise<void> {
  await sleep(randomInt(Math.max(1, Math.round(most * 1000))) / 1000);
}

export function xoauth2Of(address: string, token: string): string {
  return `user=${address}\x01auth=Bearer ${token}\x01\x01`;
}
