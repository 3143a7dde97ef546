/** From a preset to the client that an account keeps. */
import type { MailServer, OAuthClient, Protocol } from '../accounts/account.ts';
import { CmsError } from '../core/errors.ts';
import type { Endpoints, OAuthProvider, Provider } from './provider.ts';
import { resolveTenant } from './tenant.ts';
import { quoted } from '../core/shell-word.ts';

export interface ClientChoice {
  client_id: string;
  /** Whose account it is, for messages. */
  address?: string | undefined;
  protocols: readonly Protocol[];
  /** Whether a client secret stands in the vault. */
  hasSecret: boolean;
  tenant?: string | undefined;
  /** Replaces every scope of the preset, word for word. */
  scope?: string | undefined;
  /** From discovery or flags; each one given replaces that of the preset. */
  endpoints?: Endpoints | undefined;
  /** Fixes the port of the redirect URI. */
  redirectPort?: number | undefined;
}

/**
 * The client of an account at `provider`. `authorization_params` may keep the placeholder `{login}`, which the
 * authorization request fills in.
 * @throws CmsError `config_invalid` (tenant, missing endpoint), `client_invalid` (no client id, secret missing),
 *   `protocol_not_granted` (the provider has no token for a protocol)
 */
export function clientFor(provider: OAuthProvider, choice: ClientChoice): OAuthClient {
  requireCredentials(provider, choice);
  const { token_endpoint, ...endpoints } = endpointsFor(provider, choice);
  if (token_endpoint === undefined) throw noTokenEndpoint(provider);
  return {
    client_id: choice.client_id,
    token_endpoint_auth_method: choice.hasSecret ? 'client_secret_post' : 'none',
    token_endpoint,
    ...endpoints,
    ...scopesFor(provider, choice),
    authorization_params: { ...provider.authorization_params },
    redirect: { ...provider.redirect, ...(choice.redirectPort !== undefined && { port: choice.redirectPort }) },
  };
}

/** The default server of each protocol, where the provider has one. */
export function serversFor(provider: Provider, protocols: readonly Protocol[]): Partial<Record<Protocol, MailServer>> {
  const servers: Partial<Record<Protocol, MailServer>> = {};
  for (const protocol of protocols) {
    const server = provider.servers[protocol]?.[0];
    if (server !== undefined) servers[protocol] = { ...server };
  }
  return servers;
}

function requireCredentials(provider: OAuthProvider, choice: ClientChoice): void {
  if (choice.client_id.trim() === '') {
    throw new CmsError('client_invalid', `no client id for ${provider.name}`, {
      suggestions: [
        ...(provider.id === 'google'
          ? [`${command(choice)} --client-file FILE   # the JSON file that Google offers`]
          : []),
        `${command(choice)} --client-id ID`,
        ...registration(provider),
      ],
    });
  }
  if (provider.client.secret === 'required' && !choice.hasSecret) {
    throw new CmsError('client_invalid', `${provider.name} wants a client secret`, {
      suggestions: [`${command(choice)} --client-secret-file FILE`, ...registration(provider)],
    });
  }
}

function command({ address = 'ADDRESS' }: ClientChoice): string {
  return `cms account add ${quoted(address)}`;
}

function registration(provider: OAuthProvider): string[] {
  const { register_url } = provider.client;
  return register_url === undefined ? [] : [`${register_url}   # registers a client`];
}

function endpointsFor(provider: OAuthProvider, choice: ClientChoice): Endpoints {
  const tenant = resolveTenant(provider, choice.tenant);
  const filled = Object.entries(provider.endpoints).map(([name, value]) => [name, withTenant(value, tenant)] as const);
  return { ...(Object.fromEntries(filled) as Endpoints), ...choice.endpoints };
}

function withTenant(value: string | boolean, tenant: ReturnType<typeof resolveTenant>): string | boolean {
  if (typeof value !== 'string' || tenant === undefined) return value;
  const endpoint = value.replace('{tenant}', tenant.name);
  // Only an id stands in the issuer as it was given; any other name becomes the id of whoever signs in.
  return tenant.isId ? endpoint.replace('{tenantid}', tenant.name) : endpoint;
}

function scopesFor(provider: OAuthProvider, choice: ClientChoice): Pick<OAuthClient, 'scope' | 'refresh_scope'> {
  const wanted = choice.scope === undefined ? presetScopes(provider, choice.protocols) : words(choice.scope);
  if (provider.refresh_scope === undefined) return { scope: wanted.join(' ') };
  const identity = new Set(provider.identity_scopes);
  return { scope: wanted.join(' '), refresh_scope: wanted.filter((scope) => !identity.has(scope)).join(' ') };
}

/** Mail scopes first: Microsoft makes the token for the resource of the first one. */
function presetScopes(provider: OAuthProvider, protocols: readonly Protocol[]): string[] {
  const mail = protocols.flatMap((protocol) => mailScopes(provider, protocol));
  const offline = provider.offline_scope === undefined ? [] : [provider.offline_scope];
  return [...new Set([...mail, ...provider.identity_scopes, ...offline])];
}

function mailScopes(provider: OAuthProvider, protocol: Protocol): readonly string[] {
  const scopes = provider.scopes[protocol];
  if (scopes !== undefined) return scopes;
  const others = Object.keys(provider.scopes).map((name) => `--protocol ${name}`);
  throw new CmsError('protocol_not_granted', `${provider.name} has no OAuth token for ${protocol}`, {
    suggestions: [`cms account add ADDRESS ${others.join(' ')}`],
  });
}

function words(text: string): string[] {
  return [...new Set(text.split(/\s+/).filter((word) => word !== ''))];
}

function noTokenEndpoint(provider: OAuthProvider): CmsError {
  return new CmsError('config_invalid', `no token endpoint for ${provider.name}`, {
    suggestions: [
      'cms account add ADDRESS --issuer URL',
      'cms account add ADDRESS --authorization-endpoint URL --token-endpoint URL',
    ],
  });
}
