/** Tokens without the program under test: a sign-in done by hand, with nothing but fetch. */
import { createHash, randomBytes } from 'node:crypto';
import { signInForCallbackUrl } from './person.ts';
import { ENDPOINT } from './provider.ts';
import type { EmbeddedProvider } from './provider.ts';

export interface TokenAnswer {
  access_token: string;
  token_type: string;
  expires_in: number;
  scope: string;
  refresh_token: string;
  id_token?: string;
}

const SCOPE = 'openid email offline_access mail.smtp mail.imap';

/** Signs `login` in at the embedded provider and returns what its token endpoint answers. */
export async function obtainTokens(provider: EmbeddedProvider, login: string, scope = SCOPE): Promise<TokenAnswer> {
  const redirectUri = 'http://127.0.0.1:9/';
  const verifier = randomBytes(32).toString('base64url');
  const query = new URLSearchParams({
    client_id: provider.clientId,
    redirect_uri: redirectUri,
    response_type: 'code',
    scope,
    prompt: 'consent',
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
  });
  const url = `${provider.issuer}${ENDPOINT.authorization}?${query.toString()}`;
  const callback = new URL(await signInForCallbackUrl(url, { login }));
  return requestTokens(provider, {
    grant_type: 'authorization_code',
    code: callback.searchParams.get('code') ?? '',
    redirect_uri: redirectUri,
    code_verifier: verifier,
  });
}

/** Uses a refresh token as the public client does. */
export function refreshTokens(provider: EmbeddedProvider, refreshToken: string): Promise<TokenAnswer> {
  return requestTokens(provider, { grant_type: 'refresh_token', refresh_token: refreshToken });
}

async function requestTokens(provider: EmbeddedProvider, parameters: Record<string, string>): Promise<TokenAnswer> {
  const body = new URLSearchParams({ client_id: provider.clientId, ...parameters });
  const response = await fetch(provider.tokenEndpoint, { method: 'POST', body });
  if (!response.ok) throw new Error(`token endpoint: HTTP ${response.status} ${await response.text()}`);
  return (await response.json()) as TokenAnswer;
}
