/** Giving a grant back. @see RFC 7009 */
import type { OAuthClient } from '../../accounts/account.ts';
import type { Secret } from '../../core/secret.ts';
import { describe } from './classify.ts';
import { causeIn, NoAnswer } from '../http/http.ts';

/** What became of it; a provider that cannot revoke is told apart from one that failed to. */
export type Revocation = 'revoked' | 'unsupported' | { failed: string };

/** Revokes a refresh token, and with it the grant. Never throws for what a provider or network can do. */
export async function revokeRefreshToken(
  client: OAuthClient,
  refreshToken: Secret,
  clientSecret?: Secret,
): Promise<Revocation> {
  if (client.revocation_endpoint === undefined) return 'unsupported';
  const [{ tokenRevocation }, { configure }] = await Promise.all([
    import('openid-client'),
    import('../client/client.ts'),
  ]);
  try {
    await tokenRevocation(configure(client, { clientSecret }).config, refreshToken.reveal(), {
      token_type_hint: 'refresh_token',
    });
    return 'revoked';
  } catch (error) {
    const noAnswer = causeIn(error, NoAnswer);
    if (noAnswer !== undefined) return { failed: `cannot reach ${noAnswer.message}` };
    const sent = clientSecret === undefined ? [refreshToken] : [refreshToken, clientSecret];
    const code = describe((error as { error?: unknown }).error, sent);
    return { failed: code ?? 'the provider did not accept the request' };
  }
}
