/**
 * Looking again and again. A terminal shows it on its alternate screen, which takes nothing from what was there before,
 * and keeps the last look; anything else gets one look after the other.
 */
import { setTimeout as sleep } from 'node:timers/promises';

const ENTER = '\x1b[?1049h\x1b[?25l';
const LEAVE = '\x1b[?25h\x1b[?1049l';
const HOME = '\x1b[H';
const ERASE_LINE = '\x1b[K';
const ERASE_BELOW = '\x1b[J';

/** The part of a terminal stream that is used. */
export interface Output {
  write(text: string): unknown;
  on(event: 'resize', listener: () => void): unknown;
  off(event: 'resize', listener: () => void): unknown;
}

export interface WatchOptions {
  /** What is to be seen now. */
  look: () => Promise<string>;
  output: Output;
  /** Rows of the terminal now; undefined where it is none. */
  rows: () => number | undefined;
  intervalMs: number;
  /** What stands between one look and the next where there is no terminal. */
  separator: string;
  /** The end, and no failure. */
  signal: AbortSignal;
}

/** A terminal that is taken over for as long as the user watches. */
export class Display {
  readonly #output: Output;

  constructor(output: Output) {
    this.#output = output;
  }

  enter(): void {
    this.#output.write(ENTER);
  }

  /** Also after a stop in between (Ctrl-Z): the cursor is there again. */
  leave(): void {
    this.#output.write(LEAVE);
  }

  /** In place: a line is overwritten before the rest of it is erased, so that nothing flickers. */
  show(text: string, rows: number): void {
    const lines = cut(text, rows).map((line) => `${line}${ERASE_LINE}`);
    this.#output.write(`${HOME}${lines.join('\n')}${ERASE_BELOW}`);
  }
}

/** As many lines as there are rows; the last one says how many more there were. */
export function cut(text: string, rows: number): string[] {
  const lines = text.trimEnd().split('\n');
  if (lines.length <= rows) return lines;
  return [...lines.slice(0, rows - 1), `… ${lines.length - rows + 1} more lines`];
}

/** Looks until `signal` says that it is enough. @throws whatever `look` throws */
export async function watch(options: WatchOptions, display = new Display(options.output)): Promise<void> {
  if (options.rows() === undefined) return printAgainAndAgain(options);
  let last = '';
  display.enter();
  try {
    for await (const text of looks(options)) {
      last = text;
      display.show(text, options.rows() ?? 24);
    }
  } finally {
    display.leave();
    options.output.write(last);
  }
}

async function printAgainAndAgain(options: WatchOptions): Promise<void> {
  let first = true;
  for await (const text of looks(options)) {
    options.output.write(first ? text : options.separator + text);
    first = false;
  }
}

async function* looks({ look, output, intervalMs, signal }: WatchOptions): AsyncGenerator<string> {
  while (!signal.aborted) {
    yield await look();
    await pause(output, intervalMs, signal);
  }
}

/** Until it is time, the terminal has another size, or it is enough. */
async function pause(output: Output, milliseconds: number, signal: AbortSignal): Promise<void> {
  const resized = new AbortController();
  const listener = (): void => resized.abort();
  output.on('resize', listener);
  try {
    await sleep(milliseconds, undefined, { signal: AbortSignal.any([signal, resized.signal]) });
  } catch {
    // Cut short: the caller finds out why.
  } finally {
    output.off('resize', listener);
  }
}
