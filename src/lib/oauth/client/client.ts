/** The bridge to openid-client: our account in its words, our HTTP under it. The only place that builds its objects. */
import * as oidc from 'openid-client';
import type { OAuthClient } from '../../accounts/account.ts';
import type { Secret } from '../../core/secret.ts';
import { isLoopbackUrl, parseEndpoint } from '../../core/endpoint.ts';
import { type Members, readMembers } from '../http/answer.ts';
import { isRefusal, type TokenEndpointAnswer } from '../token/classify.ts';
import { endpointAnswer } from '../http/endpoint-answer.ts';
import { clockAheadSeconds, type HttpAnswer, request } from '../http/http.ts';
import { isKnownCode, problemIn } from '../http/problem.ts';

/** Seconds by which the clocks of provider and host may differ before an id_token is refused. */
const CLOCK_TOLERANCE_SECONDS = 300;

/** Of userinfo that comes as a JWT; TLS stands in for the signature. */
const USERINFO_SIGNATURES = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'];

export interface ConfiguredClient {
  config: oidc.Configuration;
  /** The last answer of the token endpoint, or of the device authorization endpoint. */
  observed: () => TokenEndpointAnswer | undefined;
  /** Seconds by which the clock here was ahead of the provider's then. */
  clockAhead: () => number | undefined;
}

interface Options {
  clientSecret?: Secret | undefined;
  signal?: AbortSignal | undefined;
}

export function configure(client: OAuthClient, { clientSecret, signal }: Options = {}): ConfiguredClient {
  let observed: TokenEndpointAnswer | undefined;
  let clockAhead: number | undefined;
  const config = new oidc.Configuration(
    serverMetadata(client),
    client.client_id,
    { [oidc.clockTolerance]: CLOCK_TOLERANCE_SECONDS },
    clientAuthentication(client, clientSecret),
  );
  if ([client.token_endpoint, client.authorization_endpoint ?? ''].some(isLoopbackUrl)) {
    // Plain http is for servers on this machine; every endpoint was checked when the account was added.
    // eslint-disable-next-line @typescript-eslint/no-deprecated
    oidc.allowInsecureRequests(config);
  }
  config[oidc.customFetch] = async (url, { method, headers, body }) => {
    const answer = await request(url, { method, headers, body, caFile: client.ca_file }, signal);
    const isDevice = url === client.device_authorization_endpoint;
    if (isDevice || url === client.token_endpoint) {
      observed = { ...endpointAnswer(answer, url), ...(isDevice && { endpoint: 'device authorization endpoint' }) };
      clockAhead = clockAheadSeconds(answer.headers, Date.now());
    }
    return presented(answer, url === client.userinfo_endpoint || url === client.jwks_uri ? 'data' : 'answer');
  };
  return { config, observed: () => observed, clockAhead: () => clockAhead };
}

function serverMetadata(client: OAuthClient): oidc.ServerMetadata {
  const optional = [
    'authorization_endpoint',
    'device_authorization_endpoint',
    'revocation_endpoint',
    'userinfo_endpoint',
    'jwks_uri',
  ] as const;
  const known = optional.flatMap((name) => (client[name] === undefined ? [] : [[name, client[name]] as const]));
  return {
    // A server known by its endpoints alone has no issuer; nothing is compared with this stand-in.
    issuer: client.issuer ?? parseEndpoint(client.token_endpoint, 'token endpoint').origin,
    token_endpoint: client.token_endpoint,
    ...Object.fromEntries(known),
    userinfo_signing_alg_values_supported: USERINFO_SIGNATURES,
    ...(client.authorization_response_iss_parameter_supported && {
      authorization_response_iss_parameter_supported: true,
    }),
  };
}

function clientAuthentication(client: OAuthClient, secret: Secret | undefined): oidc.ClientAuth {
  if (secret === undefined || client.token_endpoint_auth_method === 'none') return oidc.None();
  if (client.token_endpoint_auth_method === 'client_secret_basic') return oidc.ClientSecretBasic(secret.reveal());
  return oidc.ClientSecretPost(secret.reveal());
}

/**
 * What came, in the form of the standards, as `readMembers` has it. The id_token is kept from the library, which would
 * take none but those of its one default algorithm and of a fixed issuer; see `identity.ts`.
 * @param kind whether it is about the request, and so may be an error
 */
function presented(answer: HttpAnswer, kind: 'answer' | 'data'): Response {
  const { status, body } = answer;
  const headers = new Headers([...answer.headers]);
  if (isNullBodyStatus(status)) return new Response(null, { status, headers });
  const members = readMembers(body);
  const error = kind === 'answer' ? errorIn(answer, members) : undefined;
  if (error !== undefined) {
    // In its place the library would see the header alone.
    headers.delete('www-authenticate');
    headers.set('content-type', 'application/json');
    return new Response(JSON.stringify(error), { status: 400, headers });
  }
  if (members === undefined) return new Response(body, { status, headers });
  const { id_token: _taken, ...others } = members;
  return new Response(JSON.stringify(others), { status, headers });
}

/** An error of OAuth's, also one that is told in another way: within a 200, or wrapped in something. */
function errorIn({ status, headers, body }: HttpAnswer, members: Members | undefined): object | undefined {
  if (members?.access_token !== undefined || members?.device_code !== undefined) return undefined;
  if (status !== 200 && !isRefusal(status)) return undefined;
  const { error, description } = problemIn(body, headers.get('www-authenticate')) ?? {};
  if (error === undefined || !isKnownCode(error)) return undefined;
  return { error, ...(description !== undefined && { error_description: description }) };
}

function isNullBodyStatus(status: number): boolean {
  return status === 204 || status === 205 || status === 304;
}
