/** Starts programs for the demo, and sees to it that none outlives it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type Environment, type Finished, type RunningProcess, start } from '../test/support/processes.ts';
import type { Cleanup } from './cleanup.ts';

export interface Runner {
  /** Runs a program to its end. @throws Error with what it said, unless it succeeds */
  run: (argv: readonly string[], input?: string) => Promise<Finished>;
  /** The same with the terminal left to the program. */
  runInForeground: (argv: readonly string[]) => Promise<void>;
  start: (argv: readonly string[]) => Promise<RunningProcess>;
}

const LONGEST_MS = 60_000;

/** `env` is the whole environment of the programs. */
export function createRunner(env: Environment, cleanup: Cleanup): Runner {
  const launch = async ([file = '', ...args]: readonly string[], input?: string): Promise<RunningProcess> => {
    const child = start(file, args, { env, ...(input !== undefined && { input, closeInput: true }) });
    await cleanup.add(() => child.stop());
    return child;
  };
  return {
    start: (argv) => launch(argv),
    run: async (argv, input = '') => {
      const child = await launch(argv, input);
      const timer = setTimeout(() => child.kill('SIGKILL'), LONGEST_MS);
      const exit = await child.exited.finally(() => clearTimeout(timer));
      const finished = { ...exit, stdout: child.stdout, stderr: child.stderr };
      if (exit.status !== 0) throw failed(argv, exit.status, `${child.stderr}${child.stdout}`);
      return finished;
    },
    runInForeground: async (argv) => {
      const [file = '', ...args] = argv;
      const child = spawn(file, args, { env, stdio: 'inherit' });
      const closed = once(child, 'close');
      await cleanup.add(async () => {
        if (child.kill()) await closed;
      });
      await closed;
      if (child.exitCode !== 0) throw failed(argv, child.exitCode, '');
    },
  };
}

function failed(argv: readonly string[], status: number | null, said: string): Error {
  return new Error(`${argv.join(' ')} ended with ${status ?? 'a signal'}\n${said}`.trim());
}
