/** A token as it is asked for and served, and the shortest way to one: it is in the vault and fresh. */
import type { OAuthAccount } from '../accounts/account.ts';
import { defectOfToken } from '../core/bearer.ts';
import type { Secret } from '../core/secret.ts';
import type { GrantRecord } from '../vault/grant.ts';
import type { Vault } from '../vault/vault.ts';
import { cannotOpen, neverSignedIn, unusableToken } from './failures.ts';
import { type KnownGrant, knownOf } from './cached-grant.ts';
import { answers, DEFAULT_MIN_VALIDITY_SECONDS, type Demand } from './schedule.ts';

export interface TokenRequest {
  /** Seconds that the token must still live; capped at half its issued lifetime. Default 600. */
  minValiditySeconds?: number;
  /** Exchange even if the token is fresh, and even if a person seems to be needed. */
  forceRefresh?: boolean;
}

export interface AccessToken {
  access_token: Secret;
  token_type: 'Bearer';
  /** Milliseconds since the epoch. */
  expires_at: number;
}

export function demandOf(request: TokenRequest, began: number): Demand {
  const { minValiditySeconds = DEFAULT_MIN_VALIDITY_SECONDS, forceRefresh = false } = request;
  return { began, minValiditySeconds, force: forceRefresh };
}

/**
 * @throws CmsError `authorization_required` where the grant has no token, `protocol_error` for one that an older version
 * stored although it cannot be used
 */
export function tokenOf({ address, access_token, expires_at }: KnownGrant): AccessToken {
  if (access_token === undefined || expires_at === undefined) throw neverSignedIn(address);
  const defect = defectOfToken(access_token.reveal());
  if (defect !== undefined) throw unusableToken(address, defect);
  return { access_token, token_type: 'Bearer', expires_at };
}

/** What the vault has for the address. @throws CmsError as `Vault.read`; `store_locked` says for whom */
export async function readGrant(vault: Vault, address: string): Promise<GrantRecord | undefined> {
  return vault.read(address).catch((error: unknown) => {
    throw cannotOpen(address, error);
  });
}

/**
 * The token in the vault, if it fulfils the request; else it takes a `TokenService`.
 * @throws CmsError as `readGrant`
 */
export async function storedToken(
  vault: Vault,
  { address }: OAuthAccount,
  request: TokenRequest,
  now: number,
): Promise<AccessToken | undefined> {
  const record = await readGrant(vault, address);
  return record !== undefined && answers(record, demandOf(request, now), now) ? tokenOf(knownOf(record)) : undefined;
}
