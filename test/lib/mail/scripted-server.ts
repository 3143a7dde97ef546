/** A line-based server that says what a script tells it to, so that answers of real providers can be played back. */
import { createServer as createPlainServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { createServer as createTlsServer } from 'node:tls';
import { TLSSocket } from 'node:tls';
import type { MailServer } from '../../../src/lib/accounts/account.ts';
import { trustedCertificate } from '../../support/certificates.ts';
import type { ServerCertificate } from '../../support/certificates.ts';
import assert from 'node:assert/strict';
import type { LoginFailure, LoginResult } from '../../../src/lib/mail/login.ts';

/** The answer to one line; undefined answers nothing, `STARTTLS` after the text begins TLS. */
export type Script = (line: string, secure: boolean) => string | { starttls: string } | undefined;

export class ScriptedServer {
  /** What clients said; `*` in front of what came without TLS. */
  readonly heard: string[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  constructor(
    server: (onSocket: (socket: Socket) => void) => Server,
    greeting: string | undefined,
    script: Script,
    certificate: ServerCertificate,
  ) {
    this.#server = server((socket) => {
      this.#converse(socket, greeting, script, certificate);
    });
  }

  static async start(
    greeting: string | undefined,
    script: Script,
    tls: MailServer['tls'] = 'implicit',
    certificate?: ServerCertificate,
  ): Promise<ScriptedServer> {
    const used = certificate ?? (await trustedCertificate());
    const listener = (onSocket: (socket: Socket) => void) =>
      tls === 'implicit' ? createTlsServer({ key: used.key, cert: used.cert }, onSocket) : createPlainServer(onSocket);
    const scripted = new ScriptedServer(listener, greeting, script, used);
    scripted.#server.on('tlsClientError', () => undefined);
    await new Promise<void>((resolve) => scripted.#server.listen(0, '127.0.0.1', resolve));
    return scripted;
  }

  server(tls: MailServer['tls'] = 'implicit'): MailServer {
    return { host: '127.0.0.1', port: (this.#server.address() as AddressInfo).port, tls };
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #converse(socket: Socket, greeting: string | undefined, script: Script, certificate: ServerCertificate): void {
    const secure = socket instanceof TLSSocket;
    this.#sockets.add(socket);
    socket.on('error', () => undefined);
    if (greeting !== undefined) socket.write(`${greeting}\r\n`);
    const lines = createInterface({ input: socket });
    lines.on('line', (line) => {
      this.heard.push(secure ? line : `*${line}`);
      const answer = script(line, secure);
      if (typeof answer === 'string') socket.write(`${answer}\r\n`);
      if (typeof answer !== 'object') return;
      lines.close();
      socket.removeAllListeners('data');
      socket.write(`${answer.starttls}\r\n`);
      const { key, cert } = certificate;
      this.#converse(new TLSSocket(socket, { isServer: true, key, cert }), undefined, script, certificate);
    });
  }
}

export function failure(result: LoginResult): LoginFailure {
  assert.ok(!result.ok, 'the login succeeded');
  return result;
}
