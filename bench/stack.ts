/** What a suite has opened; ended with it, the newest first. (Node 20 has no AsyncDisposableStack.) */
export class Stack implements AsyncDisposable {
  readonly #opened: AsyncDisposable[] = [];

  use<T extends AsyncDisposable>(opened: T): T {
    this.#opened.push(opened);
    return opened;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (let next = this.#opened.pop(); next !== undefined; next = this.#opened.pop())
      await next[Symbol.asyncDispose]();
  }
}
