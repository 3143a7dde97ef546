/**
 * Work that never overlaps itself. A call while it is under way gets the next run, which it shares with all others that
 * come before that begins: no outcome is older than the question.
 */
export class Series<T> {
  readonly #work: () => Promise<T>;
  #last: Promise<unknown> = Promise.resolve();
  #next: Promise<T> | undefined;

  constructor(work: () => Promise<T>) {
    this.#work = work;
  }

  /** The outcome of a run that begins after this call. */
  next(): Promise<T> {
    if (this.#next !== undefined) return this.#next;
    const next = this.#last.then(() => {
      this.#next = undefined;
      return this.#work();
    });
    this.#next = next;
    this.#last = next.catch(() => undefined);
    return next;
  }

  /** Resolves when no run is under way or asked for. Never rejects. */
  async settled(): Promise<void> {
    const last = this.#last;
    await last;
    if (last !== this.#last) await this.settled();
  }
}
