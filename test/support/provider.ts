/**
 * An authorization server of its own on loopback: `oidc-provider` with an account for whatever name is typed into its
 * login form. Refresh tokens rotate at every use; using one twice revokes the whole grant.
 */
import { createServer } from 'node:http';
import type Provider from 'oidc-provider';
import { MAIL_SERVER_CLIENT, configuration, sharedSigningKey } from './provider/configuration.ts';
import type { ProviderAccount, ProviderState } from './provider/configuration.ts';
import { Gateway, closeServer, listen } from './provider/gateway.ts';
import type { Fault, RecordedRequest } from './provider/gateway.ts';
import { answerInteraction } from './provider/interactions.ts';
import { rewrite } from './provider/faults.ts';
import { Storage } from './provider/storage.ts';

export { CONFIDENTIAL_CLIENT } from './provider/configuration.ts';
export type { ProviderAccount } from './provider/configuration.ts';
export type { Fault, FaultOutcome, RecordedRequest, Reply } from './provider/gateway.ts';
export * as faults from './provider/faults.ts';

export const ENDPOINT = {
  authorization: '/auth',
  deviceAuthorization: '/device/auth',
  discovery: '/.well-known/openid-configuration',
  introspection: '/token/introspection',
  jwks: '/jwks',
  registration: '/reg',
  revocation: '/token/revocation',
  token: '/token',
  userinfo: '/me',
} as const;

export interface ProviderOptions {
  /** The public native client without a secret. Default `cms-test`. */
  clientId?: string;
  /** Seconds. Default 3600. */
  accessTokenTtl?: number;
  /** By login. A login that does not stand here gets a verified `email` equal to itself. */
  accounts?: Record<string, ProviderAccount>;
  /** Besides `openid email profile offline_access mail.smtp mail.imap mail.pop`. */
  scopes?: readonly string[];
  /** Scopes left out of every grant although the person allowed them. */
  withholdScopes?: readonly string[];
  /** Besides the loopback addresses with the path `/`; any port is good for those. */
  redirectUris?: readonly string[];
  /**
   * `rotate` (default): a new one at every use, and reuse of an old one revokes the grant. `rotate-keeping-old`: a new
   * one at every use, the old ones stay good. `keep`: always the same.
   */
  refreshTokens?: 'rotate' | 'rotate-keeping-old' | 'keep';
  /** With `rotate`: seconds for which an old one can still be used. Default 0. */
  reuseGrace?: number;
  /** Seconds between polls that the device authorization answer asks for. Default 1. */
  deviceInterval?: number;
  /** Seconds. Default 600. */
  deviceCodeTtl?: number;
  /** Clients may register themselves; a text is the initial access token that they need. Default false. */
  registration?: boolean | string;
  /** What id_tokens are signed with. Default RS256. */
  idTokenAlgorithm?: string;
}

/** What introspection says about a token. @see RFC 7662 section 2.2 */
export interface Introspection {
  active: boolean;
  sub?: string;
  username?: string;
  email?: string;
  scope?: string;
  client_id?: string;
  exp?: number;
}

const LOOPBACK_REDIRECTS = ['http://127.0.0.1/', 'http://localhost/', 'http://[::1]/'];

/** Starts an authorization server on an ephemeral port of 127.0.0.1. It is silent on the console. */
export async function startProvider(options: ProviderOptions = {}): Promise<EmbeddedProvider> {
  const provider = new EmbeddedProvider(options);
  await provider.start();
  return provider;
}

export class EmbeddedProvider {
  readonly clientId: string;
  /** By login; may be changed at any time. */
  readonly accounts: Map<string, ProviderAccount>;
  readonly #options: ProviderOptions;
  readonly #state: ProviderState;
  readonly #storage: Storage;
  readonly #gateway: Gateway;
  readonly #server = createServer();
  #upstreamPort = 0;

  constructor(options: ProviderOptions) {
    this.#options = options;
    this.clientId = options.clientId ?? 'cms-test';
    this.accounts = new Map(Object.entries(options.accounts ?? {}));
    this.#state = { accessTokenTtl: options.accessTokenTtl ?? 3600, accounts: this.accounts };
    this.#storage = new Storage({
      consumeRefreshTokens: options.refreshTokens !== 'rotate-keeping-old',
      reuseGraceMs: (options.reuseGrace ?? 0) * 1000,
    });
    this.#gateway = new Gateway(() => this.#upstreamPort);
  }

  get issuer(): string {
    return `http://127.0.0.1:${this.#gateway.port}`;
  }

  get tokenEndpoint(): string {
    return this.issuer + ENDPOINT.token;
  }

  /** Lifetime in seconds of the access tokens issued from now on. */
  set accessTokenTtl(seconds: number) {
    this.#state.accessTokenTtl = seconds;
  }

  get accessTokenTtl(): number {
    return this.#state.accessTokenTtl;
  }

  /** Every access and refresh token that was ever issued. */
  get issuedTokens(): string[] {
    return this.#storage.issuedTokens;
  }

  /** Every request that arrived, in order, faults included. */
  get allRequests(): readonly RecordedRequest[] {
    return this.#gateway.requests;
  }

  /** The requests to the token endpoint, in order. */
  get requests(): RecordedRequest[] {
    return this.#gateway.requests.filter(({ path }) => path === ENDPOINT.token);
  }

  /** How many requests reached the token endpoint, with this grant type or with any. */
  count(grantType?: string): number {
    return this.requests.filter((request) => grantType === undefined || request.grantType === grantType).length;
  }

  /** Forgets the requests recorded so far. */
  clearRequests(): void {
    this.#gateway.requests.length = 0;
  }

  /** Puts `fault` in front of an endpoint, the token endpoint by default; undefined takes it away. */
  setFault(fault: Fault | undefined, path: string = ENDPOINT.token): void {
    this.#gateway.setFault(fault ?? this.#usualFault(path), path);
  }

  /** Kills every grant of `login`: no token of it is good any more. */
  revokeGrants(login: string): void {
    this.#storage.revokeGrantsOf(login);
  }

  /** Asks the authorization server about a token as a mail server does. Works while the provider is paused. */
  async introspect(token: string): Promise<Introspection> {
    const { clientId, clientSecret } = MAIL_SERVER_CLIENT;
    const response = await fetch(`http://127.0.0.1:${this.#upstreamPort}${ENDPOINT.introspection}`, {
      method: 'POST',
      headers: { authorization: `Basic ${Buffer.from(`${clientId}:${clientSecret}`).toString('base64')}` },
      body: new URLSearchParams({ token }),
    });
    if (!response.ok) throw new Error(`introspection: HTTP ${response.status} ${await response.text()}`);
    return (await response.json()) as Introspection;
  }

  /** Off the network: connections are refused. State and port are kept. */
  pause(): Promise<void> {
    return this.#gateway.close();
  }

  /** Back on the network, on the same port. */
  resume(): Promise<void> {
    return this.#gateway.open();
  }

  /** Cuts every connection and comes back on the same port with the same state. */
  async restart(): Promise<void> {
    await this.pause();
    await this.resume();
  }

  async stop(): Promise<void> {
    await this.#gateway.end();
    await closeServer(this.#server);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async start(): Promise<void> {
    await this.#gateway.open();
    const provider = await this.#createProvider();
    const callback = provider.callback();
    const consent = { withholdScopes: this.#options.withholdScopes ?? [] };
    this.#server.on('request', (request, response) => {
      if (request.url?.startsWith('/interaction/') !== true) return void callback(request, response);
      answerInteraction(provider, consent, request, response).catch((error: unknown) => {
        response.destroy(error instanceof Error ? error : undefined);
      });
    });
    this.#upstreamPort = await listen(this.#server);
    this.setFault(undefined, ENDPOINT.deviceAuthorization);
  }

  async #createProvider(): Promise<Provider> {
    const { scopes = [], redirectUris = [], refreshTokens, deviceCodeTtl = 600 } = this.#options;
    const { idTokenAlgorithm = 'RS256' } = this.#options;
    const signingKey = await sharedSigningKey(idTokenAlgorithm);
    const parts = {
      state: this.#state,
      storage: this.#storage,
      client: { clientId: this.clientId, redirectUris: [...LOOPBACK_REDIRECTS, ...redirectUris] },
      scopes: ['mail.smtp', 'mail.imap', 'mail.pop', ...scopes],
      rotateRefreshToken: refreshTokens !== 'keep',
      deviceCodeTtl,
      registration: this.#options.registration ?? false,
      signingKey,
      idTokenAlgorithm,
    };
    return quietly(async () => {
      const { default: OidcProvider } = await import('oidc-provider');
      return new OidcProvider(this.issuer, configuration(parts));
    });
  }

  /** The library leaves `interval` out, which means five seconds: too long for a test. @see RFC 8628 section 3.2 */
  #usualFault(path: string): Fault | undefined {
    if (path !== ENDPOINT.deviceAuthorization) return undefined;
    const { deviceInterval = 1 } = this.#options;
    return rewrite((answer) => ('device_code' in answer ? { ...answer, interval: deviceInterval } : answer));
  }
}

/** The library warns at import and construction that it is not meant for this Node version and for plain http. */
async function quietly<Result>(work: () => Promise<Result>): Promise<Result> {
  const { warn, info } = console;
  console.warn = console.info = () => undefined;
  try {
    return await work();
  } finally {
    Object.assign(console, { warn, info });
  }
}
