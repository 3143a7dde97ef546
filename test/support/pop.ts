/** A POP3 server on loopback that lets people in and out: greeting, capabilities, AUTH or USER and PASS. Implicit TLS. */
import type { AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import { trustedCertificate } from './certificates.ts';
import type { ServerCertificate } from './certificates.ts';
import { acceptsPassword, judgeBearer, type MailboxAccess } from './mailbox-access.ts';

export interface PopOptions extends MailboxAccess {
  /** The scope that a token must have. Default mail.pop. */
  scope?: string;
  /** Default: the trusted one. */
  certificate?: ServerCertificate;
}

export async function startPop(options: PopOptions): Promise<PopServer> {
  const server = new PopServer(options, options.certificate ?? (await trustedCertificate()));
  await server.start();
  return server;
}

export class PopServer {
  readonly host = '127.0.0.1';
  readonly #options: PopOptions;
  readonly #server: Server;
  readonly #refusals = new Map<string, string>();

  constructor(options: PopOptions, { key, cert }: ServerCertificate) {
    this.#options = options;
    this.#server = createServer({ key, cert }, (socket) => {
      socket.on('error', () => socket.destroy());
      this.#serve(socket).catch(() => socket.destroy());
    });
    this.#server.on('tlsClientError', () => undefined);
  }

  get port(): number {
    return (this.#server.address() as AddressInfo | null)?.port ?? 0;
  }

  /** Answers every login of `user` with `reply`, say `-ERR [AUTH] …`; undefined ends that. */
  refuse(user: string, reply: string | undefined): void {
    if (reply === undefined) this.#refusals.delete(user);
    else this.#refusals.set(user, reply);
  }

  async start(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, this.host, resolve));
  }

  async stop(): Promise<void> {
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #serve(socket: TLSSocket): Promise<void> {
    const send = (line: string): void => {
      if (socket.writable) socket.write(`${line}\r\n`);
    };
    const lines = createInterface({ input: socket, crlfDelay: Infinity })[Symbol.asyncIterator]();
    const nextLine = async (): Promise<string | undefined> => {
      const { done, value } = await lines.next();
      return done === true ? undefined : value;
    };
    let user = '';
    send('+OK cms test POP ready');
    for (let line = await nextLine(); line !== undefined; line = await nextLine()) {
      const [command = '', ...rest] = line.split(' ');
      const argument = rest.join(' ');
      if (command === 'CAPA') send('+OK\r\nUSER\r\nSASL XOAUTH2\r\n.');
      else if (command === 'PASS') send(this.#password(user, argument));
      else if (command === 'QUIT') socket.end('+OK bye\r\n');
      else if (command === 'USER') {
        user = argument;
        send('+OK');
      } else if (command === 'AUTH') {
        send('+ ');
        send(await this.#token(Buffer.from((await nextLine()) ?? '', 'base64').toString()));
      } else send('-ERR unknown command');
    }
  }

  #password(user: string, password: string): string {
    const accepted = acceptsPassword(this.#options, user, password);
    return this.#refusals.get(user) ?? (accepted ? '+OK' : '-ERR [AUTH] Username and password not accepted.');
  }

  async #token(response: string): Promise<string> {
    const [, user = '', token = ''] = /^user=([^\x01]*)\x01auth=Bearer ([^\x01]*)\x01\x01$/.exec(response) ?? [];
    const verdict = await judgeBearer(this.#options, user, token, this.#options.scope ?? 'mail.pop');
    return this.#refusals.get(user) ?? (verdict === 'accepted' ? '+OK' : '-ERR [AUTH] Invalid credentials');
  }
}
