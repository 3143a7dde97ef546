/** The bridge to openid-client: our account in its words, our HTTP under it. The only place that builds its objects. */
import * as oidc from 'openid-client';
import type { OAuthClient } from '../accounts/account.ts';
import type { Secret } from '../secret.ts';
import { isLoopbackUrl, parseEndpoint } from '../endpoint.ts';
import { type HttpAnswer, type HttpHeaders, request } from './http.ts';

/** Seconds by which the clocks of provider and host may differ before an id_token is refused. */
const CLOCK_TOLERANCE_SECONDS = 300;

export interface ConfiguredClient {
  config: oidc.Configuration;
  /** The last answer of the token endpoint, or of the device authorization endpoint. */
  observed: () => HttpAnswer | undefined;
  /** The last id_token, where it was taken out of the answer (see `takeIdToken`). */
  idToken: () => string | undefined;
}

interface Options {
  clientSecret?: Secret | undefined;
  signal?: AbortSignal | undefined;
  /**
   * Keeps the id_token from openid-client: where the issuer is a template (Microsoft's `{tenantid}`) or not known at
   * all, it cannot be compared with one.
   */
  takeIdToken?: boolean;
}

export function configure(client: OAuthClient, { clientSecret, signal, takeIdToken }: Options = {}): ConfiguredClient {
  let observed: HttpAnswer | undefined;
  let idToken: string | undefined;
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
    let text = answer.body;
    if (url === client.token_endpoint || url === client.device_authorization_endpoint) {
      observed = answer;
      if (takeIdToken) [text, idToken] = splitIdToken(answer.body);
    }
    return new Response(isNullBodyStatus(answer.status) ? null : text, {
      status: answer.status,
      headers: bare(answer.headers),
    });
  };
  return { config, observed: () => observed, idToken: () => idToken };
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

function splitIdToken(body: string): [string, string | undefined] {
  try {
    const { id_token, ...rest } = JSON.parse(body) as Record<string, unknown>;
    return [JSON.stringify(rest), typeof id_token === 'string' ? id_token : undefined];
  } catch {
    return [body, undefined];
  }
}

/** The body has been decoded: its old length and encoding no longer hold. */
function bare(headers: HttpHeaders): Headers {
  const kept = new Headers([...headers]);
  kept.delete('content-encoding');
  kept.delete('content-length');
  return kept;
}

function isNullBodyStatus(status: number): boolean {
  return status === 204 || status === 205 || status === 304;
}
