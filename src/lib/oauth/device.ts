/** Signing in on another device with a short code. @see RFC 8628 */
import { setTimeout as sleep } from 'node:timers/promises';
import { CmsError } from '../errors.ts';
import { Secret } from '../secret.ts';
import { type ConfiguredClient, configure } from './client.ts';
import { readSignIn, type SignedIn, signInFailure, type SignInOptions } from './sign-in.ts';

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
  const { initiateDeviceAuthorization, pollDeviceAuthorizationGrant } = await import('openid-client');
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
    const code = await initiateDeviceAuthorization(configured.config, { scope: client.scope });
    secrets.push(new Secret(code.device_code));
    show(presentable(code));
    await Promise.race([
      pollDeviceAuthorizationGrant(configured.config, code, undefined, {
        signal: AbortSignal.any([signal, polling.signal]),
      }),
      expiry(code.expires_in, polling.signal),
    ]);
    return await readSignIn(configured, options, undefined);
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    throw signInFailure(error, configured, secrets, options);
  } finally {
    polling.abort();
  }
}

/** What goes to a terminal must not steer it. @throws CmsError `protocol_error` */
function presentable<T extends DeviceCode>(code: T): T {
  if (/^https?:\/\/[\x21-\x7e]+$/.test(code.verification_uri) && /^[\x20-\x7e]{1,100}$/.test(code.user_code))
    return code;
  throw new CmsError('protocol_error', 'the provider sent a code or an address for it that cannot be shown');
}

/** Nobody waits longer for a person, and timers overflow after 24 days. */
const MAX_WAIT_SECONDS = 3600;

/** The provider need not tell that the code has expired; this clock does. */
async function expiry(seconds: number, signal: AbortSignal): Promise<never> {
  await sleep(Math.min(seconds, MAX_WAIT_SECONDS) * 1000, undefined, { signal });
  throw new CmsError('access_denied', 'the code expired before it was entered', {
    suggestions: ['run the command again and enter the new code'],
  });
}
