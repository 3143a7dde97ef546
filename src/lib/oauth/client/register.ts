/** A client that registers itself, if the server allows it: no form to fill in. @see RFC 7591 */
import type { OAuthClient } from '../../accounts/account.ts';
import { parseEndpoint } from '../../core/endpoint.ts';
import { CmsError } from '../../core/errors.ts';
import { Secret } from '../../core/secret.ts';
import { describe } from '../token/classify.ts';
import { request, unreachable } from '../http/http.ts';
import { isVisibleAscii } from '../../core/values.ts';

export interface RegistrationRequest {
  registration_endpoint: string;
  redirect: OAuthClient['redirect'];
  /** Whether the server has a device authorization endpoint. */
  device: boolean;
  ca_file?: string | undefined;
}

export interface RegisteredClient {
  client: Pick<OAuthClient, 'client_id' | 'token_endpoint_auth_method' | 'registration_client_uri'>;
  client_secret?: Secret;
  registration_access_token?: Secret;
}

/** The name that consent pages show. */
const CLIENT_NAME = 'cms';

/**
 * Registers a public native client.
 * @throws CmsError `client_invalid` (the server wants to be asked by its administrator), `temporarily_unavailable`,
 * `protocol_error`
 */
export async function registerClient(wanted: RegistrationRequest): Promise<RegisteredClient> {
  const { registration_endpoint, ca_file: caFile } = wanted;
  const { host } = new URL(registration_endpoint);
  const { status, body } = await request(registration_endpoint, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json' },
    body: JSON.stringify(metadataOf(wanted)),
    caFile,
  }).catch((error: unknown) => {
    throw unreachable(error);
  });
  const json = objectIn(body);
  // Some servers say 200 for 201.
  if (status === 201 || status === 200) return readRegistration(json, host);
  throw refused(host, status, json);
}

/** @see RFC 7591 section 2 */
function metadataOf({ redirect, device }: RegistrationRequest): Record<string, unknown> {
  const { host, port, path } = redirect;
  return {
    client_name: CLIENT_NAME,
    application_type: 'native',
    // RFC 8252 section 7.3: without a port, any is good.
    redirect_uris: [`http://${host}${port === undefined ? '' : `:${port}`}${path}`],
    grant_types: [
      'authorization_code',
      'refresh_token',
      ...(device ? ['urn:ietf:params:oauth:grant-type:device_code'] : []),
    ],
    response_types: ['code'],
    token_endpoint_auth_method: 'none',
  };
}

/** Pure. @throws CmsError `protocol_error` @see RFC 7591 section 3.2.1 */
function readRegistration(json: Record<string, unknown> | undefined, host: string): RegisteredClient {
  const { client_id, client_secret, token_endpoint_auth_method: method } = json ?? {};
  const { registration_access_token: token, registration_client_uri: uri } = json ?? {};
  if (!isVisibleAscii(client_id)) throw new CmsError('protocol_error', `${host} registered cms, but sent no client id`);
  const secret = isVisibleAscii(client_secret) && method !== 'none' ? new Secret(client_secret) : undefined;
  // Without the method the answer means the default, which is basic. RFC 7591 section 2
  const sent = method === 'client_secret_post' ? method : 'client_secret_basic';
  const manageable = isVisibleAscii(token) && isVisibleAscii(uri);
  return {
    client: {
      client_id,
      token_endpoint_auth_method: secret === undefined ? 'none' : sent,
      ...(manageable && { registration_client_uri: parseEndpoint(uri, 'registration client URI').href }),
    },
    ...(secret !== undefined && { client_secret: secret }),
    ...(manageable && { registration_access_token: new Secret(token) }),
  };
}

/** Deletes a client that registered itself. Never throws for what a server or network can do. @see RFC 7592 section 2.3 */
export async function unregisterClient(client: Partial<OAuthClient>, token: Secret | undefined): Promise<boolean> {
  const { registration_client_uri: uri, ca_file: caFile } = client;
  if (uri === undefined || token === undefined) return false;
  try {
    const headers = { authorization: `Bearer ${token.reveal()}` };
    return (await request(uri, { method: 'DELETE', headers, caFile })).status === 204;
  } catch {
    return false;
  }
}

function refused(host: string, status: number, json: Record<string, unknown> | undefined): CmsError {
  if (status === 429 || status >= 500) {
    return new CmsError('temporarily_unavailable', `${host} answered ${status} when cms wanted to register itself`, {
      suggestions: ['run the command again later'],
    });
  }
  const words = [json?.error, json?.error_description].map((each) => describe(each, [])).filter(Boolean);
  const why = words.length > 0 ? words.join(': ') : `it answered ${status}`;
  return new CmsError('client_invalid', `${host} does not let cms register itself (${why})`, {
    suggestions: [
      'ask its administrator for a client: public, authorization code with PKCE, redirect URI http://127.0.0.1/',
      'cms account add ADDRESS --client-id ID',
    ],
  });
}

function objectIn(body: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
