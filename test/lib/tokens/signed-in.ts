/** An account that is signed in at the embedded provider, without any of the ways to sign in. */
import type { OAuthAccount } from '../../../src/lib/accounts/account.ts';
import { type Context, openContext } from '../../../src/lib/context.ts';
import { prepareVault, storeSignIn } from '../../../src/lib/enrol/store-account.ts';
import type { Environment } from '../../../src/lib/os/paths.ts';
import { type EmbeddedProvider, ENDPOINT } from '../../support/provider.ts';
import { obtainTokens } from '../../support/tokens.ts';
import { Secret } from '../../../src/lib/core/secret.ts';

export const JANE = 'jane@example.org';

export function accountAt(provider: EmbeddedProvider, address = JANE): OAuthAccount {
  return {
    kind: 'oauth',
    address,
    provider: 'custom',
    login: address,
    smtp_user: address,
    imap_user: address,
    aliases: [],
    protocols: ['smtp', 'imap'],
    servers: {},
    created_at: '2026-01-01T00:00:00.000Z',
    client: {
      client_id: provider.clientId,
      token_endpoint_auth_method: 'none',
      issuer: provider.issuer,
      token_endpoint: provider.tokenEndpoint,
      revocation_endpoint: provider.issuer + ENDPOINT.revocation,
      scope: 'openid email offline_access mail.smtp mail.imap',
      authorization_params: {},
      redirect: { host: '127.0.0.1', path: '/' },
    },
  };
}

/** Signs in and stores. `age` in milliseconds lets the access token look older than it is. */
export async function signInAccount(
  env: Environment,
  provider: EmbeddedProvider,
  { age = 0, address = JANE }: { age?: number; address?: string } = {},
): Promise<{ context: Context; account: OAuthAccount; refreshToken: string; accessToken: string }> {
  const context = openContext(env);
  await prepareVault(context, { store: 'file', interactive: false });
  const { access_token, refresh_token, expires_in } = await obtainTokens(provider, address);
  const account = accountAt(provider, address);
  const issued_at = Date.now() - age;
  await storeSignIn(context, account, {
    access_token: new Secret(access_token),
    refresh_token: new Secret(refresh_token),
    expires_in,
    issued_at,
    identity: address,
  });
  provider.clearRequests();
  return { context, account, refreshToken: refresh_token, accessToken: access_token };
}
