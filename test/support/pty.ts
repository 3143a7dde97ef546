/** A program in a real pseudo-terminal, and the person who types. */
import { setTimeout as sleep } from 'node:timers/promises';
import { stripVTControlCharacters } from 'node:util';
import { spawn } from '@lydell/node-pty';
import type { IPty } from '@lydell/node-pty';
import type { Environment } from './processes.ts';

const KEYS = {
  enter: '\r',
  tab: '\t',
  space: ' ',
  backspace: '\x7f',
  escape: '\x1b',
  up: '\x1b[A',
  down: '\x1b[B',
  right: '\x1b[C',
  left: '\x1b[D',
  'ctrl-c': '\x03',
  'ctrl-d': '\x04',
} as const;

export type Key = keyof typeof KEYS;

export interface TerminalOptions {
  env: Environment;
  cwd?: string;
  /** Default 80 by 24. */
  cols?: number;
  rows?: number;
}

export interface TerminalExit {
  status: number;
  signal: number | undefined;
}

export function runInTerminal(file: string, args: readonly string[], options: TerminalOptions): Terminal {
  const { env, cwd = process.cwd(), cols = 80, rows = 24 } = options;
  // node-pty would hand undefined on as a word.
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined));
  return new Terminal(spawn(file, [...args], { name: 'xterm-256color', env: given, cwd, cols, rows }));
}

const POLL_MS = 20;

export class Terminal {
  readonly exited: Promise<TerminalExit>;
  readonly #pty: IPty;
  #output = '';
  #seen = 0;
  #ended = false;

  constructor(pty: IPty) {
    this.#pty = pty;
    pty.onData((chunk) => (this.#output += chunk));
    this.exited = new Promise((resolve) => {
      pty.onExit(({ exitCode, signal }) => {
        this.#ended = true;
        // node-pty says 0 where no signal ended it.
        resolve({ status: exitCode, signal: signal === 0 ? undefined : signal });
      });
    });
  }

  get pid(): number {
    return this.#pty.pid;
  }

  /** Everything written so far, escape sequences taken out; what was overwritten is still there. */
  get screen(): string {
    return stripVTControlCharacters(this.#output).replace(/\r+\n/g, '\n');
  }

  /** Everything written so far, byte for byte. */
  get output(): string {
    return this.#output;
  }

  /** Waits for text that has come since the last successful wait. */
  async waitFor(pattern: RegExp, timeoutMs = 10_000): Promise<RegExpExecArray> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const ended = this.#ended;
      const match = pattern.exec(this.screen.slice(this.#seen));
      if (match !== null) {
        this.#seen += match.index + match[0].length;
        return match;
      }
      if (ended) throw new Error(`the program ended without ${String(pattern)}\n${this.screen}`);
      if (Date.now() > deadline) throw new Error(`no ${String(pattern)} in ${timeoutMs} ms\n${this.screen}`);
      await sleep(POLL_MS);
    }
  }

  type(text: string): void {
    this.#pty.write(text);
  }

  press(...keys: Key[]): void {
    for (const key of keys) this.#pty.write(KEYS[key]);
  }

  resize(cols: number, rows: number): void {
    this.#pty.resize(cols, rows);
  }

  kill(signal: NodeJS.Signals = 'SIGTERM'): void {
    if (!this.#ended) this.#pty.kill(signal);
  }

  /** Closes the terminal, as somebody does who closes its window. */
  close(): void {
    // Not in its types.
    (this.#pty as IPty & { destroy: () => void }).destroy();
  }

  /** Waits for the end; kills what has not ended in time, which is then a failure. */
  async wait(timeoutMs = 10_000): Promise<TerminalExit> {
    const over = new AbortController();
    const late = sleep(timeoutMs, 'late' as const, { signal: over.signal }).catch(() => 'late' as const);
    const exit = await Promise.race([this.exited, late]);
    over.abort();
    if (exit !== 'late') return exit;
    this.kill('SIGKILL');
    throw new Error(`the program did not end in ${timeoutMs} ms\n${this.screen}`);
  }

  async stop(): Promise<void> {
    this.kill('SIGHUP');
    await this.wait(2000).catch(() => undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}
