/** One key instead of an answer: what may be pressed while something else is waited for. */
import type { ReadStream } from 'node:tty';
import { columnsOf } from '../../lib/terminal/width.ts';

const TICK_MS = 250;
const FRAMES = ['|', '/', '-', '\\'];
const CTRL_C = '\x03';

export interface WaitOptions<T> {
  keys: Readonly<Record<string, { value: T; does: string }>>;
  input: ReadStream;
  output: NodeJS.WriteStream;
  /** `TERM` says whether a line can be written over. */
  term: string | undefined;
  /** Ctrl-C, which is a key like any other while the terminal is raw. */
  interrupt: () => void;
}

/**
 * Shows how long it has been and which keys there are, in one line that goes away again.
 * The terminal is as before when this settles, and when the process ends without it.
 * @throws the signal's reason
 */
export function waitForKey<T>(options: WaitOptions<T>, signal: AbortSignal): Promise<T> {
  const { keys, input, output, interrupt } = options;
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason as Error);
    const stopSpinning = spin(options);
    const end = (): void => {
      stopSpinning();
      input.off('data', pressed).setRawMode(false).pause();
      signal.removeEventListener('abort', aborted);
      process.off('exit', end);
    };
    const aborted = (): void => {
      end();
      reject(signal.reason as Error);
    };
    const pressed = (typed: Buffer): void => {
      for (const key of typed.toString('latin1').toLowerCase()) {
        if (key === CTRL_C) return interrupt();
        if (!Object.hasOwn(keys, key) || keys[key] === undefined) continue;
        end();
        return resolve(keys[key].value);
      }
    };
    process.once('exit', end);
    signal.addEventListener('abort', aborted, { once: true });
    input.setRawMode(true).on('data', pressed).resume();
  });

  function spin({ term }: WaitOptions<T>): () => void {
    const hints = Object.entries(keys).map(([key, { does }]) => `${key}: ${does}`);
    if (term === 'dumb') {
      output.write(`(${hints.join(', ')})\n`);
      return () => undefined;
    }
    const began = Date.now();
    let frame = 0;
    const draw = (): void => {
      const line = `${FRAMES[frame++ % FRAMES.length] ?? ''} ${elapsed(Date.now() - began)}  ${hints.join('  ')}`;
      output.write(`\r\x1b[K${line.slice(0, columnsOf(output) - 1)}`);
    };
    draw();
    const timer = setInterval(draw, TICK_MS);
    return () => {
      clearInterval(timer);
      output.write('\r\x1b[K');
    };
  }
}

/** `0:07`, `12:30` */
function elapsed(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
}
