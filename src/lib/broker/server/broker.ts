/** The broker without its sockets: a request line in, the answer as text out. */
import type { Account } from '../../accounts/account.ts';
import { saslUser } from '../../accounts/account.ts';
import { elapsedMs } from '../../os/monotonic.ts';
import { CmsError, type ErrorCode, toCmsError } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import type { PeerCredentials } from '../../os/libc.ts';
import { redact } from '../../core/redact.ts';
import type { Secret } from '../../core/secret.ts';
import type { AccessToken, TokenRequest } from '../../tokens/access-token.ts';
import type { TokenService } from '../../tokens/service.ts';
import type { AuditTrail } from './audit.ts';
import { type Destination, destinationOf } from './destination.ts';
import type { AccountDirectory } from './directory.ts';
import { mayAdminister, requirePermission, type SocketPolicy } from './policy.ts';
import {
  type AdminLine,
  MAX_WAIT_SECONDS,
  parseRequest,
  renderFailure,
  renderPassword,
  renderToken,
  type RequestLine,
  type TokenLine,
} from '../wire.ts';
import { quoted } from '../../core/shell-word.ts';

/** One forced refresh per account in this time, however often servers refuse its token. */
const REFUSAL_INTERVAL_MS = 60_000;
/** How long an MTA is kept from trying the account again after a fresh token was refused, too. */
const REFUSED_MS = 5 * 60_000;
/** Longer than a login takes that took its token from us before the new one was there. */
const UNDER_WAY_MS = 2000;
/** Request lines that are kept, parsed and answered. */
const MAX_REMEMBERED = 1024;

export interface Peer {
  policy: SocketPolicy;
  credentials: PeerCredentials | undefined;
}

/** A connection, as far as an answer goes. */
export interface Asker {
  readonly peer: Peer;
  /** Whether what is answered now is still sent. */
  readonly waits: boolean;
}

/** What a client is served, noted when it has been sent. */
export interface Served {
  readonly text: string;
  readonly line: TokenLine;
  readonly account: Account;
}

/** Text alone is an answer that needs no note, or has one. */
export type Answer = string | Served;

interface Rendered extends Served {
  token: Secret;
  user: string;
}

interface Parsed {
  request: ReturnType<typeof parseRequest>;
  destination: Destination | undefined;
}

export interface BrokerOptions {
  directory: AccountDirectory;
  tokens: TokenService;
  log: Logger;
  audit: AuditTrail;
  now: () => number;
  ownUid: number;
  /** The answer to `STATUS`. */
  status: () => Promise<string>;
  reload: () => Promise<void>;
}

export class Broker {
  readonly #options: BrokerOptions;
  /** By `elapsedMs`, as all times in here: none of them outlives the process. */
  readonly #asked = new Map<string, number>();
  readonly #refusals = new Map<string, { at: number; again: boolean; grant: string | undefined }>();
  /** MTAs ask in the same words again and again. */
  readonly #parsed = new BoundedMap<string, Parsed>(MAX_REMEMBERED);
  /** What was made of a token for a line; a line that is asked again is the same object. */
  readonly #rendered = new BoundedMap<TokenLine, Rendered>(MAX_REMEMBERED);
  requests = 0;
  failures = 0;

  constructor(options: BrokerOptions) {
    this.#options = options;
  }

  /** When anybody last asked for the account; 0 if never. */
  lastAskedAt(address: string): number {
    const asked = this.#asked.get(address);
    return asked === undefined ? 0 : this.#wall(asked);
  }

  /** Whether the mail server refused a token that had just been refreshed, within the last minutes. */
  isRefused(address: string): boolean {
    return this.refusedSince(address) !== undefined;
  }

  /** Since when that is so. */
  refusedSince(address: string): number | undefined {
    const refusal = this.#refusals.get(address);
    if (refusal?.again !== true || elapsedMs() - refusal.at > REFUSED_MS) return undefined;
    const { grant_id: grant = refusal.grant } = this.#options.tokens.known(address) ?? {};
    return grant === refusal.grant ? this.#wall(refusal.at) : undefined;
  }

  /** When that was, in milliseconds since the epoch, by the clock of now. */
  #wall(elapsed: number): number {
    return this.#options.now() - (elapsedMs() - elapsed);
  }

  /** The accounts of which a mail server has ever refused a token, in this broker's life. */
  reported(): Iterable<string> {
    return this.#refusals.keys();
  }

  /** Seconds that the answer to this line may take, where they are not the usual ones. */
  waitSeconds(line: string): number | undefined {
    const { request } = this.#parse(line);
    // A client that has a token exchanged, or the settings read, waits for the result.
    return request?.kind === 'token' ? request.waitSeconds : MAX_WAIT_SECONDS;
  }

  /** The answer to one line, at once if everything for it is at hand. Never throws. */
  answer(line: string, asker: Asker): Answer | Promise<Answer> {
    const { request, destination } = this.#parse(line);
    this.requests++;
    if (request === undefined) {
      if (line !== '') this.refuseRequest(asker.peer, 'not in the grammar');
      return '';
    }
    return request.kind === 'token'
      ? this.#answerToken(request, destination, asker)
      : this.#administer(request, asker.peer);
  }

  /** What is answered when the time is up and there is no answer. */
  late(line: string, asker: Asker): string {
    const { request } = this.#parse(line);
    const failure = notYet(request);
    return request?.kind === 'token' ? this.#fail(request, asker, failure) : JSON.stringify(failure);
  }

  /** The client closed its connection before there was an answer. */
  abandoned(line: string, { peer }: Asker): void {
    const { request } = this.#parse(line);
    if (request?.kind === 'token') this.#noteFailure(request, peer, clientGone());
  }

  /** A connection that was ended before it could ask. */
  refuseConnection(peer: Peer, reason: string): void {
    this.#refuse(peer, 'access_denied', reason);
  }

  /** A request that gets nothing because of its form. */
  refuseRequest(peer: Peer, reason: string): void {
    this.#refuse(peer, 'usage', reason);
  }

  #parse(line: string): Parsed {
    let parsed = this.#parsed.get(line);
    if (parsed === undefined) {
      parsed = { request: parseRequest(line), destination: destinationOf(line) };
      this.#parsed.set(line, parsed);
    }
    return parsed;
  }

  #refuse({ policy, credentials }: Peer, result: ErrorCode, reason: string): void {
    this.failures++;
    this.#options.audit.refused({ peer: credentials, socket: policy.path, result, reason });
  }

  /** The answer has been sent. */
  sent({ line, account }: Served, { policy, credentials }: Peer): void {
    this.#options.audit.served(line, policy.path, credentials, account.address);
  }

  /** The answer could not be sent. */
  unsent({ line }: Served, peer: Peer): void {
    this.#noteFailure(line, peer, clientGone());
  }

  #answerToken(line: TokenLine, destination: Destination | undefined, asker: Asker): Answer | Promise<Answer> {
    try {
      const account = this.#options.directory.resolve(line.address);
      requirePermission(asker.peer.policy, line, account, destination);
      this.#asked.set(account.address, elapsedMs());
      if (line.form === 'refused') return this.#noteRefusal(account);
      if (line.form === 'password' || account.kind === 'password') {
        return this.#answerPassword(line, account).catch((error: unknown) => this.#fail(line, asker, error));
      }
      const cached = this.#options.tokens.cached(account, requestOf(line));
      if (cached !== undefined) return this.#serve(line, asker, account, cached);
      return this.#options.tokens
        .accessToken(account, requestOf(line))
        .then((token) => this.#serve(line, asker, account, token))
        .catch((error: unknown) => this.#fail(line, asker, error));
    } catch (error) {
      return this.#fail(line, asker, error);
    }
  }

  #serve(line: TokenLine, asker: Asker, account: Account, token: AccessToken): Answer {
    if (line.form === 'ready' && this.isRefused(account.address))
      return this.#fail(line, asker, serverRefuses(account.address));
    return this.#render(line, account, token);
  }

  #render(line: TokenLine, account: Account, token: AccessToken): Served {
    const user = saslUser(account, line.protocol);
    const before = this.#rendered.get(line);
    if (before?.token === token.access_token && before.user === user && before.account === account) return before;
    const text = renderToken(line, { user, ...token });
    const rendered = { token: token.access_token, user, text, line, account };
    this.#rendered.set(line, rendered);
    return rendered;
  }

  /** `ready` asks whether a login can be tried at all, so it holds for app passwords too. */
  async #answerPassword(line: TokenLine, account: Account): Promise<Answer> {
    if (line.form !== 'password' && line.form !== 'ready') {
      await this.#options.tokens.accessToken(account);
    }
    const password = renderPassword(await this.#options.tokens.password(account));
    if (password === '') throw new CmsError('data_invalid', `the app password of ${account.address} cannot be sent`);
    return { text: line.form === 'ready' ? '' : password, line, account };
  }

  /** Each request is noted once: not again when the client has been told, or is gone. */
  #fail(line: TokenLine, asker: Asker, error: unknown): string {
    if (!asker.waits) return '';
    const failure = toCmsError(error);
    this.#noteFailure(line, asker.peer, failure);
    return redact(renderFailure(line.form, failure));
  }

  #noteFailure({ address, protocol, form }: TokenLine, peer: Peer, failure: CmsError): void {
    this.failures++;
    const account = this.#options.directory.find(address)?.address ?? address;
    this.#options.audit.refused({
      account,
      ...(account !== address && { asked: address }),
      protocol,
      form,
      socket: peer.policy.path,
      peer: peer.credentials,
      result: failure.code,
      reason: failure.message,
    });
  }

  /**
   * A server refused the token: one new one is fetched. If a login with that is refused as well, a person has to look.
   * Logins that were under way with the old token are no news.
   */
  #noteRefusal(account: Account): string {
    const { log, now, tokens } = this.#options;
    const { address } = account;
    const elapsed = elapsedMs();
    const { issued_at: issued = 0, grant_id: grant } = tokens.known(address) ?? {};
    const before = this.#refusals.get(address);
    const recent = before !== undefined && elapsed - before.at < REFUSAL_INTERVAL_MS;
    if (recent && issued >= this.#wall(before.at) && now() - issued > UNDER_WAY_MS) {
      log.error('the mail server refuses a fresh token too', { account: address });
      this.#refusals.set(address, { at: elapsed, again: true, grant });
    } else if (!recent) {
      log.warn('the mail server refused the token', { account: address });
      this.#refusals.set(address, { at: elapsed, again: false, grant });
      this.#refreshAfterRefusal(account);
    }
    return '';
  }

  #refreshAfterRefusal(account: Account): void {
    const { log, tokens } = this.#options;
    if (account.kind === 'password') return;
    tokens.accessToken(account, { forceRefresh: true }).catch((error: unknown) => {
      log.warn('no new token after the refusal', { account: account.address, reason: toCmsError(error).message });
    });
  }

  async #administer(line: AdminLine, peer: Peer): Promise<string> {
    const { ownUid, status, reload, directory, tokens } = this.#options;
    if (!mayAdminister(peer.policy, peer.credentials, ownUid)) {
      this.refuseRequest(peer, 'administration is for the private socket');
      return '';
    }
    try {
      if (line.kind === 'status') return await status();
      if (line.kind === 'reload') {
        await reload();
        return JSON.stringify({ reloaded: true });
      }
      const account = directory.resolve(line.address);
      const { expires_at } = await tokens.accessToken(account, { forceRefresh: true });
      return JSON.stringify({ address: account.address, expires_at: Math.floor(expires_at / 1000) });
    } catch (error) {
      return redact(JSON.stringify(toCmsError(error)));
    }
  }
}

/** Forgets everything when it is full, so that no client can fill the memory. */
class BoundedMap<K, V> extends Map<K, V> {
  readonly #most: number;

  constructor(most: number) {
    super();
    this.#most = most;
  }

  override set(key: K, value: V): this {
    if (this.size >= this.#most && !this.has(key)) this.clear();
    return super.set(key, value);
  }
}

function notYet(request: RequestLine | undefined): CmsError {
  const what =
    request !== undefined && 'address' in request
      ? `the provider has not answered for ${request.address}`
      : 'the broker is not ready';
  return new CmsError('temporarily_unavailable', `${what} yet`, { suggestions: ['cms status'] });
}

function clientGone(): CmsError {
  return new CmsError('temporarily_unavailable', 'the client closed the connection before there was an answer');
}

function serverRefuses(address: string): CmsError {
  return new CmsError('access_denied', `the mail server refuses even a fresh token of ${address}`, {
    suggestions: [
      `cms account add ${quoted(address)}   # signs in again and tries the login, with the server's own words`,
    ],
  });
}

function requestOf({ minValiditySeconds }: TokenLine): TokenRequest {
  return minValiditySeconds === undefined ? {} : { minValiditySeconds };
}
