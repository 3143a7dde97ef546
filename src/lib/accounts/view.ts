/** An account as it is shown and printed as JSON: never a secret. */
import type { GrantHeader } from '../store/grant.ts';
import type { Account } from './account.ts';

export interface AccountView {
  address: string;
  kind: Account['kind'];
  provider: string;
  login: string;
  smtp_user: string;
  imap_user: string;
  aliases: string[];
  protocols: string[];
  servers: Account['servers'];
  created_at: string;
  issuer?: string;
  token_endpoint?: string;
  client_id?: string;
  scope?: string;
}

export function accountView(account: Account): AccountView {
  const { kind, address, provider, login, smtp_user, imap_user, aliases, protocols, servers, created_at } = account;
  const common = { address, kind, provider, login, smtp_user, imap_user, aliases, protocols, servers, created_at };
  if (account.kind === 'password') return common;
  const { issuer, token_endpoint, client_id, scope } = account.client;
  return { ...common, ...(issuer !== undefined && { issuer }), token_endpoint, client_id, scope };
}

export interface GrantView {
  state: 'ok' | 'authorization_required' | 'failing' | 'not_signed_in' | 'unreadable';
  /** Why, where the state is not ok. */
  reason?: string;
  /** ISO 8601. */
  signed_in_at?: string;
  identity?: string;
  access_token_expires_at?: string;
  last_refresh_at?: string;
}

/** What the vault says about an account, as far as it can be read without the key. */
export function grantView(header: GrantHeader | undefined): GrantView {
  if (header === undefined) return { state: 'not_signed_in', reason: 'no sign-in is stored' };
  const { state, reason, failure, identity, issued_at, expires_at } = header;
  const dates = {
    signed_in_at: iso(header.signed_in_at),
    ...(identity !== undefined && { identity }),
    ...(issued_at !== undefined && { last_refresh_at: iso(issued_at) }),
    ...(expires_at !== undefined && { access_token_expires_at: iso(expires_at) }),
  };
  if (state === 'authorization_required') {
    return {
      state,
      ...(reason && { reason: [reason.error, reason.description].filter(Boolean).join(': ') }),
      ...dates,
    };
  }
  return failure === undefined ? { state: 'ok', ...dates } : { state: 'failing', reason: failure.message, ...dates };
}

function iso(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}
