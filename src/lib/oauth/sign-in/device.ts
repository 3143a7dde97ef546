/** Signing in on another device with a short code. @see RFC 8628 */
import { setTimeout as sleep } from 'node:timers/promises';
import { uninterrupted } from '../../os/ending.ts';
import { CmsError } from '../../core/errors.ts';
import { Secret } from '../../core/secret.ts';
import type { Configuration, customFetch } from 'openid-client';
import { type ConfiguredClient, configure } from '../client/client.ts';
import { causeIn, NoAnswer } from '../http/http.ts';
import { readSignIn, type SignedIn, signInFailure, type SignInOptions, unlessAbandoned } from './sign-in.ts';

export interface DeviceCode {
  verification_uri: string;
  user_code: string;
  /** Seconds. */
  expires_in: number;
}

export interface DeviceSignInOptions extends SignInOptions {
  show: (code: DeviceCode) => void;
}

/**
 * Shows a code and polls until it was entered, honouring `interval` and `slow_down`.
 * @throws CmsError `access_denied` (refused, or not entered in time), `client_invalid`, `temporarily_unavailable`,
 * `protocol_error`, `authorization_required` (no refresh token), and the signal's reason
 */
export async function signInWithDevice(options: DeviceSignInOptions): Promise<SignedIn> {
  const { client, clientSecret, show, signal } = options;
  const oidc = await import('openid-client');
  if (client.device_authorization_endpoint === undefined) {
    throw new CmsError('config_invalid', 'this provider has no device authorization endpoint', {
      suggestions: ['--flow manual works without a browser on this machine'],
    });
  }
  let configured: ConfiguredClient | undefined;
  const polling = new AbortController();
  const secrets = clientSecret === undefined ? [] : [clientSecret];
  try {
    configured = configure(client, { clientSecret, signal });
    const code = await oidc.initiateDeviceAuthorization(configured.config, { scope: client.scope });
    secrets.push(new Secret(code.device_code));
    show(presentable(code));
    // A poll on its way may bring the grant: it is not cut off.
    const polled = configure(client, { clientSecret });
    configured = polled;
    const { config } = polled;
    const { [oidc.customFetch]: inner } = config;
    if (inner !== undefined) config[oidc.customFetch] = patiently(inner, signal);
    await Promise.race([
      oidc.pollDeviceAuthorizationGrant(config, code, undefined, {
        signal: AbortSignal.any([signal, polling.signal]),
      }),
      expiry(code.expires_in, polling.signal),
    ]);
    return await unlessAbandoned(options, () => readSignIn(polled, options, undefined));
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    throw signInFailure(error, configured, secrets, options);
  } finally {
    polling.abort();
  }
}

type Fetch = NonNullable<Configuration[typeof customFetch]>;

/** So many polls that came to nothing make the next ones rarer, by 5 s each. */
const MOST_SLOWER = 6;

/**
 * A poll that fails in a way that passes says nothing about the code, which stays good: it is taken for `slow_down`.
 * @see RFC 8628 section 3.5
 */
function patiently(inner: Fetch, signal: AbortSignal): Fetch {
  let failures = 0;
  const later = (headers?: Headers): Response => {
    const error = failures++ < MOST_SLOWER ? 'slow_down' : 'authorization_pending';
    const wait = headers?.get('retry-after');
    return Response.json({ error }, { status: 400, headers: wait ? { 'retry-after': wait } : {} });
  };
  return async (...request) => {
    try {
      const answer = await uninterrupted(() => inner(...request));
      return (await passes(answer.clone())) ? later(answer.headers) : answer;
    } catch (error) {
      if (signal.aborted || causeIn(error, NoAnswer) === undefined) throw error;
      return later();
    }
  };
}

/** A page instead of JSON, a status that speaks of the server and not of the code, or an error that says so. */
async function passes(answer: Response): Promise<boolean> {
  const { status } = answer;
  if (status === 408 || status === 425 || status === 429 || status >= 500) return true;
  const said: unknown = await answer.json().catch(() => undefined);
  if (typeof said !== 'object' || said === null) return status === 200;
  const { error } = said as { error?: unknown };
  return typeof error === 'string' && (error === 'server_error' || error === 'temporarily_unavailable');
}

/** What goes to a terminal must not steer it. @throws CmsError `protocol_error` */
function presentable<T extends DeviceCode>(code: T): T {
  if (/^https?:\/\/[\x21-\x7e]+$/.test(code.verification_uri) && /^[\x20-\x7e]{1,100}$/.test(code.user_code))
    return code;
  throw new CmsError('protocol_error', 'the provider sent a code or an address for it that cannot be shown');
}

/** No sign-in waits longer for a person, and timers overflow after 24 days. */
const MAX_WAIT_SECONDS = 3600;

/** The provider need not tell that the code has expired; this clock does. */
async function expiry(seconds: number, signal: AbortSignal): Promise<never> {
  await sleep(Math.min(seconds, MAX_WAIT_SECONDS) * 1000, undefined, { signal });
  throw new CmsError('access_denied', 'the code expired before it was entered', {
    suggestions: ['run the command again and enter the new code'],
  });
}
