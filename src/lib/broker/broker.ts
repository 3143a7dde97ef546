/** The broker without its sockets: a request line in, the answer as text out. */
import type { Account } from '../accounts/account.ts';
import { saslUser } from '../accounts/account.ts';
import { CmsError, type ErrorCode, toCmsError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { PeerCredentials } from '../native.ts';
import { redact } from '../redact.ts';
import type { Secret } from '../secret.ts';
import type { AccessToken, TokenRequest } from '../token/access-token.ts';
import type { TokenService } from '../token/service.ts';
import type { AuditTrail } from './audit.ts';
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
} from './wire.ts';

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

export interface BrokerOptions {
  directory: AccountDirectory;
  tokens: TokenService;
  log: Logger;
  audit: AuditTrail;
  now: () => number;
  ownUid: number;
  /** Answers of the administration, as JSON values. */
  status: () => unknown;
  reload: () => Promise<void>;
}

export class Broker {
  readonly #options: BrokerOptions;
  readonly #asked = new Map<string, number>();
  readonly #refusals = new Map<string, { at: number; again: boolean; grant: string | undefined }>();
  /** MTAs ask in the same words again and again. */
  readonly #parsed = new BoundedMap<string, { request: ReturnType<typeof parseRequest> }>(MAX_REMEMBERED);
  /** What was made of a token for a line; a line that is asked again is the same object. */
  readonly #rendered = new BoundedMap<TokenLine, { token: Secret; user: string; answer: string }>(MAX_REMEMBERED);
  requests = 0;
  failures = 0;

  constructor(options: BrokerOptions) {
    this.#options = options;
  }

  /** When anybody last asked for the account; 0 if never. */
  lastAskedAt(address: string): number {
    return this.#asked.get(address) ?? 0;
  }

  /** Whether the mail server refused a token that had just been refreshed, within the last minutes. */
  isRefused(address: string): boolean {
    return this.refusedSince(address) !== undefined;
  }

  /** Since when that is so. */
  refusedSince(address: string): number | undefined {
    const refusal = this.#refusals.get(address);
    if (refusal?.again !== true || this.#options.now() - refusal.at > REFUSED_MS) return undefined;
    const { grant_id: grant = refusal.grant } = this.#options.tokens.known(address) ?? {};
    return grant === refusal.grant ? refusal.at : undefined;
  }

  /** The accounts of which a mail server has ever refused a token, in this broker's life. */
  reported(): Iterable<string> {
    return this.#refusals.keys();
  }

  /** Seconds that the answer to this line may take, where they are not the usual ones. */
  waitSeconds(line: string): number | undefined {
    const request = this.#parse(line);
    // Whoever has a token exchanged, or the settings read, waits for what came of it.
    return request?.kind === 'token' ? request.waitSeconds : MAX_WAIT_SECONDS;
  }

  /** The answer to one line, at once if everything for it is at hand. Never throws. */
  answer(line: string, peer: Peer): string | Promise<string> {
    const request = this.#parse(line);
    this.requests++;
    if (request === undefined) {
      if (line !== '') this.refuseRequest(peer, 'not in the grammar');
      return '';
    }
    return request.kind === 'token' ? this.#answerToken(request, peer) : this.#administer(request, peer);
  }

  /** What is answered when the time is up and there is no answer. */
  late(line: string, peer: Peer): string {
    const request = this.#parse(line);
    const failure = notYet(request);
    return request?.kind === 'token' ? this.#fail(request, peer, failure) : JSON.stringify(failure);
  }

  /** A connection that was ended before it could ask. */
  refuseConnection(peer: Peer, reason: string): void {
    this.#refuse(peer, 'access_denied', reason);
  }

  /** A request that gets nothing because of its form. */
  refuseRequest(peer: Peer, reason: string): void {
    this.#refuse(peer, 'usage', reason);
  }

  #parse(line: string): ReturnType<typeof parseRequest> {
    let parsed = this.#parsed.get(line);
    if (parsed === undefined) {
      parsed = { request: parseRequest(line) };
      this.#parsed.set(line, parsed);
    }
    return parsed.request;
  }

  #refuse({ policy, credentials }: Peer, result: ErrorCode, reason: string): void {
    this.failures++;
    this.#options.audit.refused({ peer: credentials, socket: policy.path, result, reason });
  }

  #noteServed(line: TokenLine, { policy, credentials }: Peer): void {
    this.#options.audit.served(line, policy.path, credentials);
  }

  #answerToken(line: TokenLine, peer: Peer): string | Promise<string> {
    try {
      const account = this.#options.directory.resolve(line.address);
      requirePermission(peer.policy, line, account);
      this.#asked.set(account.address, this.#options.now());
      if (line.form === 'refused') return this.#noteRefusal(account);
      if (line.form === 'password' || account.kind === 'password') {
        return this.#answerPassword(line, peer, account).catch((error: unknown) => this.#fail(line, peer, error));
      }
      const cached = this.#options.tokens.cached(account, requestOf(line));
      if (cached !== undefined) return this.#serve(line, peer, account, cached);
      return this.#options.tokens
        .accessToken(account, requestOf(line))
        .then((token) => this.#serve(line, peer, account, token))
        .catch((error: unknown) => this.#fail(line, peer, error));
    } catch (error) {
      return this.#fail(line, peer, error);
    }
  }

  #serve(line: TokenLine, peer: Peer, account: Account, token: AccessToken): string {
    if (line.form === 'ready' && this.isRefused(account.address))
      return this.#fail(line, peer, serverRefuses(account.address));
    const answer = this.#render(line, saslUser(account, line.protocol), token);
    this.#noteServed(line, peer);
    return answer;
  }

  #render(line: TokenLine, user: string, token: AccessToken): string {
    const before = this.#rendered.get(line);
    if (before?.token === token.access_token && before.user === user) return before.answer;
    const answer = renderToken(line, { user, ...token });
    this.#rendered.set(line, { token: token.access_token, user, answer });
    return answer;
  }

  /** `ready` asks whether a login can be tried at all, so it holds for app passwords too. */
  async #answerPassword(line: TokenLine, peer: Peer, account: Account): Promise<string> {
    if (line.form !== 'password' && line.form !== 'ready') {
      await this.#options.tokens.accessToken(account);
    }
    const password = renderPassword(await this.#options.tokens.password(account));
    if (password === '') throw new CmsError('data_invalid', `the app password of ${account.address} cannot be sent`);
    this.#noteServed(line, peer);
    return line.form === 'ready' ? '' : password;
  }

  #fail(line: TokenLine, peer: Peer, error: unknown): string {
    const failure = toCmsError(error);
    this.failures++;
    const { address: account, protocol } = line;
    this.#options.audit.refused({
      account,
      protocol,
      socket: peer.policy.path,
      peer: peer.credentials,
      result: failure.code,
      reason: failure.message,
    });
    return redact(renderFailure(line.form, failure));
  }

  /**
   * A server refused the token: one new one is fetched. If a login with that is refused as well, a person has to look.
   * Logins that were under way with the old token are no news.
   */
  #noteRefusal(account: Account): string {
    const { log, now, tokens } = this.#options;
    const { address } = account;
    const { issued_at: issued = 0, grant_id: grant } = tokens.known(address) ?? {};
    const before = this.#refusals.get(address);
    const recent = before !== undefined && now() - before.at < REFUSAL_INTERVAL_MS;
    if (recent && issued >= before.at && now() - issued > UNDER_WAY_MS) {
      log.error('the mail server refuses a fresh token too', { account: address });
      this.#refusals.set(address, { at: now(), again: true, grant });
    } else if (!recent) {
      log.warn('the mail server refused the token', { account: address });
      this.#refusals.set(address, { at: now(), again: false, grant });
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
      if (line.kind === 'status') return redact(JSON.stringify(status()));
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

/** Forgets everything when it is full, so that nobody can fill the memory. */
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

function serverRefuses(address: string): CmsError {
  return new CmsError('access_denied', `the mail server refuses even a fresh token of ${address}`, {
    suggestions: [`cms account add ${address}   # signs in anew and tries the login, with the server's own words`],
  });
}

function requestOf({ minValiditySeconds }: TokenLine): TokenRequest {
  return minValiditySeconds === undefined ? {} : { minValiditySeconds };
}
