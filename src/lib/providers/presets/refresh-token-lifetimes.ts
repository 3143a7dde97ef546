/**
 * How long sign-ins last, as far as providers say so. By the host that refreshes, not by preset: an organisation's own
 * preset, or `custom` with Google's issuer, is told the same.
 */

/**
 * `fixed`: from the sign-in on, used or not. `sliding`: each refresh brings a new token with the whole time before it.
 * `idle`: the token stays, and ends when it has not been used for so long.
 */
export interface RefreshTokenLifetime {
  kind: 'fixed' | 'sliding' | 'idle';
  days: number;
  /** It holds only then, and cms cannot see whether it does. */
  when?: string;
}

const MICROSOFT: readonly RefreshTokenLifetime[] = [{ kind: 'sliding', days: 90 }];

const LIFETIMES: readonly (readonly [origin: string, lifetimes: readonly RefreshTokenLifetime[]])[] = [
  [
    'https://oauth2.googleapis.com',
    [
      { kind: 'fixed', days: 7, when: 'the consent screen of the client is in "Testing"' },
      { kind: 'idle', days: 180 }, // six months
    ],
  ],
  ['https://login.microsoftonline.com', MICROSOFT],
  ['https://login.microsoftonline.us', MICROSOFT],
  ['https://login.partner.microsoftonline.cn', MICROSOFT],
];

/** What is known of refresh tokens from this token endpoint; empty where nothing is. */
export function refreshTokenLifetimes(tokenEndpoint: string): readonly RefreshTokenLifetime[] {
  return LIFETIMES.find(([origin]) => tokenEndpoint.startsWith(`${origin}/`))?.[1] ?? [];
}
