/** What has to be removed at the end, in reverse order, whatever happened in between. */

export class Cleanup {
  readonly #tasks: (() => Promise<unknown>)[] = [];
  #over = false;

  /** Runs `task` at the end, or immediately if the end has come already, so that nothing is left behind. */
  async add(task: () => Promise<unknown>): Promise<void> {
    if (this.#over) await task();
    else this.#tasks.push(task);
  }

  /** Does everything, also when some of it fails. @throws the first failure */
  async run(): Promise<void> {
    this.#over = true;
    const failures: unknown[] = [];
    for (let task = this.#tasks.pop(); task !== undefined; task = this.#tasks.pop()) {
      await task().catch((error: unknown) => failures.push(error));
    }
    if (failures.length > 0) throw failures[0];
  }
}

const EXIT_STATUS = { SIGHUP: 129, SIGINT: 130, SIGPIPE: 141, SIGTERM: 143 } as const;

export class Interrupted extends Error {
  readonly exitStatus: number;

  constructor(signal: keyof typeof EXIT_STATUS) {
    super(`stopped by ${signal}`);
    this.exitStatus = EXIT_STATUS[signal];
  }
}

/**
 * Rejects when the demo has to stop early: at a signal, when its output is closed, at an error that was not caught.
 * Later ones are ignored, so that they do not cut the cleaning short.
 */
export function interruption(): Promise<never> {
  const interrupted = new Promise<never>((_resolve, reject) => {
    for (const signal of ['SIGHUP', 'SIGINT', 'SIGTERM'] as const) {
      process.on(signal, () => reject(new Interrupted(signal)));
    }
    for (const stream of [process.stdout, process.stderr]) {
      stream.on('error', () => reject(new Interrupted('SIGPIPE')));
    }
    process.on('uncaughtException', reject);
    process.on('unhandledRejection', reject);
  });
  interrupted.catch(() => undefined);
  return interrupted;
}
