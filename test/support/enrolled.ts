/** Accounts in the stores of a temporary home, signed in without the program's own dialogue. */
import type { MailServer, OAuthAccount, PasswordAccount } from '../../src/lib/accounts/account.ts';
import { openContext } from '../../src/lib/context.ts';
import { prepareVault, storePassword, storeSignIn } from '../../src/lib/enrol/store-account.ts';
import type { Environment } from './processes.ts';
import type { EmbeddedProvider } from './provider.ts';
import { obtainTokens } from './tokens.ts';
import { Secret } from '../../src/lib/core/secret.ts';

type AccountChange = Partial<Pick<OAuthAccount, 'smtp_user' | 'aliases' | 'login'>>;

/** Signs `address` (or its `login`) in at the provider and stores the account as `account add` would. */
export async function enrolOauth(
  env: Environment,
  provider: EmbeddedProvider,
  address: string,
  smtp: MailServer,
  change: AccountChange = {},
): Promise<OAuthAccount> {
  const account = oauthAccount(provider, address, smtp, change);
  const { access_token, refresh_token, expires_in } = await obtainTokens(provider, account.login);
  await storeTokens(env, account, { access_token, refresh_token, expires_in });
  return account;
}

/** An account whose grant the provider does not know any more. */
export async function enrolRevoked(
  env: Environment,
  provider: EmbeddedProvider,
  address: string,
  smtp: MailServer,
): Promise<OAuthAccount> {
  const account = oauthAccount(provider, address, smtp, {});
  await storeTokens(env, account, { access_token: 'expired', refresh_token: 'revoked', expires_in: 0 });
  return account;
}

export async function enrolPassword(env: Environment, address: string, smtp: MailServer, password: string) {
  const account: PasswordAccount = { ...common(address, smtp), kind: 'password' };
  const context = openContext(env);
  await prepareVault(context, { store: 'file', interactive: false });
  await storePassword(context, account, new Secret(password));
  return account;
}

interface Tokens {
  access_token: string;
  refresh_token: string;
  expires_in: number;
}

async function storeTokens(env: Environment, account: OAuthAccount, tokens: Tokens): Promise<void> {
  const context = openContext(env);
  await prepareVault(context, { store: 'file', interactive: false });
  await storeSignIn(context, account, {
    access_token: new Secret(tokens.access_token),
    refresh_token: new Secret(tokens.refresh_token),
    expires_in: tokens.expires_in,
    issued_at: Date.now(),
    identity: account.login,
  });
}

function oauthAccount(
  provider: EmbeddedProvider,
  address: string,
  smtp: MailServer,
  change: AccountChange,
): OAuthAccount {
  return {
    ...common(address, smtp),
    ...change,
    kind: 'oauth',
    client: {
      client_id: provider.clientId,
      token_endpoint_auth_method: 'none',
      issuer: provider.issuer,
      token_endpoint: provider.tokenEndpoint,
      scope: 'openid email offline_access mail.smtp mail.imap',
      authorization_params: {},
      redirect: { host: '127.0.0.1', path: '/' },
    },
  };
}

function common(address: string, smtp: MailServer) {
  return {
    address,
    provider: 'custom',
    login: address,
    smtp_user: address,
    imap_user: address,
    aliases: [],
    protocols: ['smtp' as const],
    servers: { smtp },
    created_at: new Date().toISOString(),
  };
}
