/** The one thing that the token service asks of the OAuth layer: a refresh token in, an outcome as a value out. */
import type { OAuthClient } from '../../accounts/account.ts';
import type { Secret } from '../../core/secret.ts';

/** A token response, read but not judged by the clock. @see RFC 6749 section 5.1 */
export interface Granted extends Renewed {
  kind: 'granted';
  access_token: Secret;
  /** Seconds, clamped. */
  expires_in: number;
  scope?: string;
}

/** What an answer says of the refresh token. */
export interface Renewed {
  /** Only where the provider rotates or issues one. */
  refresh_token?: Secret;
  /** Seconds; only where the provider says it. */
  refresh_token_expires_in?: number;
}

/** What an answer comes to, or that there was none. */
export type AnswerOutcome =
  | Granted
  /** A well-formed error that only a person can fix. @see RFC 6749 section 5.2 */
  | { kind: 'authorization_required'; error: string; error_description?: string }
  /** The client, its secret or its permissions are wrong. */
  | { kind: 'client_invalid'; error: string; error_description?: string }
  /**
   * The access token that came is not of the form or length that mail servers take. The refresh token with it counts:
   * the one that was sent may be good no more. Where only the length is wrong, it is `granted` as well: a trial login
   * may show that a server takes it.
   */
  | ({ kind: 'unusable'; message: string; granted?: Granted } & Renewed)
  /** Everything else: network, time-outs, 5xx, 429, pages instead of JSON. */
  | { kind: 'temporary'; message: string; retry_after?: number };

export type ExchangeOutcome =
  | AnswerOutcome
  /** Nothing was sent: an authority, a proxy or an endpoint that is set here cannot be used. */
  | { kind: 'config_invalid'; message: string };

export type Exchange = (client: OAuthClient, refreshToken: Secret, clientSecret?: Secret) => Promise<ExchangeOutcome>;
