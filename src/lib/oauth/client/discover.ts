/** The metadata of an authorization server, from its issuer alone. @see OpenID Connect Discovery, RFC 8414 */
import type { OAuthClient } from '../../accounts/account.ts';
import { CmsError } from '../../core/errors.ts';
import { parseJson } from '../http/answer.ts';
import { describe } from '../token/classify.ts';
import { ENDPOINT_NAMES, parseEndpoint } from '../../core/endpoint.ts';
import { againIn, type HttpAnswer, request, retryAfterSeconds, unreachable } from '../http/http.ts';
import { targetOf } from '../sign-in/redirect.ts';
import { isRecord } from '../../core/values.ts';

const ENDPOINTS = [...ENDPOINT_NAMES, 'registration_endpoint'] as const;

export type DiscoveredServer = Pick<
  OAuthClient,
  | Exclude<(typeof ENDPOINTS)[number], 'registration_endpoint'>
  | 'issuer'
  | 'authorization_response_iss_parameter_supported'
> & {
  /** Where a client can register itself. @see RFC 7591 */
  registration_endpoint?: string;
};

type EndpointName = (typeof ENDPOINTS)[number];

/** Without them there is no sign-in, or another one than the server means; the flags that stand in for them. */
const REQUIRED: Readonly<Partial<Record<EndpointName, string>>> = {
  authorization_endpoint: '--authorization-endpoint',
  token_endpoint: '--token-endpoint',
};

export interface DiscoverOptions {
  /** Told of each endpoint that is left out, in a sentence. */
  note?: ((text: string) => void) | undefined;
  /** Endpoints that are known already: what the server says of them does not matter. */
  given?: Partial<Record<string, unknown>> | undefined;
}

/**
 * Asks the issuer where its endpoints are: OpenID Connect first, then RFC 8414's place.
 * @throws CmsError `config_invalid` when there is no usable metadata, `temporarily_unavailable` when nothing answers;
 *   the signal's reason
 */
export async function discover(
  issuerText: string,
  caFile?: string,
  signal?: AbortSignal,
  options: DiscoverOptions = {},
): Promise<DiscoveredServer> {
  const issuer = parseEndpoint(issuerText, 'issuer');
  const failures: Failure[] = [];
  for (const url of metadataUrls(issuer)) {
    const looked = await fetchMetadata(url, caFile, signal);
    if ('metadata' in looked) return readMetadata(looked.metadata, issuerText, options);
    failures.push(looked);
  }
  throw noMetadata(issuer, failures);
}

function metadataUrls(issuer: URL): string[] {
  const path = issuer.pathname.replace(/\/$/, '');
  return [
    `${issuer.origin}${path}/.well-known/openid-configuration`,
    `${issuer.origin}/.well-known/oauth-authorization-server${path}`,
  ];
}

/** What came in place of metadata. */
interface Failure {
  status: number;
  isPage: boolean;
  /** Where a redirect points. */
  target: string | undefined;
}

async function fetchMetadata(
  url: string,
  caFile: string | undefined,
  signal: AbortSignal | undefined,
): Promise<{ metadata: Record<string, unknown> } | Failure> {
  const answer = await request(url, { headers: { accept: 'application/json' }, caFile }, signal).catch(
    (error: unknown) => {
      throw unreachable(error);
    },
  );
  const { status, body } = answer;
  if (status === 429 || (status >= 500 && status !== 511)) throw unwell(url, answer);
  const metadata = status === 200 ? parseJson(body) : undefined;
  if (isRecord(metadata)) return { metadata };
  // RFC 6585 section 6: 511 is what a captive portal should say; most of them just show their page.
  const isPage = status === 511 || (status === 200 && body.trimStart().startsWith('<'));
  return { status, isPage, target: targetOf(answer, url) };
}

function noMetadata(issuer: URL, failures: readonly Failure[]): CmsError {
  if (failures.some(({ isPage }) => isPage)) return onlyWebPages(issuer);
  const moved = failures.find(({ target }) => target !== undefined);
  if (moved?.target !== undefined) return elsewhere(issuer, moved.status, moved.target);
  const closed = failures.find(({ status }) => status === 401 || status === 403);
  if (closed !== undefined) {
    return new CmsError('config_invalid', `${issuer.host} answers ${closed.status} when asked for its metadata`, {
      suggestions: ['ask its administrator to open the metadata, or for the endpoints', ENDPOINTS_BY_HAND],
    });
  }
  return new CmsError(
    'config_invalid',
    `${issuer.host} publishes no OAuth or OpenID Connect metadata for the issuer ${issuer.href}`,
    {
      suggestions: [
        'check the issuer; Keycloak: https://HOST/realms/REALM, Authentik: https://HOST/application/o/SLUG/',
        ENDPOINTS_BY_HAND,
      ],
    },
  );
}

const ENDPOINTS_BY_HAND = 'or name the endpoints: --authorization-endpoint URL --token-endpoint URL';

/** A metadata address whose issuer can be told is followed by hand, with a flag. */
function elsewhere(issuer: URL, status: number, target: string): CmsError {
  const [, found] =
    /^(https:\/\/[\w./:~-]+?|http:\/\/(?:127\.0\.0\.1|localhost)(?::\d+)?[\w./~-]*?)\/\.well-known\/openid-configuration$/.exec(
      target,
    ) ?? [];
  const message = `${issuer.host} answers ${status} when asked for its metadata; it points to ${target}, and redirects are not followed`;
  return new CmsError('config_invalid', message, {
    suggestions: [
      ...(found === undefined ? [] : [`--issuer ${found}   # if the issuer has moved there`]),
      'open any web page in a browser: this network may require a login first (captive portal)',
      ENDPOINTS_BY_HAND,
    ],
  });
}

function onlyWebPages({ host, href }: URL): CmsError {
  return new CmsError('config_invalid', `${host} answers with a web page where the metadata of ${href} should be`, {
    suggestions: [
      'open any web page in a browser: this network may require a login first (captive portal)',
      'check the issuer',
    ],
  });
}

function unwell(url: string, { status, headers }: HttpAnswer): CmsError {
  return new CmsError(
    'temporarily_unavailable',
    `${new URL(url).host} answered ${status} when asked for its metadata`,
    {
      suggestions: [againIn(retryAfterSeconds(headers, Date.now()))],
    },
  );
}

function readMetadata(
  metadata: Record<string, unknown>,
  issuerText: string,
  { note = () => undefined, given = {} }: DiscoverOptions,
): DiscoveredServer {
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
  const known = ENDPOINTS.filter((name) => given[name] !== undefined);
  const endpoints = ENDPOINTS.filter((name) => !known.includes(name)).flatMap((name) => {
    const value = metadata[name];
    if (value === undefined) return [];
    const { url, problem } = endpointIn(value, name);
    if (url !== undefined) return [[name, url] as const];
    const said = `the ${nameOf(name)} that ${hostOf(issuerText)} publishes ${problem ?? 'cannot be used'}`;
    if (REQUIRED[name] !== undefined && !isEmpty(value)) throw unusable(said, [`${REQUIRED[name]} URL`]);
    note(`${said}; it is left out`);
    return [];
  });
  const server = Object.fromEntries(endpoints) as Partial<DiscoveredServer>;
  const token_endpoint = server.token_endpoint ?? given.token_endpoint;
  if (typeof token_endpoint !== 'string')
    throw unusable(`${issuerText} names no token endpoint`, ['--token-endpoint URL']);
  return {
    ...server,
    token_endpoint,
    issuer,
    ...(metadata.authorization_response_iss_parameter_supported === true && {
      authorization_response_iss_parameter_supported: true,
    }),
  };
}

function isEmpty(value: unknown): boolean {
  return value === null || value === '';
}

/**
 * An endpoint as it is published, or what is wrong with it.
 * @throws CmsError `config_invalid` for one with credentials: no server publishes that by mistake
 */
function endpointIn(value: unknown, name: EndpointName): { url?: string; problem?: string } {
  if (isEmpty(value)) return { problem: 'is empty' };
  if (typeof value !== 'string') return { problem: 'is not a text' };
  try {
    return { url: parseEndpoint(value, name).href };
  } catch (error) {
    if (!(error instanceof CmsError)) throw error;
    if (error.message.endsWith('holds credentials'))
      throw unusable(error.message, ['tell the administrator of the server']);
    return { problem: error.message.replace(`the ${name} `, '') };
  }
}

function nameOf(name: EndpointName): string {
  return name === 'jwks_uri' ? 'address of the keys (jwks_uri)' : name.replaceAll('_', ' ');
}

function hostOf(url: string): string {
  return new URL(url).host;
}

function unusable(message: string, suggestions: string[]): CmsError {
  return new CmsError('config_invalid', message, { suggestions });
}
