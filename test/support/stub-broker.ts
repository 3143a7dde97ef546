/** What exim sees of a broker, with answers that a test chooses. */
import { chmod, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { once } from 'node:events';

/** `ready`: what the broker answers to that; empty when a token can be had. */
export interface StubAccount {
  user?: string;
  token?: string;
  password?: string;
  ready?: string;
}

export class StubBroker {
  readonly requests: string[] = [];
  /** By address. */
  readonly accounts = new Map<string, StubAccount>();
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
        socket.end(this.#answer(request.trim()));
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

  #answer(request: string): string {
    const [verb = '', address = ''] = request.split(' ');
    const options = verb.split(',').slice(1);
    const account = this.accounts.get(address);
    if (options.includes('refused')) return '';
    if (options.includes('ready')) return account === undefined ? `no account ${address}` : (account.ready ?? '');
    if (options.includes('password')) return account?.password ?? '';
    if (account?.token === undefined || (account.ready ?? '') !== '') return '';
    return `user=${account.user ?? address}\x01auth=Bearer ${account.token}\x01\x01`;
  }
}
