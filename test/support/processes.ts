/** Real processes: started, watched, and ended by their id. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';

export type Environment = Record<string, string | undefined>;

export interface RunOptions {
  env?: Environment;
  cwd?: string;
  /** Written to stdin, which is then closed. Default: nothing. */
  input?: string;
  /** After this the process is killed and the call fails. Default 15000. */
  timeoutMs?: number;
  uid?: number;
  gid?: number;
}

export interface Exit {
  status: number | null;
  signal: NodeJS.Signals | null;
}

export interface Finished extends Exit {
  stdout: string;
  stderr: string;
}

/** Runs a program to its end, whatever its exit status. */
export async function run(file: string, args: readonly string[], options: RunOptions = {}): Promise<Finished> {
  const { input = '', timeoutMs = 15_000, ...rest } = options;
  const child = spawn(file, args, { stdio: 'pipe', ...rest });
  // A program that does not read its input may be gone before all of it is written.
  child.stdin.on('error', () => undefined).end(input);
  const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
  try {
    const [exit, stdout, stderr] = await Promise.all([exitOf(child), text(child.stdout), text(child.stderr)]);
    if (exit.signal !== 'SIGKILL' || !child.killed) return { ...exit, stdout, stderr };
    throw new Error(`${describe(file, args)} took longer than ${timeoutMs} ms\n${stdout}\n${stderr}`);
  } finally {
    clearTimeout(timer);
  }
}

export interface StartOptions extends Omit<RunOptions, 'input' | 'timeoutMs'> {
  /** Written to stdin at once; stdin stays open unless `closeInput`. */
  input?: string;
  closeInput?: boolean;
}

/** Starts a program that goes on. End it with `stop()`. */
export function start(file: string, args: readonly string[], options: StartOptions = {}): RunningProcess {
  const { input = '', closeInput = false, ...rest } = options;
  const child = spawn(file, args, { stdio: 'pipe', ...rest });
  child.stdin.on('error', () => undefined);
  if (input !== '') child.stdin.write(input);
  if (closeInput) child.stdin.end();
  return new RunningProcess(child, describe(file, args));
}

export class RunningProcess {
  stdout = '';
  stderr = '';
  readonly exited: Promise<Exit>;
  readonly #child: ChildProcess;
  readonly #name: string;
  #ended = false;
  #wake: (() => void)[] = [];

  constructor(child: ChildProcess, name: string) {
    this.#child = child;
    this.#name = name;
    child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      this.stdout += chunk;
      this.#notify();
    });
    child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
      this.stderr += chunk;
      this.#notify();
    });
    this.exited = exitOf(child).finally(() => {
      this.#ended = true;
      this.#notify();
    });
    // Whoever asks for `exited` hears of a failure to start; nobody has to ask.
    this.exited.catch(() => undefined);
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  get running(): boolean {
    return !this.#ended;
  }

  /** Waits until stdout or stderr, or only the one that is named, has text that matches. */
  async waitFor(
    pattern: RegExp,
    { stream, timeoutMs = 10_000 }: { stream?: 'stdout' | 'stderr'; timeoutMs?: number } = {},
  ): Promise<RegExpExecArray> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const texts = stream === undefined ? [this.stdout, this.stderr] : [this[stream]];
      const match = texts.map((said) => pattern.exec(said)).find((found) => found !== null);
      if (match) return match;
      if (this.#ended) throw new Error(`${this.#name} ended without ${String(pattern)}\n${this.#said()}`);
      const left = deadline - Date.now();
      if (left <= 0) throw new Error(`${this.#name}: no ${String(pattern)} in ${timeoutMs} ms\n${this.#said()}`);
      await this.#news(left);
    }
  }

  write(input: string): void {
    this.#child.stdin?.write(input);
  }

  closeInput(): void {
    this.#child.stdin?.end();
  }

  kill(signal: NodeJS.Signals = 'SIGTERM'): void {
    this.#child.kill(signal);
  }

  /** SIGTERM, and SIGKILL where that has not helped in time. */
  async stop(timeoutMs = 5000): Promise<Finished> {
    if (this.running) this.kill();
    const timer = setTimeout(() => this.kill('SIGKILL'), timeoutMs);
    try {
      const exit = await this.exited;
      return { ...exit, stdout: this.stdout, stderr: this.stderr };
    } finally {
      clearTimeout(timer);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #said(): string {
    return `stdout: ${this.stdout}\nstderr: ${this.stderr}`;
  }

  #notify(): void {
    const waiting = this.#wake;
    this.#wake = [];
    for (const wake of waiting) wake();
  }

  async #news(timeoutMs: number): Promise<void> {
    const over = new AbortController();
    const heard = new Promise<void>((resolve) => this.#wake.push(resolve));
    await Promise.race([heard, sleep(timeoutMs, undefined, { signal: over.signal }).catch(() => undefined)]);
    over.abort();
  }
}

/** Settles once the process is gone and its output has been read. */
function exitOf(child: ChildProcess): Promise<Exit> {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status, signal) => resolve({ status, signal }));
  });
}

function describe(file: string, args: readonly string[]): string {
  return [file, ...args].join(' ');
}
