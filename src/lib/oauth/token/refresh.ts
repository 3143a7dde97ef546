/**
 * The refresh token grant (RFC 6749 section 6), its outcome as a value. One form and one answer, which are judged here in
 * any case: a process that refreshes by itself does not wait for openid-client to be loaded.
 */
import type { OAuthClient } from '../../accounts/account.ts';
import { parseEndpoint } from '../../core/endpoint.ts';
import { CmsError } from '../../core/errors.ts';
import type { Secret } from '../../core/secret.ts';
import { classifyTokenAnswer } from './classify.ts';
import { endpointAnswer } from '../http/endpoint-answer.ts';
import { causeIn, NoAnswer, request } from '../http/http.ts';
import type { Exchange, ExchangeOutcome } from './exchange.ts';

/** Exchanges a refresh token. Never throws for what a provider, a network or a setting can do. */
export const exchangeRefreshToken: Exchange = async (client, refreshToken, clientSecret): Promise<ExchangeOutcome> => {
  try {
    const { href } = parseEndpoint(client.token_endpoint, 'token endpoint');
    const { headers, body } = refreshRequest(client, refreshToken, clientSecret);
    const answer = await request(href, { method: 'POST', headers, body, caFile: client.ca_file });
    const secrets = clientSecret === undefined ? [refreshToken] : [refreshToken, clientSecret];
    return classifyTokenAnswer(endpointAnswer(answer, href), secrets);
  } catch (error) {
    const noAnswer = causeIn(error, NoAnswer);
    if (noAnswer !== undefined) return { kind: 'temporary', message: `cannot reach ${noAnswer.message}` };
    if (error instanceof CmsError && error.code === 'config_invalid')
      return { kind: 'config_invalid', message: error.message };
    throw error;
  }
};

/**
 * What is sent. Pure.
 * @see RFC 6749 section 6, and section 2.3.1 for how the client says who it is
 */
export function refreshRequest(
  client: OAuthClient,
  refreshToken: Secret,
  clientSecret?: Secret,
): { headers: Record<string, string>; body: URLSearchParams } {
  const method = clientSecret === undefined ? 'none' : client.token_endpoint_auth_method;
  const secret = clientSecret?.reveal() ?? '';
  return {
    headers: {
      accept: 'application/json',
      'content-type': 'application/x-www-form-urlencoded;charset=UTF-8',
      'user-agent': 'cms-oauth',
      ...(method === 'client_secret_basic' && { authorization: basic(client.client_id, secret) }),
    },
    body: new URLSearchParams({
      grant_type: 'refresh_token',
      refresh_token: refreshToken.reveal(),
      ...(client.refresh_scope !== undefined && { scope: client.refresh_scope }),
      ...(method !== 'client_secret_basic' && { client_id: client.client_id }),
      ...(method !== 'client_secret_basic' && method !== 'none' && { client_secret: secret }),
    }),
  };
}

/** Both are encoded as in a form before they are joined, so that a colon in the id is no end of it. */
function basic(id: string, secret: string): string {
  const encoded = [id, secret].map((text) => new URLSearchParams([['', text]]).toString().slice(1));
  return `Basic ${Buffer.from(encoded.join(':')).toString('base64')}`;
}
