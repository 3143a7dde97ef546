/** Accounts as exim's generator sees them. */
import type { Account, MailServer } from '../../../src/lib/accounts/account.ts';

export const STARTTLS: MailServer = { host: 'smtp.example.org', port: 587, tls: 'starttls' };
export const IMPLICIT: MailServer = { host: 'mail.example.net', port: 465, tls: 'implicit' };

type Change = Partial<Pick<Account, 'smtp_user' | 'aliases' | 'protocols' | 'servers'>>;

export function oauthAccount(address: string, change: Change = {}): Account {
  return {
    ...common(address, change),
    kind: 'oauth',
    client: {
      client_id: 'id',
      token_endpoint: 'https://login.example.org/token',
      token_endpoint_auth_method: 'none',
      scope: 'mail',
      authorization_params: {},
      redirect: { host: '127.0.0.1', path: '/' },
    },
  };
}

export function passwordAccount(address: string, change: Change = {}): Account {
  return { ...common(address, change), kind: 'password' };
}

function common(address: string, change: Change) {
  return {
    address,
    provider: 'custom',
    login: address,
    smtp_user: address,
    imap_user: address,
    aliases: [],
    protocols: ['smtp' as const],
    servers: { smtp: STARTTLS },
    created_at: '2026-01-01T00:00:00.000Z',
    ...change,
  };
}
