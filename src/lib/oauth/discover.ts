/** The metadata of an authorization server, from its issuer alone. @see OpenID Connect Discovery, RFC 8414 */
import type { OAuthClient } from '../accounts/account.ts';
import { CmsError } from '../errors.ts';
import { describe } from './classify.ts';
import { parseEndpoint } from '../endpoint.ts';
import { request, unreachable } from './http.ts';

const ENDPOINTS = [
  'authorization_endpoint',
  'token_endpoint',
  'device_authorization_endpoint',
  'revocation_endpoint',
  'userinfo_endpoint',
  'jwks_uri',
  'registration_endpoint',
] as const;

export type DiscoveredServer = Pick<
  OAuthClient,
  | Exclude<(typeof ENDPOINTS)[number], 'registration_endpoint'>
  | 'issuer'
  | 'authorization_response_iss_parameter_supported'
> & {
  /** Where a client can register itself. @see RFC 7591 */
  registration_endpoint?: string;
};

/**
 * Asks the issuer where its endpoints are: OpenID Connect first, then RFC 8414's place.
 * @throws CmsError `config_invalid` when there is no usable metadata, `temporarily_unavailable` when nobody answers; the
 * signal's reason
 */
export async function discover(issuerText: string, caFile?: string, signal?: AbortSignal): Promise<DiscoveredServer> {
  const issuer = parseEndpoint(issuerText, 'issuer');
  let pages = 0;
  for (const url of metadataUrls(issuer)) {
    const metadata = await fetchMetadata(url, caFile, signal);
    if (metadata === 'web page') pages++;
    else if (metadata !== undefined) return readMetadata(metadata, issuerText);
  }
  if (pages > 0) throw onlyWebPages(issuer);
  throw new CmsError(
    'config_invalid',
    `${issuer.host} publishes no OAuth or OpenID Connect metadata for the issuer ${issuer.href}`,
    {
      suggestions: [
        'check the issuer; Keycloak: https://HOST/realms/REALM, Authentik: https://HOST/application/o/SLUG/',
        'or name the endpoints: --authorization-endpoint URL --token-endpoint URL',
      ],
    },
  );
}

function metadataUrls(issuer: URL): string[] {
  const path = issuer.pathname.replace(/\/$/, '');
  return [
    `${issuer.origin}${path}/.well-known/openid-configuration`,
    `${issuer.origin}/.well-known/oauth-authorization-server${path}`,
  ];
}

async function fetchMetadata(
  url: string,
  caFile: string | undefined,
  signal: AbortSignal | undefined,
): Promise<Record<string, unknown> | 'web page' | undefined> {
  try {
    const { status, body } = await request(url, { headers: { accept: 'application/json' }, caFile }, signal);
    if (status === 429 || (status >= 500 && status !== 511)) throw unwell(url, status);
    // RFC 6585 section 6: 511 is what a captive portal should say; most of them just show their page.
    if (status === 511 || (status === 200 && body.trimStart().startsWith('<'))) return 'web page';
    const value: unknown = status === 200 ? JSON.parse(body) : undefined;
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw unreachable(error);
  }
}

function onlyWebPages({ host, href }: URL): CmsError {
  return new CmsError('config_invalid', `${host} answers with a web page where the metadata of ${href} should be`, {
    suggestions: [
      'open any web page in a browser: this network may want a login first (captive portal)',
      'check the issuer',
    ],
  });
}

function unwell(url: string, status: number): CmsError {
  return new CmsError(
    'temporarily_unavailable',
    `${new URL(url).host} answered ${status} when asked for its metadata`,
    {
      suggestions: ['run the command again in a while'],
    },
  );
}

function readMetadata(metadata: Record<string, unknown>, issuerText: string): DiscoveredServer {
  const { issuer } = metadata;
  // OpenID Connect Discovery section 4.3: it must be the one that was asked for; a final slash is the usual typing slip.
  if (typeof issuer !== 'string' || issuer.replace(/\/$/, '') !== issuerText.replace(/\/$/, '')) {
    const said = describe(issuer, []) ?? 'nobody';
    throw new CmsError('config_invalid', `the server at ${issuerText} says that its issuer is ${said}`, {
      // Nothing to be pasted into a shell that the server could have chosen freely.
      suggestions: /^https:\/\/[\w./:~-]+$/.test(said) ? [`--issuer ${said}`] : ['check the issuer'],
    });
  }
  const methods = metadata.code_challenge_methods_supported;
  if (Array.isArray(methods) && !methods.includes('S256')) {
    throw new CmsError(
      'config_invalid',
      `${issuerText} does not support PKCE with S256, without which a code could be stolen`,
    );
  }
  const endpoints = ENDPOINTS.flatMap((name) => {
    const value = metadata[name];
    return typeof value === 'string' ? [[name, parseEndpoint(value, name).href] as const] : [];
  });
  const server = Object.fromEntries(endpoints) as Partial<DiscoveredServer>;
  if (server.token_endpoint === undefined)
    throw new CmsError('config_invalid', `${issuerText} names no token endpoint`);
  return {
    ...server,
    token_endpoint: server.token_endpoint,
    issuer,
    ...(metadata.authorization_response_iss_parameter_supported === true && {
      authorization_response_iss_parameter_supported: true,
    }),
  };
}
