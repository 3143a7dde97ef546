/**
 * What the vault keeps about one account. The secrets are sealed; the rest is readable without the key, so that the
 * state of an account can be told while the keyring is locked. All of it is authenticated.
 *
 * Times are milliseconds since the epoch.
 */
import type { ErrorCode } from '../core/errors.ts';
import type { Secret } from '../core/secret.ts';

export interface GrantRecord {
  address: string;
  /** Random, new with each sign-in: a refresh that began before a sign-in must not overwrite it. */
  grant_id: string;
  state: 'active' | 'authorization_required';
  /** Why a person is needed; only with `authorization_required`. */
  reason?: {
    error: string;
    description?: string;
    /** The last refusal. */
    at: number;
    /** The first one in the row. */
    since?: number;
  };
  /** The last exchange failed; shared with all who waited for it, and kept until one succeeds. */
  failure?: GrantFailure;
  signed_in_at: number;
  /** Who signed in, as the provider said; absent when it did not say. */
  identity?: string;
  /** The name that this person signs in with, where the provider said another one than `identity`. */
  username?: string;
  /** Of the access token in `secrets`. */
  issued_at?: number;
  expires_at?: number;
  /** When the refresh token ends, where the provider said so with it. */
  refresh_token_expires_at?: number;
  /** A refresh has moved that end on: it only comes without refreshes. */
  refresh_token_extended?: boolean;
  /** How long the sign-ins before this one lasted until a person was needed, in milliseconds; the newest last. */
  sign_in_lives?: number[];
  secrets: GrantSecrets;
}

/** What can be read without the key. */
export type GrantHeader = Omit<GrantRecord, 'secrets'>;

export interface GrantFailure {
  code: ErrorCode;
  message: string;
  at: number;
  /** When the first one in the row was. */
  since: number;
  /** No exchange before this, unless a caller insists. */
  retry_at: number;
  /** Failures in a row. */
  count: number;
}

export interface GrantSecrets {
  refresh_token?: Secret;
  /** The one before; kept until `refresh_token` has been accepted once. */
  previous_refresh_token?: Secret;
  /** Whether the provider has ever taken `refresh_token`. */
  refresh_token_accepted?: boolean;
  access_token?: Secret;
  scope?: string;
  client_secret?: Secret;
  /** For a client that registered itself. @see RFC 7592 section 3 */
  registration_access_token?: Secret;
  /** An app password, for accounts without OAuth. */
  password?: Secret;
  /** Where the refresh token was issued: it is never sent anywhere else. */
  binding?: { issuer?: string; token_endpoint: string; client_id: string; revocation_endpoint?: string };
  /** An exchange was begun; still there after a crash between request and answer. */
  attempt?: { at: number };
}
