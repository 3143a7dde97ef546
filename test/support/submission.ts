/**
 * A mail submission server on loopback: TLS first, then AUTH, then mail. Bearer tokens are judged by the provider's
 * introspection, refusals look like those of Gmail unless a test asks for others.
 */
import { EventEmitter, once } from 'node:events';
import type { Socket } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { SMTPServer } from 'smtp-server';
import type { SMTPServerAuthentication, SMTPServerOptions, SMTPServerSession } from 'smtp-server';
import { SMTPConnection } from 'smtp-server/lib/smtp-connection.js';
import { trustedCertificate } from './certificates.ts';
import type { ServerCertificate } from './certificates.ts';
import { parseOauthbearer } from './sasl.ts';
import { base64, xoauth2 } from '../../src/lib/core/sasl.ts';
import { acceptsPassword, judgeBearer } from './mailbox-access.ts';
import type { Authentication, MailboxAccess } from './mailbox-access.ts';

export interface SubmissionOptions extends MailboxAccess {
  /** Default starttls. */
  tls?: 'starttls' | 'implicit';
  /** Default: the trusted one. */
  certificate?: ServerCertificate;
  /** In the order of the EHLO answer. Default XOAUTH2, PLAIN, LOGIN. */
  mechanisms?: readonly string[];
  /** Bytes; announced in the EHLO answer. */
  size?: number;
  /** An AUTH command line of more bytes is answered with 555, as by Gmail. Default: no limit. */
  longestAuthLine?: number;
  /** The scope that a token must have. Default mail.smtp. */
  scope?: string;
}

export interface ReceivedMessage {
  /** Who authenticated, and how. */
  user: string;
  mechanism: string;
  from: string;
  to: string[];
  /** By name in lower case; of repeated headers the first. */
  headers: Map<string, string>;
  body: string;
  raw: string;
}

export interface SubmissionAuthentication extends Authentication {
  /** Whether the credentials stood in the AUTH command itself. */
  initialResponse: boolean;
}

/** The challenge that Gmail sends before it refuses. */
const CHALLENGE = { status: '401', schemes: 'bearer mac', scope: 'https://mail.google.com/' };
const GMAIL_REFUSAL = [
  '5.7.8 Username and Password not accepted. For more information, go to',
  '5.7.8  https://support.google.com/mail/?p=BadCredentials - gsmtp',
];

/** What Microsoft's High Volume Email says to a token in its last minutes. */
const EXPIRES_SOON = '501 5.5.127 Invalid XOAUTH2 auth data - Token will expire soon';

export async function startSubmission(options: SubmissionOptions): Promise<SubmissionServer> {
  const certificate = options.certificate ?? (await trustedCertificate());
  const submission = new SubmissionServer(options, certificate);
  await submission.start();
  return submission;
}

export class SubmissionServer {
  readonly host = '127.0.0.1';
  readonly messages: ReceivedMessage[] = [];
  readonly authentications: SubmissionAuthentication[] = [];
  /** Connections accepted so far. */
  connections = 0;
  readonly certificate: ServerCertificate;
  readonly #options: SubmissionOptions;
  readonly #refusals = new Map<string, string>();
  #messageRefusal: string | undefined;
  readonly #senderRefusals = new Map<string, string>();
  readonly #mechanisms = new Map<string, string>();
  readonly #server: Server;
  readonly #news = new EventEmitter();

  constructor(options: SubmissionOptions, certificate: ServerCertificate) {
    this.#options = options;
    this.certificate = certificate;
    this.#server = new Server(this.#serverOptions(), options.longestAuthLine ?? Infinity);
    // A client that breaks off, or that does not trust the certificate, is no failure of the server.
    this.#server.on('error', () => undefined);
  }

  get port(): number {
    const address = this.#server.server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  /** The file to trust for this server's certificate. */
  get caFile(): string {
    return this.certificate.caFile;
  }

  /**
   * Answers every AUTH of `user` with `reply`, say `535 5.7.139 Authentication unsuccessful, …` or `454 4.7.0 …`;
   * undefined ends that. `*` stands for every user.
   */
  refuse(user: string, reply: string | undefined): void {
    if (reply === undefined) this.#refusals.delete(user);
    else this.#refusals.set(user, reply);
  }

  /** Offers these mechanisms from now on. */
  offer(...mechanisms: string[]): void {
    this.#server.options.authMethods = mechanisms;
  }

  /** Answers every message, once it is there, with `reply`; undefined ends that. */
  refuseMessages(reply: string | undefined): void {
    this.#messageRefusal = reply;
  }

  /** Answers every MAIL FROM of `sender` with `reply`; the empty one is that of bounces. Undefined ends that. */
  refuseSender(sender: string, reply: string | undefined): void {
    if (reply === undefined) this.#senderRefusals.delete(sender);
    else this.#senderRefusals.set(sender, reply);
  }

  /** Waits until `count` messages have come in all. */
  async waitForMessages(count = 1, timeoutMs = 10_000): Promise<ReceivedMessage[]> {
    const signal = AbortSignal.timeout(timeoutMs);
    while (this.messages.length < count) {
      await once(this.#news, 'message', { signal }).catch((cause: unknown) => {
        throw new Error(`${this.messages.length} of ${count} messages after ${timeoutMs} ms`, { cause });
      });
    }
    return this.messages;
  }

  async start(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, this.host, resolve));
  }

  async stop(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.close(resolve));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #serverOptions(): SMTPServerOptions {
    const { tls = 'starttls', mechanisms = ['XOAUTH2', 'PLAIN', 'LOGIN'], size } = this.#options;
    return {
      name: 'localhost',
      banner: 'cms test submission',
      secure: tls === 'implicit',
      key: this.certificate.key,
      cert: this.certificate.cert,
      authMethods: [...mechanisms],
      disableReverseLookup: true,
      logger: false,
      closeTimeout: 50,
      ...(size === undefined ? {} : { size }),
      onConnect: (_session, callback) => {
        this.connections += 1;
        callback();
      },
      onAuth: (authentication, session, callback) => {
        this.#judge(authentication, session).then((refusal) => {
          if (refusal === undefined) callback(null, { user: authentication.username });
          else if (typeof refusal === 'string') callback(asError(refusal));
          else callback(null, { data: refusal });
        }, callback);
      },
      onMailFrom: ({ address }, _session, callback) => {
        const refusal = this.#senderRefusals.get(address);
        callback(refusal === undefined ? null : asError(refusal));
      },
      onData: (stream, session, callback) => {
        buffer(stream).then((bytes) => {
          if (this.#messageRefusal !== undefined) {
            callback(asError(this.#messageRefusal));
            return;
          }
          this.#receive(bytes.toString(), session);
          callback(null, 'OK queued');
        }, callback);
      },
    };
  }

  /** @returns undefined when accepted, else the reply */
  async #judge(authentication: SMTPServerAuthentication, session: SMTPServerSession) {
    const user = authentication.username ?? '';
    const asked = this.#refusals.get(user) ?? this.#refusals.get('*');
    const verdict = asked ?? (await this.#verdict(authentication, user));
    const accepted = verdict === 'accepted';
    const initialResponse = this.#server.withInitialResponse.has(session);
    const mechanism = this.#server.byOauthbearer.has(session) ? 'OAUTHBEARER' : authentication.method;
    this.authentications.push({ user, mechanism, accepted, verdict, initialResponse });
    if (accepted) this.#mechanisms.set(session.id, mechanism);
    if (accepted) return undefined;
    if (asked !== undefined) return asked;
    if (verdict === 'expires_soon') return EXPIRES_SOON;
    return authentication.method === 'XOAUTH2' ? CHALLENGE : `535 ${GMAIL_REFUSAL[0] ?? ''}`;
  }

  async #verdict(authentication: SMTPServerAuthentication, user: string): Promise<string> {
    const { accessToken, password, method } = authentication;
    if (method === 'XOAUTH2') {
      return judgeBearer(this.#options, user, accessToken ?? '', this.#options.scope ?? 'mail.smtp');
    }
    return acceptsPassword(this.#options, user, password ?? '') ? 'accepted' : 'invalid_password';
  }

  #receive(raw: string, session: SMTPServerSession): void {
    const { mailFrom, rcptTo } = session.envelope;
    const [head = '', ...rest] = raw.split(/\r?\n\r?\n/);
    this.messages.push({
      user: String(session.user),
      mechanism: this.#mechanisms.get(session.id) ?? '',
      from: mailFrom === false ? '' : mailFrom.address,
      to: rcptTo.map(({ address }) => address),
      headers: parseHeaders(head),
      body: rest.join('\n\n'),
      raw,
    });
    this.#news.emit('message');
  }
}

/** The library's server with connections that refuse as Gmail does. */
class Server extends SMTPServer {
  /** Sessions whose last AUTH command carried the credentials. */
  readonly withInitialResponse = new WeakSet<SMTPServerSession>();
  /** Sessions whose token came by OAUTHBEARER, which the library does not know. */
  readonly byOauthbearer = new WeakSet<SMTPServerSession>();
  readonly longestAuthLine: number;

  constructor(options: SMTPServerOptions, longestAuthLine: number) {
    super(options);
    this.longestAuthLine = longestAuthLine;
  }

  override connect(socket: Socket, options?: ConstructorParameters<typeof SMTPConnection>[2]): void {
    const connection = new Connection(this, socket, options);
    this.connections.add(connection);
    connection.on('error', (error: Error) => this._onError(error));
    connection.on('connect', (data: ConnectionInfo) => this._onClientConnect(data));
    connection.init();
  }
}

type ConnectionInfo = Parameters<SMTPServer['_onClientConnect']>[0];

class Connection extends SMTPConnection {
  readonly #submission: Server;

  constructor(server: Server, socket: Socket, options?: ConstructorParameters<typeof SMTPConnection>[2]) {
    super(server, socket, options);
    this.#submission = server;
  }

  override send(code: number, data?: string | string[], context?: string | false): void {
    // The library's own words after the client has answered the challenge.
    const refused = code === 535 && data === 'Error: Username and Password not accepted';
    super.send(code, refused ? GMAIL_REFUSAL : data, context);
  }

  override handler_AUTH(command: Buffer, callback: () => void): void {
    const { longestAuthLine, withInitialResponse, byOauthbearer } = this.#submission;
    byOauthbearer.delete(this.session);
    if (command.toString().trim() === 'AUTH OAUTHBEARER' && this.#offers('OAUTHBEARER')) {
      this._nextHandler = (line, done) => this.#takeOauthbearer(line, done);
      this.send(334);
      callback();
      return;
    }
    const [, initial] = /^AUTH OAUTHBEARER (\S+)$/.exec(command.toString().trim()) ?? [];
    if (initial !== undefined && command.length <= longestAuthLine && this.#offers('OAUTHBEARER')) {
      withInitialResponse.add(this.session);
      this.#takeOauthbearer(Buffer.from(initial), callback);
      return;
    }
    if (command.length > longestAuthLine) {
      this.send(555, '5.5.2 Syntax error, command line too long');
      callback();
      return;
    }
    if (command.toString().trim().split(/\s+/).length > 2) withInitialResponse.add(this.session);
    else withInitialResponse.delete(this.session);
    super.handler_AUTH(command, callback);
  }

  #offers(mechanism: string): boolean {
    return this.#submission.options.authMethods.includes(mechanism);
  }

  /** As what the library knows; which must be exact to the last byte. @see RFC 7628 section 3.1 */
  #takeOauthbearer(line: Buffer, callback: () => void): void {
    const { options, byOauthbearer } = this.#submission;
    const parsed = parseOauthbearer(Buffer.from(line.toString(), 'base64').toString());
    const { localPort } = this._socket;
    if (parsed?.host !== '127.0.0.1' || parsed.port !== localPort) {
      this.send(501, 'Error: invalid userdata');
      callback();
      return;
    }
    const offered = options.authMethods;
    options.authMethods = ['XOAUTH2'];
    byOauthbearer.add(this.session);
    super.handler_AUTH(Buffer.from(`AUTH XOAUTH2 ${base64(xoauth2(parsed.user, parsed.token))}`), callback);
    options.authMethods = offered;
  }
}

function asError(reply: string): Error {
  const [, code = '535', text = ''] = /^(\d{3})[ -]?(.*)$/s.exec(reply) ?? [];
  return Object.assign(new Error(text), { responseCode: Number(code) });
}

function parseHeaders(head: string): Map<string, string> {
  const headers = new Map<string, string>();
  for (const line of head.replace(/\r?\n[ \t]+/g, ' ').split(/\r?\n/)) {
    const [name = '', ...value] = line.split(':');
    const key = name.toLowerCase();
    if (!headers.has(key)) headers.set(key, value.join(':').trim());
  }
  return headers;
}
