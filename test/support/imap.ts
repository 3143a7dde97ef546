/**
 * An IMAP server on loopback that lets people in and out: greeting, authentication, an empty INBOX. Implicit TLS only.
 * Bearer tokens are judged by the provider's introspection.
 */
import type { AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import { createServer } from 'node:tls';
import type { Server, TLSSocket } from 'node:tls';
import { trustedCertificate } from './certificates.ts';
import type { ServerCertificate } from './certificates.ts';
import { parseInitialResponse, parseLine } from './imap/parse.ts';
import type { Command } from './imap/parse.ts';
import { acceptsPassword, judgeBearer } from './mailbox-access.ts';
import type { Authentication, MailboxAccess } from './mailbox-access.ts';

export interface ImapOptions extends MailboxAccess {
  /** Default: the trusted one. */
  certificate?: ServerCertificate;
  /** Default XOAUTH2, OAUTHBEARER, PLAIN. */
  mechanisms?: readonly string[];
  /** Whether credentials may stand in the AUTHENTICATE command. Default true. @see RFC 4959 */
  initialResponse?: boolean;
  /** The scope that a token must have. Default mail.imap. */
  scope?: string;
}

export async function startImap(options: ImapOptions): Promise<ImapServer> {
  const server = new ImapServer(options, options.certificate ?? (await trustedCertificate()));
  await server.start();
  return server;
}

const CHALLENGE = { status: '400', schemes: 'Bearer', scope: 'https://mail.google.com/' };
const REFUSAL = 'NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)';
/** Exchange lets a good token into the wrong mailbox and then fails every command there. */
const NOT_CONNECTED = 'BAD User is authenticated but not connected.';

export class ImapServer {
  readonly host = '127.0.0.1';
  readonly authentications: Authentication[] = [];
  /** Connections accepted so far. */
  connections = 0;
  /** Names of the commands received, in order. */
  readonly commands: string[] = [];
  readonly certificate: ServerCertificate;
  readonly options: ImapOptions;
  readonly #refusals = new Map<string, string>();
  readonly #server: Server;
  readonly #sockets = new Set<TLSSocket>();

  constructor(options: ImapOptions, certificate: ServerCertificate) {
    this.options = options;
    this.certificate = certificate;
    this.#server = createServer({ key: certificate.key, cert: certificate.cert }, (socket) => {
      this.connections += 1;
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket)).on('error', () => socket.destroy());
      new Session(this, socket).serve().catch(() => socket.destroy());
    });
    // A client that does not trust the certificate is no failure of the server.
    this.#server.on('tlsClientError', () => undefined);
  }

  get port(): number {
    return (this.#server.address() as AddressInfo | null)?.port ?? 0;
  }

  get caFile(): string {
    return this.certificate.caFile;
  }

  get capabilities(): string {
    const { mechanisms = ['XOAUTH2', 'OAUTHBEARER', 'PLAIN'], initialResponse = true } = this.options;
    const auth = mechanisms.map((mechanism) => `AUTH=${mechanism}`);
    return ['IMAP4rev1', 'ID', 'NAMESPACE', ...(initialResponse ? ['SASL-IR'] : []), ...auth].join(' ');
  }

  /**
   * Answers every sign-in of `user` with `reply`, say `NO [ALERT] Application-specific password required`, or lets it
   * in and fails what follows when `reply` is `ImapServer.NOT_CONNECTED`; undefined ends that.
   */
  refuse(user: string, reply: string | undefined): void {
    if (reply === undefined) this.#refusals.delete(user);
    else this.#refusals.set(user, reply);
  }

  static readonly NOT_CONNECTED = NOT_CONNECTED;

  refusalOf(user: string): string | undefined {
    return this.#refusals.get(user);
  }

  async start(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, this.host, resolve));
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

type Handler = (command: Command) => Promise<string> | string;

/** One connection. Each handler writes its untagged lines and returns the tagged one without its tag. */
class Session {
  readonly #server: ImapServer;
  readonly #socket: TLSSocket;
  readonly #lines: AsyncIterator<string>;
  #authenticated = false;
  #connected = true;

  constructor(server: ImapServer, socket: TLSSocket) {
    this.#server = server;
    this.#socket = socket;
    this.#lines = createInterface({ input: socket, crlfDelay: Infinity })[Symbol.asyncIterator]();
  }

  async serve(): Promise<void> {
    this.#send(`* OK [CAPABILITY ${this.#server.capabilities}] cms test IMAP ready`);
    for (;;) {
      const command = await this.#nextCommand();
      if (command === undefined) return;
      this.#server.commands.push(command.name);
      this.#send(`${command.tag} ${await this.#answer(command)}`);
      if (command.name === 'LOGOUT') this.#socket.end();
    }
  }

  async #answer(command: Command): Promise<string> {
    const anybody = this.#beforeLogin[command.name];
    if (anybody !== undefined) return anybody(command);
    const somebody = this.#afterLogin[command.name];
    if (somebody === undefined) return `BAD unknown command ${command.name}`;
    if (!this.#authenticated) return 'BAD not signed in';
    return this.#connected ? somebody(command) : NOT_CONNECTED;
  }

  readonly #beforeLogin: Partial<Record<string, Handler>> = {
    CAPABILITY: () => this.#untagged(`CAPABILITY ${this.#server.capabilities}`),
    NOOP: () => 'OK done',
    ID: () => this.#untagged('ID ("name" "cms test")'),
    LOGOUT: () => this.#untagged('BYE see you'),
    LOGIN: ({ args: [user = '', password = ''] }) => this.#password('LOGIN', user, password),
    AUTHENTICATE: (command) => this.#authenticate(command),
  };

  readonly #afterLogin: Partial<Record<string, Handler>> = {
    NAMESPACE: () => this.#untagged('NAMESPACE (("" "/")) NIL NIL'),
    LIST: () => this.#untagged('LIST (\\HasNoChildren) "/" INBOX'),
    LSUB: () => this.#untagged('LSUB () "/" INBOX'),
    STATUS: () => this.#untagged('STATUS INBOX (MESSAGES 0 UNSEEN 0 UIDNEXT 1 UIDVALIDITY 1)'),
    SELECT: (command) => this.#open(command, 'READ-WRITE'),
    EXAMINE: (command) => this.#open(command, 'READ-ONLY'),
    CLOSE: () => 'OK closed',
  };

  #untagged(line: string): string {
    this.#send(`* ${line}`);
    return 'OK done';
  }

  #open({ args: [mailbox = ''] }: Command, access: string): string {
    if (mailbox.toUpperCase() !== 'INBOX') return 'NO [NONEXISTENT] no such mailbox';
    for (const line of ['FLAGS (\\Seen)', '0 EXISTS', '0 RECENT', 'OK [UIDVALIDITY 1] valid', 'OK [UIDNEXT 1] next']) {
      this.#send(`* ${line}`);
    }
    return `OK [${access}] opened`;
  }

  async #authenticate({ args: [mechanism = '', initial] }: Command): Promise<string> {
    const name = mechanism.toUpperCase();
    if (!this.#server.capabilities.split(' ').includes(`AUTH=${name}`)) return 'NO unsupported mechanism';
    if (initial === undefined) this.#send('+ ');
    const response = initial ?? (await this.#nextLine());
    if (response === undefined || response === '*') return 'BAD cancelled';
    const { user, token, password } = parseInitialResponse(name, response);
    if (name === 'PLAIN') return this.#password(name, user, password);
    const { options } = this.#server;
    const verdict = await judgeBearer(options, user, token, options.scope ?? 'mail.imap');
    const refused = this.#record(user, name, verdict);
    if (refused !== REFUSAL) return refused;
    this.#send(`+ ${Buffer.from(JSON.stringify(CHALLENGE)).toString('base64')}`);
    await this.#nextLine();
    return refused;
  }

  #password(mechanism: string, user: string, password: string): string {
    const verdict = acceptsPassword(this.#server.options, user, password) ? 'accepted' : 'invalid_password';
    return this.#record(user, mechanism, verdict);
  }

  #record(user: string, mechanism: string, verdict: string): string {
    const asked = this.#server.refusalOf(user);
    this.#connected = asked !== NOT_CONNECTED;
    const decided = this.#connected && asked !== undefined ? asked : verdict;
    this.#authenticated = decided === 'accepted';
    this.#server.authentications.push({ user, mechanism, accepted: this.#authenticated, verdict: decided });
    if (this.#authenticated) return 'OK signed in';
    return asked ?? REFUSAL;
  }

  async #nextCommand(): Promise<Command | undefined> {
    let text = await this.#nextLine();
    // A literal: so many bytes follow, which are no line of their own here as long as they hold no line break.
    for (let literal = literalAt(text); literal !== undefined; literal = literalAt(text)) {
      if (!literal.nonSynchronizing) this.#send('+ go on');
      text = `${literal.before}${quote((await this.#nextLine()) ?? '', literal.length)}`;
    }
    return text === undefined ? undefined : parseLine(text);
  }

  async #nextLine(): Promise<string | undefined> {
    const { done, value } = await this.#lines.next();
    return done === true ? undefined : value;
  }

  #send(line: string): void {
    if (this.#socket.writable) this.#socket.write(`${line}\r\n`);
  }
}

function literalAt(text: string | undefined) {
  const match = /^(.*)\{(\d+)(\+?)\}$/s.exec(text ?? '');
  if (match === null) return undefined;
  return { before: match[1] ?? '', length: Number(match[2]), nonSynchronizing: match[3] === '+' };
}

function quote(line: string, length: number): string {
  const literal = line.slice(0, length).replace(/["\\]/g, '\\$&');
  return `"${literal}"${line.slice(length)}`;
}
