/** Running programs that are not ours from the broker: no shell, no secrets, bounded in time, output and number. */
import { type ChildProcess, spawn } from 'node:child_process';
import { messageOf, systemErrorCode } from '../core/errors.ts';
import type { Environment } from '../os/paths.ts';

export interface Ended {
  /** The exit status; undefined when it was killed or could not be started. */
  status: number | undefined;
  /** What went wrong, or undefined after a status of 0. */
  failure: string | undefined;
  /** The beginning of what it wrote to stdout and stderr. */
  output: string;
}

export interface ChildOptions {
  env: Environment;
  timeoutMs: number;
  /** Refuses the program, by throwing, at the moment of its start. */
  judge?: (() => void) | undefined;
}

const MAX_OUTPUT_BYTES = 4096;

/** What a program needs to find a home, a desktop and `cms`; nothing that is, or leads straight to, a secret. */
const INHERITED = [
  ...['PATH', 'HOME', 'USER', 'LOGNAME', 'SHELL', 'TZ', 'LANG', 'LC_ALL', 'LC_CTYPE', 'LC_MESSAGES'],
  ...['XDG_RUNTIME_DIR', 'XDG_CONFIG_HOME', 'XDG_STATE_HOME', 'XDG_SESSION_TYPE', 'XDG_CURRENT_DESKTOP'],
  ...['DBUS_SESSION_BUS_ADDRESS', 'DISPLAY', 'WAYLAND_DISPLAY', 'XAUTHORITY'],
  ...['CMS_CONFIG_DIR', 'CMS_STATE_DIR', 'CMS_RUNTIME_DIR', 'CMS_SOCKET'],
];

export function inheritedEnvironment(env: Environment): Environment {
  return Object.fromEntries(INHERITED.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]])));
}

/** Programs under way, a few at once; the others wait for their turn. */
export class Children {
  readonly #atOnce: number;
  readonly #maxWaiting: number;
  readonly #running = new Set<ChildProcess>();
  readonly #waiting: (() => void)[] = [];
  #taken = 0;
  #closed = false;

  constructor({ atOnce = 4, maxWaiting = 256 } = {}) {
    this.#atOnce = atOnce;
    this.#maxWaiting = maxWaiting;
  }

  /** Runs the program to its end or its limit, at which it is killed with its whole process group. Never throws. */
  async run(argv: readonly string[], options: ChildOptions): Promise<Ended> {
    if (this.#waiting.length >= this.#maxWaiting) return failed('too many programs are waiting to be run');
    if (this.#taken >= this.#atOnce) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#taken++;
    try {
      return this.#closed ? failed('the broker is ending') : await this.#start(argv, options);
    } finally {
      const next = this.#waiting.shift();
      // The next one takes over the place.
      if (next === undefined) this.#taken--;
      else next();
    }
  }

  /** Starts nothing more and kills what runs. */
  close(): void {
    this.#closed = true;
    for (const child of this.#running) killGroup(child);
  }

  async #start([program = '', ...args]: readonly string[], options: ChildOptions): Promise<Ended> {
    const { env, timeoutMs, judge } = options;
    try {
      judge?.();
    } catch (error) {
      return failed(messageOf(error));
    }
    // Its own process group (detached), so that the limit is also that of its children.
    const child = start(program, args, env);
    if (child instanceof Error) return failed(reasonOf(child));
    this.#running.add(child);
    const output = collect(child);
    const limit = AbortSignal.timeout(timeoutMs);
    const kill = (): void => killGroup(child);
    limit.addEventListener('abort', kill);
    const { status, failure } = await ending(child);
    limit.removeEventListener('abort', kill);
    this.#running.delete(child);
    const late = limit.aborted ? `killed after ${timeoutMs / 1000} s` : failure;
    return { status, failure: late, output: output().toString('utf8') };
  }
}

function start(program: string, args: readonly string[], env: Environment): ChildProcess | Error {
  try {
    return spawn(program, args, { cwd: '/', env, shell: false, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

/** Until it is gone and no process holds its output any more; at the limit, what still does is let go. */
function ending(child: ChildProcess): Promise<Pick<Ended, 'status' | 'failure'>> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve({ status: undefined, failure: reasonOf(error) }));
    child.once('close', (status, signal) => {
      if (status === 0) resolve({ status, failure: undefined });
      else resolve({ status: status ?? undefined, failure: signal ?? `exit status ${status}` });
    });
  });
}

function collect(child: ChildProcess): () => Buffer {
  let output = Buffer.alloc(0);
  const add = (chunk: Buffer): void => {
    // What is too much is read and dropped: a full pipe would stop the program.
    output = Buffer.concat([output, chunk.subarray(0, MAX_OUTPUT_BYTES - output.length)]);
  };
  child.stdout?.on('data', add);
  child.stderr?.on('data', add);
  return () => output;
}

function killGroup(child: ChildProcess): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  } catch {
    // Gone already.
  }
  // A descendant that has left the group may hold the pipes for ever.
  child.stdout?.destroy();
  child.stderr?.destroy();
}

function failed(failure: string): Ended {
  return { status: undefined, failure, output: '' };
}

function reasonOf(error: Error): string {
  return `cannot be started: ${systemErrorCode(error) ?? error.message}`;
}
