/** How `oidc-provider` is set up: clients, scopes, claims, lifetimes. Nothing here is the library's own default page. */
import { generateKeyPair, type KeyObject, randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import type { ClientMetadata, Configuration, JWK } from 'oidc-provider';
import { deviceSuccessPage, errorPage, userCodeConfirmPage, userCodePage } from './pages.ts';
import type { Storage } from './storage.ts';

/** What the authorization server says about one account; a login it has not heard of has `email` equal to the login. */
export interface ProviderAccount {
  /** null: no `email` claim at all. */
  email?: string | null;
  emailVerified?: boolean;
  /** null: no `preferred_username` claim. */
  preferredUsername?: string | null;
}

/** What may change while the server runs. */
export interface ProviderState {
  accessTokenTtl: number;
  accounts: Map<string, ProviderAccount>;
}

interface ClientOptions {
  clientId: string;
  redirectUris: readonly string[];
}

export const CONFIDENTIAL_CLIENT = { clientId: 'cms-secret', clientSecret: 'secret-of-cms-secret' } as const;
const BASIC_CLIENT = { clientId: 'cms-secret-basic', clientSecret: 'secret-of-cms-secret-basic' } as const;
export const MAIL_SERVER_CLIENT = { clientId: 'mail-server', clientSecret: 'secret-of-mail-server' } as const;

const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code';
const FORTNIGHT = 14 * 24 * 3600;

export interface ConfigurationParts {
  state: ProviderState;
  storage: Storage;
  client: ClientOptions;
  scopes: readonly string[];
  rotateRefreshToken: boolean;
  deviceCodeTtl: number;
  /** Lets clients register themselves: everybody, or whoever has the initial access token. */
  registration: boolean | string;
  signingKey: JWK;
  /** What id_tokens are signed with, `none` and the client secret (HS256) included. */
  idTokenAlgorithm: string;
}

export function configuration(parts: ConfigurationParts): Configuration {
  const { state, storage } = parts;
  return {
    adapter: (model) => storage.adapter(model),
    clients: clients(parts.client).map((client) => withAlgorithm(client, parts.idTokenAlgorithm)),
    ...(parts.idTokenAlgorithm === 'RS256' ? {} : { enabledJWA: algorithms(parts.idTokenAlgorithm) }),
    clientBasedCORS: () => false,
    // The mail servers of the tests ask at once whether a token has expired.
    clockTolerance: 0,
    cookies: { keys: [randomBytes(16).toString('hex')] },
    // So that `email` stands in the id_token and not only in userinfo.
    conformIdTokenClaims: false,
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name', 'preferred_username'] },
    scopes: ['openid', 'offline_access', ...parts.scopes],
    extraTokenClaims: (_ctx, token) => introspectionClaims(state, 'accountId' in token ? token.accountId : undefined),
    features: features(parts),
    findAccount: (_ctx, login) => ({ accountId: login, claims: () => accountClaims(state, login) }),
    interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
    jwks: { keys: [parts.signingKey] },
    pkce: { required: () => true },
    renderError: (ctx, out) => {
      ctx.type = 'html';
      ctx.body = errorPage(out);
    },
    rotateRefreshToken: parts.rotateRefreshToken,
    ttl: {
      AccessToken: () => state.accessTokenTtl,
      AuthorizationCode: 60,
      DeviceCode: parts.deviceCodeTtl,
      Grant: FORTNIGHT,
      IdToken: 3600,
      Interaction: 3600,
      RefreshToken: FORTNIGHT,
      Session: FORTNIGHT,
    },
  };
}

function features({ registration }: ConfigurationParts): NonNullable<Configuration['features']> {
  const open = registration !== false;
  return {
    registration: { enabled: open, initialAccessToken: typeof registration === 'string' ? registration : false },
    registrationManagement: { enabled: open },
    devInteractions: { enabled: false },
    deviceFlow: {
      enabled: true,
      userCodeInputSource: userCodePage,
      userCodeConfirmSource: userCodeConfirmPage,
      successSource: deviceSuccessPage,
    },
    introspection: { enabled: true, allowedPolicy: (_ctx, client) => client.clientId === MAIL_SERVER_CLIENT.clientId },
    revocation: { enabled: true, allowedPolicy: (_ctx, client, token) => client.clientId === token.clientId },
  };
}

function clients({ clientId, redirectUris }: ClientOptions): ClientMetadata[] {
  const native = {
    application_type: 'native' as const,
    grant_types: ['authorization_code', 'refresh_token', DEVICE_GRANT],
    redirect_uris: [...redirectUris],
    response_types: ['code' as const],
  };
  const secret = ({ clientId: id, clientSecret }: { clientId: string; clientSecret: string }) => ({
    client_id: id,
    client_secret: clientSecret,
  });
  return [
    { ...native, client_id: clientId, token_endpoint_auth_method: 'none' },
    { ...native, ...secret(CONFIDENTIAL_CLIENT), token_endpoint_auth_method: 'client_secret_post' },
    { ...native, ...secret(BASIC_CLIENT), token_endpoint_auth_method: 'client_secret_basic' },
    { ...secret(MAIL_SERVER_CLIENT), grant_types: [], redirect_uris: [], response_types: [] },
  ];
}

function accountClaims({ accounts }: ProviderState, login: string) {
  const account = accounts.get(login) ?? {};
  const { email = login, emailVerified = true, preferredUsername = login } = account;
  return {
    sub: login,
    ...(email === null ? {} : { email, email_verified: emailVerified }),
    ...(preferredUsername === null ? {} : { preferred_username: preferredUsername }),
  };
}

/** A mail server knows whose mailbox a token opens even where the client is told no `email`. */
function introspectionClaims({ accounts }: ProviderState, login: string | undefined) {
  if (login === undefined) return undefined;
  return { username: login, email: accounts.get(login)?.email ?? login };
}

/** Those that ask for id_tokens. */
function withAlgorithm(client: ClientMetadata, algorithm: string): ClientMetadata {
  return client.response_types?.length === 0
    ? client
    : { ...client, id_token_signed_response_alg: algorithm as 'RS256' };
}

function algorithms(algorithm: string): Configuration['enabledJWA'] {
  return { idTokenSigningAlgValues: [algorithm as 'RS256'], userinfoSigningAlgValues: [algorithm as 'RS256'] };
}

const signingKeys = new Map<string, Promise<JWK>>();

/** RS256, as the large providers use, or another. One key for a process, since making it takes longer than the rest. */
export function sharedSigningKey(algorithm = 'RS256'): Promise<JWK> {
  const kind = /^(?:HS|none)/.test(algorithm) ? 'RS256' : algorithm;
  const known = signingKeys.get(kind) ?? makeKey(kind);
  signingKeys.set(kind, known);
  return known;
}

async function makeKey(algorithm: string): Promise<JWK> {
  const { privateKey } = await keyPair(algorithm);
  return { ...(privateKey.export({ format: 'jwk' }) as JWK), alg: algorithm, use: 'sig', kid: 'signing' };
}

function keyPair(algorithm: string): Promise<{ privateKey: KeyObject }> {
  const curves: Readonly<Record<string, string>> = { ES256: 'P-256', ES384: 'P-384', ES512: 'P-521' };
  const namedCurve = curves[algorithm];
  if (namedCurve !== undefined) return promisify(generateKeyPair)('ec', { namedCurve });
  if (algorithm.startsWith('Ed')) return promisify(generateKeyPair)('ed25519');
  return promisify(generateKeyPair)('rsa', { modulusLength: 2048 });
}
