/** Programs that note how they were called, for those who run programs of others. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

interface Call {
  arguments: string[];
  environment: Record<string, string>;
}

export interface Recorder {
  program: string;
  /** All calls so far, in order. */
  calls: () => Promise<Call[]>;
  /** Waits until there are so many. */
  waitFor: (count: number, timeoutMs?: number) => Promise<Call[]>;
}

/** Writes a program that only its owner may write to. `then` is what it does after it has noted its call, in sh. */
export async function recorder(folder: string, name: string, then = ''): Promise<Recorder> {
  const program = join(folder, name);
  const log = `${program}.calls`;
  const note = `{ printf '%s\\0' "$@"; printf '\\1'; env -0; printf '\\2'; } > "$0.$$" && cat "$0.$$" >> '${log}'`;
  await writeFile(program, `#!/bin/sh\n${note}\nrm "$0.$$"\n${then}\n`, { mode: 0o700 });
  const calls = async (): Promise<Call[]> => {
    const text = await readFile(log, 'utf8').catch(() => '');
    return text.split('\x02').slice(0, -1).map(parse);
  };
  const waitFor = async (count: number, timeoutMs = 10_000): Promise<Call[]> => {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const all = await calls();
      if (all.length >= count) return all;
      if (Date.now() > deadline) throw new Error(`${name}: ${all.length} of ${count} calls in ${timeoutMs} ms`);
      await sleep(50);
    }
  };
  return { program, calls, waitFor };
}

function parse(text: string): Call {
  const [words = '', variables = ''] = text.split('\x01');
  const pairs = variables.split('\0').filter(Boolean);
  return {
    // printf without arguments prints its format once.
    arguments: words === '\0' ? [] : words.split('\0').slice(0, -1),
    environment: Object.fromEntries(pairs.map((pair) => [pair.replace(/=[^]*/, ''), pair.replace(/^[^=]*=/, '')])),
  };
}
