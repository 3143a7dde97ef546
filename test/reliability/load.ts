/** Load from processes of their own, so that the one that measures is not the one that is slow. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const WORKER = fileURLToPath(new URL('load-worker.mjs', import.meta.url));

export interface Tally {
  right: number;
  wrong: number;
  latencies: number[];
  totalMs: number;
}

interface RateTally extends Tally {
  examples: string[];
}

interface FuzzFacts {
  addresses: readonly string[];
  /** Those that have the token. */
  known: readonly string[];
  token: string;
}

interface Jobs {
  open: { job: { path: string; connections: number }; result: { opened: number; failed: number } };
  fire: { job: { request: string; expected: string; timeoutMs?: number }; result: Tally };
  release: { job: object; result: { open: number; closedAfterMs: number[] } };
  loop: { job: { path: string; request: string; expected: string; total: number; concurrency: number }; result: Tally };
  rate: {
    job: { path: string; request: string; pattern: string; perSecond: number; seconds: number };
    result: RateTally;
  };
  fuzz: {
    job: { path: string; seed: number; total: number; concurrency: number; facts: FuzzFacts };
    result: { answered: number; wrong: string[]; totalMs: number };
  };
  vanish: { job: { path: string; request: string; total: number; concurrency: number }; result: { total: number } };
}

export class LoadProcess implements AsyncDisposable {
  readonly #child: ChildProcess;

  constructor() {
    this.#child = fork(WORKER, [], { execArgv: [], stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  }

  async do<Kind extends keyof Jobs>(kind: Kind, job: Jobs[Kind]['job']): Promise<Jobs[Kind]['result']> {
    const answered = once(this.#child, 'message') as Promise<[{ result?: Jobs[Kind]['result']; error?: string }]>;
    const ended = once(this.#child, 'exit').then(() => [{ error: 'the load process ended' }] as const);
    this.#child.send({ kind, ...job });
    const [{ result, error }] = (await Promise.race([answered, ended])) as Awaited<typeof answered>;
    if (result === undefined) throw new Error(error);
    return result;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null) return;
    const gone = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await gone;
  }
}

/** The tallies of several processes as one. */
export function together(tallies: readonly Tally[]): Tally {
  return {
    right: tallies.reduce((sum, { right }) => sum + right, 0),
    wrong: tallies.reduce((sum, { wrong }) => sum + wrong, 0),
    latencies: tallies.flatMap(({ latencies }) => latencies),
    totalMs: Math.max(...tallies.map(({ totalMs }) => totalMs)),
  };
}
