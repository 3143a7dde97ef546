/** Signing in with a browser: authorization code with PKCE (RFC 7636), `state`, `nonce` and `iss` (RFC 9207). */
import type { OAuthClient } from '../../accounts/account.ts';
import { CmsError } from '../../core/errors.ts';
import { Secret } from '../../core/secret.ts';
import { type ConfiguredClient, configure } from '../client/client.ts';
import { listenForRedirect } from './loopback.ts';
import { type PageContent, renderPage, type Page } from './page.ts';
import {
  hasFixedIssuer,
  readSignIn,
  type SignedIn,
  signInFailure,
  type SignInOptions,
  unlessAbandoned,
} from './sign-in.ts';

/** One sign-in under way: what was sent, and what has to come back. */
interface Challenge {
  /** For the person's eyes and for no argument list: the answer to it needs no more than its state. */
  url: string;
  redirectUri: string;
  state: string;
  /** The same for a browser that is led here, whose answer needs its cookie as well. */
  led: { url: string; state: string };
  nonce: string | undefined;
  codeVerifier: Secret;
}

export interface BrowserSignInOptions<T> extends SignInOptions {
  /**
   * Shows `url`, or has a browser open `oneTime`, or both. Every user of this computer can read the arguments of a
   * browser: `url` must not be among them.
   */
  open: (url: string, redirectUri: string, oneTime: string) => void | Promise<void>;
  /** Hears, sparingly, of what came to the redirect URI and was not the answer. */
  tell?: ((words: string) => void) | undefined;
  /** Judges and stores the result while the browser waits, and says what its page shows. */
  finish: (signedIn: SignedIn) => Promise<{ page: PageContent; value: T }>;
  failurePage: (error: unknown) => PageContent;
  /**
   * The answer carried by hand, where the browser cannot come back; called once the URL was shown. `check` throws for
   * what cannot be the answer. May never settle, and stops at the signal. What it throws ends the sign-in.
   */
  byHand?: (check: CheckAnswer, signal: AbortSignal) => Promise<string>;
}

/** @throws CmsError `protocol_error` for what is not the answer to this sign-in */
export type CheckAnswer = (pasted: string) => void;

/**
 * Listens on loopback, has the URL opened, and waits for the browser to come back.
 * @throws CmsError `access_denied`, `client_invalid`, `temporarily_unavailable`, `protocol_error`, `cannot_create`,
 * `authorization_required` (no refresh token), the signal's reason, and what `finish` throws
 * @see RFC 8252 section 7.3
 */
export async function signInWithBrowser<T>(options: BrowserSignInOptions<T>): Promise<T> {
  const { client, open, finish, failurePage, signal, byHand, tell } = options;
  const listener = await listenForRedirect(client.redirect, tell);
  const over = new AbortController();
  let concluding: Promise<Concluded<T> | undefined> = Promise.resolve(undefined);
  try {
    const challenge = await makeChallenge(options, listener.redirectUri);
    const whileWanted = { ...options, signal: AbortSignal.any([signal, over.signal]) };
    const conclude = (url: URL): Promise<Concluded<T>> => {
      const work = redeem(whileWanted, challenge, url).then(finish);
      concluding = work;
      concluding.catch(() => undefined);
      return work;
    };
    const received = listener.receive(
      challenge.state,
      async (url) => {
        const { page, value } = await conclude(url);
        return { page: renderPage(page), value };
      },
      (error): Page => renderPage(failurePage(error), 400),
      signal,
    );
    const carried = async (): Promise<T> => {
      const answerOf = (text: string): URL => authorizationResponse(text, challenge, client);
      const pasted = await byHand?.(answerOf, AbortSignal.any([signal, over.signal]));
      return pasted === undefined ? received : (await conclude(answerOf(pasted))).value;
    };
    // Opening can fail while the listener already waits; neither failure may go unheard.
    const oneTime = listener.lead(challenge.led.url, challenge.led.state);
    const opened = Promise.resolve(open(challenge.url, listener.redirectUri, oneTime));
    const [value] = await Promise.all([Promise.race([received, opened.then(carried)]), opened]);
    return value;
  } catch (error) {
    over.abort(ENDED);
    // Given up when the code was on its way: what became of it counts.
    const concluded = await (signal.aborted ? concluding : concluding.catch(() => undefined));
    if (concluded === undefined) throw error;
    return concluded.value;
  } finally {
    over.abort(ENDED);
    await listener.close();
  }
}

interface Concluded<T> {
  page: PageContent;
  value: T;
}

const ENDED = new CmsError('access_denied', 'this sign-in has ended in the terminal');

export interface ManualSignInOptions extends SignInOptions {
  /** Shows the URL, and returns what the person pasted: the final URL, or the code. */
  ask: (url: string, check: CheckAnswer) => Promise<string>;
}

/**
 * For a browser on another machine: the person opens the URL there and pastes where it ended.
 * @throws CmsError as `signInWithBrowser`
 */
export async function signInManually(options: ManualSignInOptions): Promise<SignedIn> {
  const challenge = await makeChallenge(options, manualRedirectUri(options.client.redirect));
  const answerOf = (text: string): URL => authorizationResponse(text, challenge, options.client);
  const pasted = await options.ask(challenge.url, answerOf);
  return redeem(options, challenge, answerOf(pasted));
}

/** Nothing should listen there on the machine with the browser; what matters is that its address bar keeps the URL. */
const UNUSED_PORT = 49_151;

/** Where the browser is sent when nothing listens. An https URI stands as it was registered, mostly without a port. */
export function manualRedirectUri({ scheme, host, port, path }: OAuthClient['redirect']): string {
  if (scheme === 'https') return `https://${host}${port === undefined ? '' : `:${port}`}${path}`;
  return `http://${host}:${port ?? UNUSED_PORT}${path}`;
}

/** What cannot be guessed has 128 bits at least, in 22 characters or more. @see RFC 6749 section 10.10 */
const SHORTEST_CODE = 20;
const LONGEST_CODE = 4096;

/**
 * The authorization response in what was pasted. A bare code is completed with our own state: PKCE ties it to us.
 * @throws CmsError `protocol_error`
 */
function authorizationResponse(
  pasted: string,
  challenge: Pick<Challenge, 'redirectUri' | 'state' | 'led'>,
  client: OAuthClient,
): URL {
  const text = pasted.trim();
  const expected = new URL(challenge.redirectUri);
  if (/^https?:\/\/|[?&]state=|^code=/i.test(text)) {
    // Only the query counts: some browsers leave the scheme out of what they copy.
    const query = new URLSearchParams(/^[^?#]*\?([^#]*)/.exec(text)?.[1] ?? text);
    if (!query.has('code') && !query.has('error')) throw notAResponse('there is no code in it');
    if (!statesOf(challenge).includes(query.get('state') ?? '')) throw notAResponse('it belongs to another sign-in');
    expected.search = query.toString();
    return expected;
  }
  if (!/^[\x21-\x7e]+$/.test(text) || text.length < SHORTEST_CODE || text.length > LONGEST_CODE)
    throw notAResponse('it is neither an address nor a code');
  expected.searchParams.set('code', text);
  expected.searchParams.set('state', challenge.state);
  if (client.issuer !== undefined) expected.searchParams.set('iss', client.issuer);
  return expected;
}

function statesOf({ state, led }: Pick<Challenge, 'state' | 'led'>): string[] {
  return [state, led.state];
}

function notAResponse(why: string): CmsError {
  return new CmsError('protocol_error', `what was pasted cannot be used: ${why}`, {
    suggestions: ['paste the whole address that the browser shows at the end, or the code alone'],
  });
}

async function makeChallenge({ client, login }: SignInOptions, redirectUri: string): Promise<Challenge> {
  const oidc = await import('openid-client');
  if (client.authorization_endpoint === undefined) {
    throw new CmsError('config_invalid', 'no authorization endpoint is known, so a browser cannot be used', {
      suggestions: ['give --authorization-endpoint URL, or --flow device'],
    });
  }
  const codeVerifier = new Secret(oidc.randomPKCECodeVerifier());
  const state = oidc.randomState();
  const nonce = client.scope.split(' ').includes('openid') ? oidc.randomNonce() : undefined;
  const url = oidc.buildAuthorizationUrl(configure(client).config, {
    ...withLogin(client.authorization_params, login),
    redirect_uri: redirectUri,
    scope: client.scope,
    code_challenge: await oidc.calculatePKCECodeChallenge(codeVerifier.reveal()),
    code_challenge_method: 'S256',
    state,
    ...(nonce !== undefined && { nonce }),
  });
  const led = new URL(url);
  const ledState = oidc.randomState();
  led.searchParams.set('state', ledState);
  return { url: url.href, redirectUri, state, led: { url: led.href, state: ledState }, nonce, codeVerifier };
}

function withLogin(parameters: Record<string, string>, login: string): Record<string, string> {
  return Object.fromEntries(
    Object.entries(parameters).map(([name, value]) => [name, value.replaceAll('{login}', login)]),
  );
}

async function redeem(options: SignInOptions, challenge: Challenge, response: URL): Promise<SignedIn> {
  const { client, clientSecret } = options;
  const { authorizationCodeGrant } = await import('openid-client');
  const { nonce, codeVerifier } = challenge;
  const state = response.searchParams.get('state') ?? '';
  if (!statesOf(challenge).includes(state)) throw notAResponse('it belongs to another sign-in');
  const sent = [state, response.searchParams.get('code') ?? ''].map((value) => new Secret(value));
  const secrets = [codeVerifier, ...sent, ...(clientSecret === undefined ? [] : [clientSecret])];
  options.signal.throwIfAborted();
  return unlessAbandoned(options, async () => {
    let configured: ConfiguredClient | undefined;
    try {
      configured = configure(client, { clientSecret });
      await authorizationCodeGrant(configured.config, comparable(response, client), {
        pkceCodeVerifier: codeVerifier.reveal(),
        expectedState: state,
      });
      return await readSignIn(configured, options, nonce);
    } catch (error) {
      throw signInFailure(error, configured, secrets, options);
    }
  });
}

/** Without a fixed issuer there is nothing that `iss` could be compared with. @see RFC 9207 section 2.4 */
function comparable(response: URL, client: OAuthClient): URL {
  if (hasFixedIssuer(client)) return response;
  const url = new URL(response);
  url.searchParams.delete('iss');
  return url;
}
