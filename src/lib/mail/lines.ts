import type { Socket } from 'node:net';

// RFC 2449 section 4 allows 512 octets a line; servers that explain themselves may need more, but none needs this much.
const LONGEST_LINE = 8192;

/** A socket as lines ended by LF or CRLF: one is asked for, one comes. */
export class Lines {
  readonly #socket: Socket;
  #pending = '';
  #failure: Error | undefined;
  #wake: (() => void) | undefined;
  readonly #onData = (chunk: Buffer): void => {
    this.#pending += chunk.toString('latin1');
    this.#wake?.();
  };
  readonly #onError = (error: Error): void => this.#fail(error);
  readonly #onClose = (): void => {
    this.#fail(Object.assign(new Error('the server closed the connection'), { code: 'ECONNRESET' }));
  };

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', this.#onData).on('error', this.#onError).on('close', this.#onClose);
  }

  write(line: string): void {
    this.#socket.write(`${line}\r\n`);
  }

  /** The next line without its end. Rejects with the socket's error, or when a line has no end. */
  async next(): Promise<string> {
    for (;;) {
      const end = this.#pending.indexOf('\n');
      if (end >= 0) return this.#take(end);
      if (this.#pending.length > LONGEST_LINE) throw new Error('the server sent a line without end');
      if (this.#failure !== undefined) throw this.#failure;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Lets go of the socket before it becomes a TLS connection; what came too early would have been injected. */
  release(): Socket {
    this.#socket.off('data', this.#onData).off('close', this.#onClose);
    if (this.#pending !== '') throw new Error('the server sent more than its answer before TLS began');
    return this.#socket;
  }

  #take(end: number): string {
    const line = this.#pending.slice(0, end).replace(/\r$/, '');
    this.#pending = this.#pending.slice(end + 1);
    return line;
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#wake?.();
  }
}
