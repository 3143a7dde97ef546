/** A socket that answers whatever a test puts there, for what the real broker never says. */
import { chmod, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { once } from 'node:events';

export class StubBroker {
  /** By request line; nothing is answered to any other. */
  readonly answers = new Map<string, string>();
  readonly requests: string[] = [];
  readonly #path: string;
  #server: Server | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  async start(): Promise<void> {
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      let request = '';
      socket.setEncoding('utf8');
      socket.on('error', () => undefined);
      socket.on('data', (chunk: string) => (request += chunk));
      socket.on('end', () => {
        this.requests.push(request.trim());
        socket.end(this.answers.get(request.trim()) ?? '');
      });
    });
    server.listen(this.#path);
    await once(server, 'listening');
    await chmod(this.#path, 0o660);
    this.#server = server;
  }

  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    server.close();
    await once(server, 'close');
    await rm(this.#path, { force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}
