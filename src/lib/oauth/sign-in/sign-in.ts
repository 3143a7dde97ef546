/** What all ways of signing in share: their result, the reading of who signed in, and their failures in one place. */
import type { OAuthClient } from '../../accounts/account.ts';
import { uninterrupted } from '../../os/ending.ts';
import { CmsError, type ErrorCode, messageOf } from '../../core/errors.ts';
import { adminMail } from '../../explain/admin-mail.ts';
import { effectOnSignIn, explain, fromWords } from '../../explain/explain.ts';
import { redact, redactThese } from '../../core/redact.ts';
import type { Secret } from '../../core/secret.ts';
import { readMembers } from '../http/answer.ts';
import { classifyTokenAnswer, describe, type TokenEndpointAnswer } from '../token/classify.ts';
import type { ConfiguredClient } from '../client/client.ts';
import { againIn, causeIn, NoAnswer, unreachable } from '../http/http.ts';
import { type Claims, claimsOfIdToken, identityOf, isReadable, usernameOf } from './identity.ts';
import { quoted } from '../../core/shell-word.ts';

/** A finished sign-in, not stored yet. */
export interface SignedIn {
  access_token: Secret;
  refresh_token: Secret;
  /** Seconds. */
  expires_in: number;
  /** Milliseconds since the epoch. */
  issued_at: number;
  /** Seconds; only where the provider says it. */
  refresh_token_expires_in?: number;
  scope?: string;
  identity?: string;
  /** What keeps the access token from being served. */
  defect?: string;
  /** The name that the person signs in with, where the provider says another one than `identity`. */
  username?: string;
}

export interface SignInOptions {
  client: OAuthClient;
  clientSecret?: Secret;
  /** Who is expected; a hint to the provider, checked by the caller afterwards. */
  login: string;
  /** The account that it is for, to be named in advice; by default the login. */
  address?: string;
  signal: AbortSignal;
  /** Takes care of what was granted although the sign-in was given up meanwhile, and says what became of it. */
  abandoned?: ((signedIn: SignedIn) => Promise<Error>) | undefined;
}

/**
 * What the provider granted, unless the sign-in was given up meanwhile: once the request has left, the answer is waited
 * for, so that no grant is left that is neither kept nor given back. Bounded by the limits of the requests.
 * @throws the signal's reason
 */
export function unlessAbandoned(
  { signal, abandoned }: Pick<SignInOptions, 'signal' | 'abandoned'>,
  redeem: () => Promise<SignedIn>,
): Promise<SignedIn> {
  return uninterrupted(async () => {
    const signedIn = await redeem();
    if (!signal.aborted) return signedIn;
    throw (await abandoned?.(signedIn)) ?? signal.reason;
  });
}

/** An issuer that is not known, or holds a placeholder, cannot be compared with by openid-client. */
export function hasFixedIssuer({ issuer }: OAuthClient): boolean {
  return issuer !== undefined && !issuer.includes('{tenantid}');
}

/**
 * The sign-in that the last answer of the token endpoint stands for, once openid-client has accepted it. The answer is
 * judged by what judges a refresh, so that both take the same.
 * @throws CmsError `authorization_required` when there is no refresh token in it; `protocol_error`
 */
export async function readSignIn(
  configured: ConfiguredClient,
  options: Pick<SignInOptions, 'client' | 'login' | 'address'>,
  nonce: string | undefined,
): Promise<SignedIn> {
  const { client } = options;
  const answer = configured.observed() ?? { status: 0, body: '' };
  const outcome = classifyTokenAnswer(answer, []);
  const granted = outcome.kind === 'unusable' ? outcome.granted : outcome;
  if (granted?.kind !== 'granted') throw answerFailure(answer, [], options);
  const { access_token, refresh_token, refresh_token_expires_in, expires_in, scope } = granted;
  if (refresh_token === undefined) throw noRefreshToken(options);
  const { id_token } = readMembers(answer.body) ?? {};
  const claims = typeof id_token === 'string' ? readClaims(configured, client, id_token, nonce) : undefined;
  const said = identityOf(claims, undefined);
  const userinfo =
    said === undefined ? await readUserinfo(configured, client, access_token.reveal(), claims?.sub) : undefined;
  const identity = said ?? identityOf(claims, userinfo);
  const username = usernameOf(claims, userinfo);
  return {
    access_token,
    refresh_token,
    expires_in,
    issued_at: Date.now(),
    ...(refresh_token_expires_in !== undefined && { refresh_token_expires_in }),
    ...(scope !== undefined && { scope }),
    ...(identity !== undefined && { identity }),
    ...(outcome.kind === 'unusable' && { defect: outcome.message }),
    ...(username !== undefined && { username }),
  };
}

function readClaims(
  { clockAhead }: ConfiguredClient,
  client: OAuthClient,
  idToken: string,
  nonce: string | undefined,
): Claims | undefined {
  const { issuer, client_id, token_endpoint_auth_method: method } = client;
  try {
    if (!isReadable(idToken, { hasSecret: method !== 'none' })) return undefined;
    return claimsOfIdToken(idToken, { issuerTemplate: issuer, client_id, nonce, now: Date.now() / 1000 });
  } catch (error) {
    const clock = clockRemark(clockAhead());
    if (!(error instanceof CmsError) || clock === undefined) throw error;
    throw error.inOtherWords(error.message + clock, [CHECK_CLOCK]);
  }
}

/** A provider that answers no userinfo has not said who signed in; that is judged by the caller, not an error. */
async function readUserinfo(
  { config }: ConfiguredClient,
  client: OAuthClient,
  accessToken: string,
  subject: unknown,
): Promise<Claims | undefined> {
  if (client.userinfo_endpoint === undefined) return undefined;
  const oidc = await import('openid-client');
  try {
    // Without an id_token there is no subject to compare with.
    // eslint-disable-next-line @typescript-eslint/no-deprecated
    return await oidc.fetchUserInfo(config, accessToken, typeof subject === 'string' ? subject : oidc.skipSubjectCheck);
  } catch {
    return undefined;
  }
}

function noRefreshToken({
  client: { scope },
  login,
  address = login,
}: Pick<SignInOptions, 'client' | 'login' | 'address'>): CmsError {
  const asked = scope.split(' ').includes('offline_access');
  return new CmsError(
    'authorization_required',
    'the provider granted no refresh token, so nothing could be kept signed in',
    {
      suggestions: [
        ...(asked ? [] : [`cms account add ${quoted(address)} --scope '${scope} offline_access'`]),
        'allow offline access for the client at the provider (the grant "refresh token", the scope offline_access)',
        'remove the consent that was given before in the account settings of the provider, then sign in again',
      ],
    },
  );
}

/** Whatever a sign-in ran into, as the error that users see. `secrets` are redacted from the provider's words. */
export function signInFailure(
  error: unknown,
  configured: ConfiguredClient | undefined,
  secrets: readonly Secret[],
  options: Pick<SignInOptions, 'client' | 'login' | 'address'>,
): unknown {
  const own = causeIn(error, CmsError);
  if (own !== undefined) return own;
  const noAnswer = causeIn(error, NoAnswer);
  if (noAnswer !== undefined) return unreachable(noAnswer);
  const {
    name,
    error: code,
    error_description,
  } = error as { name?: unknown; error?: unknown; error_description?: unknown };
  if (name === 'AuthorizationResponseError' || name === 'ResponseBodyError') {
    return refusal(describe(code, secrets) ?? 'unknown error', describe(error_description, secrets), options);
  }
  const answer = configured?.observed();
  if (answer !== undefined && !isUnderstood(answer)) return answerFailure(answer, secrets, options);
  const why = describe(detailOf(error), secrets) ?? 'unknown';
  // openid-client hangs requests and answers on its errors, tokens included: only the place is kept.
  const cause = new Error(why);
  const frames = error instanceof Error ? error.stack?.replace(/^[^]*?(?=\n {4}at )/, '') : undefined;
  const sent = secrets.map((secret) => secret.reveal());
  if (frames !== undefined) cause.stack = redact(redactThese(`Error: ${why}${frames}`, sent));
  const clock = clockRemark(configured?.clockAhead());
  return new CmsError('protocol_error', `the provider's answer was refused: ${why}${clock ?? ''}`, {
    cause,
    ...(clock !== undefined && { suggestions: [CHECK_CLOCK] }),
  });
}

/** More than openid-client forgives: then times in an id_token are refused. */
const CLOCK_DIFFERENCE_SECONDS = 300;

const CHECK_CLOCK = 'timedatectl   # is the clock of this machine right?';

/** A clock that differs is the likeliest reason for a refused answer. @param ahead seconds */
function clockRemark(ahead = 0): string | undefined {
  if (Math.abs(ahead) <= CLOCK_DIFFERENCE_SECONDS) return undefined;
  const minutes = Math.round(Math.abs(ahead) / 60);
  return `; the clock of this machine is ${minutes} min ${ahead > 0 ? 'ahead of' : 'behind'} the provider's`;
}

/** An answer that says what it was asked for; anything else explains itself. */
function isUnderstood(answer: TokenEndpointAnswer): boolean {
  if (classifyTokenAnswer(answer, []).kind === 'granted') return true;
  return answer.status === 200 && readMembers(answer.body)?.device_code !== undefined;
}

function answerFailure(
  answer: TokenEndpointAnswer,
  secrets: readonly Secret[],
  options: Pick<SignInOptions, 'client' | 'login' | 'address'>,
): CmsError {
  const outcome = classifyTokenAnswer(answer, secrets);
  const { client, login, address = login } = options;
  switch (outcome.kind) {
    case 'granted':
      return new CmsError('protocol_error', 'the provider answered in a way that cms cannot use');
    case 'unusable': {
      const { sentence, fix } = explain({
        source: 'token',
        text: outcome.message,
        address,
        clientId: client.client_id,
      });
      return new CmsError('protocol_error', `${outcome.message}: ${sentence}`, { suggestions: fix });
    }
    case 'temporary': {
      const { class: kind, sentence, fix } = explain({ source: 'oauth', ...fromWords(outcome.message), address });
      const known = kind !== 'unknown';
      // A token came, of a type that is not going to change.
      const code = readMembers(answer.body)?.access_token === undefined ? 'temporarily_unavailable' : 'protocol_error';
      return new CmsError(code, known ? `${outcome.message}: ${sentence}` : outcome.message, {
        suggestions: atSignIn(known ? fix : [againIn()], outcome.retry_after),
      });
    }
    default:
      return refusal(outcome.error, outcome.error_description, options, answer.retry_after);
  }
}

/**
 * Advice for a refresh, for who signs in: nothing is tried again here on its own. What the server asks for counts before
 * what usually does.
 * @param seconds undefined where it asks for nothing
 */
function atSignIn(fix: readonly string[], seconds: number | undefined): string[] {
  return fix.map((line) => {
    const own = /^wait; cms .* on its own$/.test(line) ? againIn() : line;
    return seconds !== undefined && own.startsWith('run the command again') ? againIn(seconds) : own;
  });
}

/** RFC 6749 sections 4.1.2.1 and 5.2, RFC 8628 section 3.5: the words, what they mean, and what to do. */
function refusal(
  code: string,
  text: string | undefined,
  { client, login, address = login }: Pick<SignInOptions, 'client' | 'login' | 'address'>,
  seconds?: number,
): CmsError {
  const { client_id: clientId, token_endpoint: tokenEndpoint, scope } = client;
  const explained = explain({ source: 'oauth', code, text, address, login, clientId, tokenEndpoint, scope });
  // What was presented was not a refresh token, but a code that is as old as this sign-in.
  const sentence =
    explained.id === 'invalid-grant'
      ? 'that was no code of this sign-in, or it was used before, or took too long'
      : explained.sentence;
  const meaning = explained.class === 'unknown' ? '' : `: ${sentence}`;
  return new CmsError(codeOf(code, text), `the provider refused the sign-in: ${explained.words}${meaning}`, {
    suggestions: explained.fix.length === 0 ? CHECK_CLIENT : atSignIn(explained.fix, seconds),
    adminMail: adminMail(explained),
  });
}

const CHECK_CLIENT = [
  'check --client-id, --client-secret-file, --tenant and --scope against the registration at the provider',
  'ask the administrator of the organisation to allow this client',
];

function codeOf(error: string, text: string | undefined): ErrorCode {
  switch (effectOnSignIn(error, text)) {
    case 'transient':
    case 'back off':
    case 'account':
      return 'temporarily_unavailable';
    case 'sign in again':
    case 'extra check':
    case 'consent':
      return 'access_denied';
    default:
      return 'client_invalid';
  }
}

function detailOf(error: unknown): string {
  const inner = error instanceof Error && error.cause instanceof Error ? `: ${error.cause.message}` : '';
  return messageOf(error) + inner;
}
