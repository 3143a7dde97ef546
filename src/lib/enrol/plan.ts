/** What an account will look like, from flags, from what it was before, and from its provider. Pure. */
import {
  type Account,
  type MailServer,
  type OAuthClient,
  type PasswordAccount,
  type Protocol,
  PROTOCOLS,
} from '../accounts/account.ts';
import { parseAlias, parseDomain, parseLoginName, refuseFlagLike } from '../accounts/address.ts';
import { CmsError } from '../core/errors.ts';
import { ENDPOINT_NAMES, parseEndpoint } from '../core/endpoint.ts';
import type { Secret } from '../core/secret.ts';
import { clientFor, serversFor } from '../providers/client.ts';
import type { Endpoints, OAuthProvider, Provider } from '../providers/provider.ts';
import { quoted } from '../core/shell-word.ts';

/** What the person said about the account, by flags or by answers; everything else is kept or taken from the preset. */
export interface AccountWishes {
  protocols?: Protocol[];
  login?: string;
  smtpUser?: string;
  imapUser?: string;
  aliases?: string[];
  servers?: Partial<Record<Protocol, Partial<MailServer>>>;
}

export interface ClientWishes {
  clientId?: string;
  /** A new secret was given. */
  clientSecret?: Secret;
  tenant?: string;
  scope?: string;
  endpoints?: Endpoints;
  redirectPort?: number;
  /** File of a CA to trust in addition to the system's; absolute. */
  caFile?: string;
}

const DEFAULT_PROTOCOLS: readonly Protocol[] = ['smtp', 'imap'];
const DEFAULT_PORT: Record<Protocol, Record<MailServer['tls'], number>> = {
  smtp: { implicit: 465, starttls: 587 },
  imap: { implicit: 993, starttls: 143 },
  pop: { implicit: 995, starttls: 110 },
};

/** The protocols that were asked for, else those of before, else SMTP and IMAP as far as the provider has them. */
export function protocolsFor(wishes: AccountWishes, before: Account | undefined, provider: Provider): Protocol[] {
  const wanted = wishes.protocols ?? before?.protocols;
  if (wanted !== undefined) return PROTOCOLS.filter((protocol) => wanted.includes(protocol));
  if (provider.oauth === 'none') return [...DEFAULT_PROTOCOLS];
  return DEFAULT_PROTOCOLS.filter((protocol) => provider.scopes[protocol] !== undefined);
}

/**
 * All of an account but its client.
 * @throws CmsError `data_invalid`, `config_invalid`
 */
export function planAccount(
  address: string,
  wishes: AccountWishes,
  before: Account | undefined,
  provider: Provider,
  createdAt: string,
): PasswordAccount {
  const protocols = protocolsFor(wishes, before, provider);
  const known = before === undefined ? [] : [before.address, ...before.aliases];
  const named = (wish: string | undefined, kept = address): string =>
    wish === undefined ? kept : refuseFlagLike(parseLoginName(wish));
  return {
    kind: 'password',
    address,
    provider: provider.id,
    login: named(wishes.login, before?.login),
    smtp_user: named(wishes.smtpUser, before?.smtp_user),
    imap_user: named(wishes.imapUser, before?.imap_user),
    aliases: wishes.aliases === undefined ? (before?.aliases ?? []) : uniqueAliases(wishes.aliases, address, known),
    protocols,
    servers: planServers(protocols, wishes.servers ?? {}, before, provider),
    created_at: before?.created_at ?? createdAt,
  };
}

function uniqueAliases(aliases: readonly string[], address: string, known: readonly string[]): string[] {
  const added = aliases.map(parseAlias).map((alias) => (known.includes(alias) ? alias : refuseFlagLike(alias)));
  return [...new Set(added)].filter((alias) => alias !== address);
}

function planServers(
  protocols: readonly Protocol[],
  wishes: Partial<Record<Protocol, Partial<MailServer>>>,
  before: Account | undefined,
  provider: Provider,
): Account['servers'] {
  const preset = serversFor(provider, protocols);
  const kept = before?.provider === provider.id ? before.servers : {};
  const servers: Account['servers'] = {};
  for (const protocol of protocols) {
    const server = planServer(protocol, wishes[protocol] ?? {}, kept[protocol] ?? preset[protocol]);
    if (server !== undefined) servers[protocol] = server;
  }
  return servers;
}

function planServer(
  protocol: Protocol,
  wish: Partial<MailServer>,
  known: MailServer | undefined,
): MailServer | undefined {
  const host = wish.host ?? known?.host;
  if (host === undefined) {
    if (wish.port === undefined && wish.tls === undefined) return undefined;
    throw new CmsError('usage', `a port or TLS mode for ${protocol.toUpperCase()} needs a server`, {
      suggestions: [`--${protocol}-host HOST`],
    });
  }
  const samePlace = wish.host === undefined || wish.host === known?.host;
  const port = wish.port ?? (samePlace && wish.tls === undefined ? known?.port : undefined);
  const tls =
    wish.tls ??
    tlsFor(protocol, wish.port) ??
    (samePlace ? known?.tls : undefined) ??
    (protocol === 'smtp' ? 'starttls' : 'implicit');
  return { host: parseDomain(host), port: port ?? DEFAULT_PORT[protocol][tls], tls };
}

/** A well-known port says how TLS begins there. */
function tlsFor(protocol: Protocol, port: number | undefined): MailServer['tls'] | undefined {
  if (port === DEFAULT_PORT[protocol].implicit) return 'implicit';
  return port === DEFAULT_PORT[protocol].starttls ? 'starttls' : undefined;
}

export interface ClientPlan {
  address: string;
  protocols: readonly Protocol[];
  wishes: ClientWishes;
  before: Account | undefined;
  /** Whether a client secret is in the vault. */
  hadSecret: boolean;
}

/**
 * The client of an account that signs in: what is given replaces what was there; another provider starts afresh.
 * @throws CmsError `client_invalid`, `config_invalid`, `protocol_not_granted`
 */
export function planClient(
  provider: OAuthProvider,
  { address, protocols, wishes, before, hadSecret }: ClientPlan,
): OAuthClient {
  const old = before?.kind === 'oauth' && before.provider === provider.id ? before.client : undefined;
  const sameClient = (wishes.clientId ?? old?.client_id) === old?.client_id && staysAt(old, wishes.endpoints);
  const sameProtocols = before !== undefined && String(before.protocols) === String(protocols);
  const client = clientFor(provider, {
    client_id: wishes.clientId ?? old?.client_id ?? '',
    address,
    protocols,
    hasSecret: wishes.clientSecret !== undefined || (sameClient && hadSecret),
    tenant: wishes.tenant,
    scope: wishes.scope ?? (sameProtocols || provider.id === 'custom' ? old?.scope : undefined),
    endpoints: { ...(wishes.tenant === undefined && old && endpointsOf(old)), ...wishes.endpoints },
    redirectPort: wishes.redirectPort ?? old?.redirect.port,
  });
  const caFile = wishes.caFile ?? old?.ca_file;
  return {
    ...client,
    ...(sameClient && wishes.clientSecret === undefined && old !== undefined && registrationOf(old, client)),
    ...(caFile !== undefined && { ca_file: caFile }),
  };
}

/** What the server itself said about a client that stays the same. */
function registrationOf(old: OAuthClient, now: OAuthClient): Partial<OAuthClient> {
  const { token_endpoint_auth_method: method, registration_client_uri } = old;
  const hasSecret = method !== 'none' && now.token_endpoint_auth_method !== 'none';
  return {
    ...(hasSecret && { token_endpoint_auth_method: method }),
    ...(registration_client_uri !== undefined && { registration_client_uri }),
  };
}

/** A secret that was given for one server is not sent to another. */
function staysAt(old: OAuthClient | undefined, endpoints: Endpoints = {}): boolean {
  const { token_endpoint: next } = endpoints;
  if (next === undefined || old === undefined) return true;
  // One that was edited by hand may be anything.
  return URL.canParse(old.token_endpoint) && new URL(next).origin === new URL(old.token_endpoint).origin;
}

const KEPT_OF_SERVER = ['issuer', ...ENDPOINT_NAMES, 'authorization_response_iss_parameter_supported'] as const;

function endpointsOf(client: OAuthClient): Endpoints {
  return Object.fromEntries(
    KEPT_OF_SERVER.flatMap((name) => (client[name] === undefined ? [] : [[name, client[name]]])),
  );
}

/** Endpoints given by hand, each checked. @throws CmsError `config_invalid` */
export function endpointsFromFlags(flags: Partial<Record<string, string>>): Endpoints {
  const names = [
    'authorization_endpoint',
    'token_endpoint',
    'device_authorization_endpoint',
    'revocation_endpoint',
  ] as const;
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = flags[name.replaceAll('_', '-')];
      return value === undefined ? [] : [[name, parseEndpoint(value, name.replaceAll('_', ' ')).href]];
    }),
  );
}

/**
 * A name, be it an address, an alias or a domain, belongs to one account.
 * @throws CmsError `config_invalid`
 */
export function refuseTakenAliases(account: Account, others: Readonly<Record<string, Account>>): void {
  const names = new Set([account.address, ...account.aliases]);
  for (const other of Object.values(others)) {
    if (other.address === account.address) continue;
    const taken = [other.address, ...other.aliases].find((name) => names.has(name));
    if (taken === undefined) continue;
    throw new CmsError('config_invalid', `${taken} belongs to the account ${other.address} already`, {
      suggestions: [
        `cms account show ${quoted(other.address)}`,
        ...(taken === other.address ? [] : [without(taken, other)]),
      ],
    });
  }
}

/** An alias that is the address is none: so the last one can be taken away, too. */
function without(alias: string, { address, aliases }: Account): string {
  const left = aliases.filter((each) => each !== alias);
  const flags = (left.length === 0 ? [address] : left).map((each) => `--alias ${quoted(each)}`);
  return `cms account add ${quoted(address)} ${flags.join(' ')}   # signs in again, without the alias ${alias}`;
}
