/** Giving a grant back. @see RFC 7009 */
import type { OAuthClient } from '../accounts/account.ts';
import { NoAnswer } from './http.ts';

/** What became of it; a provider that cannot revoke is told apart from one that failed to. */
export type Revocation = 'revoked' | 'unsupported' | { failed: string };

/** Revokes a refresh token, and with it the grant. Never throws for what a provider or network can do. */
export async function revokeRefreshToken(
  client: OAuthClient,
  refreshToken: string,
  clientSecret?: string,
): Promise<Revocation> {
  if (client.revocation_endpoint === undefined) return 'unsupported';
  const [{ tokenRevocation }, { configure }] = await Promise.all([import('openid-client'), import('./client.ts')]);
  try {
    await tokenRevocation(configure(client, { clientSecret }).config, refreshToken, {
      token_type_hint: 'refresh_token',
    });
    return 'revoked';
  } catch (error) {
    if (error instanceof NoAnswer) return { failed: `cannot reach ${error.message}` };
    const code = (error as { error?: unknown }).error;
    return { failed: typeof code === 'string' ? code.slice(0, 100) : 'the provider did not accept the request' };
  }
}
