/** `[[provider]]` of config.toml: presets of the organisation or the user. Pure; the file itself is read elsewhere. */
import { dirname, resolve } from 'node:path';
import { type MailServer, type Protocol, PROTOCOLS } from '../accounts/account.ts';
import { parseDomain } from '../accounts/address.ts';
import { ENDPOINT_NAMES, parseEndpoint } from '../core/endpoint.ts';
import type { CmsError } from '../core/errors.ts';
import { unknownKey } from '../core/nearest.ts';
import type { Endpoints, Flow, OAuthProvider, Provider, ProviderDefaults } from '../providers/provider.ts';
import { findProvider } from '../providers/table.ts';
import { parseTenant } from '../providers/tenant.ts';
import { isRecord } from '../core/values.ts';

const TEXT_KEYS = [
  'id',
  'name',
  'base',
  'issuer',
  'client_id',
  'client_secret_file',
  'tenant',
  'ca_file',
  'flow',
] as const;
const LIST_KEYS = ['scopes', 'domains', 'mx'] as const;
const KEYS: readonly string[] = [...TEXT_KEYS, ...ENDPOINT_NAMES, ...LIST_KEYS, ...PROTOCOLS, 'redirect_port'];
const SERVER_KEYS: readonly string[] = ['host', 'port', 'tls'];
const FLOWS: readonly Flow[] = ['browser', 'device', 'manual'];
const DEFAULT_SERVER: Record<Protocol, Pick<MailServer, 'port' | 'tls'>> = {
  smtp: { port: 587, tls: 'starttls' },
  imap: { port: 993, tls: 'implicit' },
  pop: { port: 995, tls: 'implicit' },
};

type Fail = (why: string) => CmsError;
type Table = Readonly<Record<string, unknown>>;

/**
 * The presets in `value`, the `provider` of a settings file. Paths in it count from the folder of `file`.
 * @throws what `fail` makes of the reason: an unknown key, a value of the wrong kind, an id twice
 */
export function parseProviders(value: unknown, file: string, fail: Fail): Provider[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw fail('providers are written as [[provider]]');
  const providers = value.map((entry: unknown) => parseProvider(entry, file, fail));
  const twice = providers.find(({ id }, at) => providers.findIndex((each) => each.id === id) !== at);
  if (twice !== undefined) throw fail(`[[provider]]: two of them have the id ${twice.id}`);
  return providers;
}

function parseProvider(entry: unknown, file: string, failFile: Fail): Provider {
  if (!isRecord(entry)) throw failFile('[[provider]]: not a table');
  const id = entry.id;
  // "custom" is where a person is asked for everything; a preset under that name would never be asked.
  if (typeof id !== 'string' || !/^[a-z0-9][a-z0-9._-]*$/.test(id) || id === 'custom')
    throw failFile('[[provider]]: id is a name of a-z, 0-9, dot and hyphen, and not custom');
  const fail: Fail = (why) => failFile(`[[provider]] ${id}: ${why}`);
  const unknown = unknownKey(entry, KEYS);
  if (unknown !== undefined) throw fail(unknown);
  const text = Object.fromEntries(TEXT_KEYS.map((key) => [key, textAt(entry, key, fail)])) as Texts;
  const base = findProvider(text.base ?? 'custom');
  if (base === undefined) throw fail(`base is no preset: ${JSON.stringify(text.base)}`);
  const common = {
    id,
    name: text.name ?? id,
    servers: { ...base.servers, ...serversIn(entry, fail) },
    detect: {
      domains: namesAt(entry, 'domains', fail),
      mx_suffixes: namesAt(entry, 'mx', fail),
    },
    defaults: defaultsIn(entry, text, file, fail),
  };
  if (base.oauth === 'none') return withoutOAuth({ ...base, ...common }, entry, fail);
  return withOAuth({ ...base, ...common }, entry, text, fail);
}

type Texts = Partial<Record<(typeof TEXT_KEYS)[number], string>>;

function withoutOAuth<T extends Provider>(provider: T, entry: Table, fail: Fail): T {
  const useless = ['issuer', 'client_id', 'client_secret_file', 'tenant', 'flow', 'scopes', ...ENDPOINT_NAMES].find(
    (key) => key in entry,
  );
  if (useless !== undefined) throw fail(`${useless} is of no use: the base has no OAuth`);
  return provider;
}

function withOAuth(provider: OAuthProvider, entry: Table, text: Texts, fail: Fail): OAuthProvider {
  const endpoints = endpointsIn(entry, text, provider, fail);
  if (endpoints.token_endpoint === undefined && endpoints.issuer === undefined)
    throw fail('issuer or token_endpoint is missing (or a base that knows them)');
  const oauth: OAuthProvider = { ...provider, endpoints };
  const ready = text.client_id === undefined ? oauth : approved(oauth);
  if (text.tenant === undefined) return ready;
  if (provider.tenant === undefined) throw fail('the base has no tenants');
  return { ...ready, tenant: { default: checked(() => parseTenant(text.tenant ?? '').name, 'tenant', fail) } };
}

/** A user with a client id of a provider that gives out few is one of the few. */
function approved(provider: OAuthProvider): OAuthProvider {
  if (provider.oauth === 'supported') return provider;
  const { reason: _reason, ...details } = provider;
  return { ...details, oauth: 'supported' };
}

/** An issuer of one's own takes the place of all endpoints of the base; those that are named count most. */
function endpointsIn(entry: Table, { issuer }: Texts, base: OAuthProvider, fail: Fail): Endpoints {
  const named = ENDPOINT_NAMES.flatMap((key) => {
    const value = textAt(entry, key, fail);
    return value === undefined ? [] : [[key, urlOf(value, key, fail)] as const];
  });
  const usual = issuer === undefined ? base.endpoints : { issuer: issuerOf(issuer, fail) };
  return { ...usual, ...(Object.fromEntries(named) as Endpoints) };
}

function issuerOf(text: string, fail: Fail): string {
  urlOf(text, 'issuer', fail);
  // As it was written: an issuer is compared letter for letter.
  return text;
}

function defaultsIn(entry: Table, text: Texts, file: string, fail: Fail): ProviderDefaults {
  const { client_id, client_secret_file, ca_file, flow } = text;
  const scopes = listAt(entry, 'scopes', fail);
  const port = entry.redirect_port;
  if (port !== undefined && !isPort(port)) throw fail('redirect_port is a number from 1 to 65535');
  if (client_secret_file !== undefined && client_id === undefined) throw fail('client_secret_file needs a client_id');
  const chosen = FLOWS.find((each) => each === flow);
  if (flow !== undefined && chosen === undefined) throw fail(`flow is one of ${FLOWS.join(', ')}`);
  const path = (name: string): string => resolve(dirname(file), name);
  return {
    from: file,
    ...(client_id !== undefined && { client_id }),
    ...(client_secret_file !== undefined && { client_secret_file: path(client_secret_file) }),
    ...(ca_file !== undefined && { ca_file: path(ca_file) }),
    ...(scopes !== undefined && { scope: scopes.join(' ') }),
    ...(chosen !== undefined && { flow: chosen }),
    ...(port !== undefined && { redirect_port: port }),
  };
}

function serversIn(entry: Table, fail: Fail): Partial<Record<Protocol, readonly MailServer[]>> {
  const servers = PROTOCOLS.flatMap((protocol) =>
    entry[protocol] === undefined ? [] : [[protocol, [serverOf(entry[protocol], protocol, fail)]] as const],
  );
  return Object.fromEntries(servers);
}

/** `"smtp.example.org"`, or a table with host, port and tls. */
function serverOf(value: unknown, protocol: Protocol, fail: Fail): MailServer {
  const table: unknown = typeof value === 'string' ? { host: value } : value;
  if (!isRecord(table)) throw fail(`${protocol} is a host, or { host = , port = , tls = }`);
  const unknown = unknownKey(table, SERVER_KEYS);
  if (unknown !== undefined) throw fail(`${protocol}: ${unknown}`);
  const { host, port = DEFAULT_SERVER[protocol].port, tls = usualTls(protocol, port) } = table;
  if (typeof host !== 'string') throw fail(`${protocol}: host is missing`);
  if (!isPort(port)) throw fail(`${protocol}: port is a number from 1 to 65535`);
  if (tls !== 'starttls' && tls !== 'implicit') throw fail(`${protocol}: tls is "starttls" or "implicit"`);
  return { host: checked(() => parseDomain(host), protocol, fail), port, tls };
}

function usualTls(protocol: Protocol, port: unknown): MailServer['tls'] {
  if (port === 465 || port === 993 || port === 995) return 'implicit';
  return port === 587 || port === 143 || port === 110 ? 'starttls' : DEFAULT_SERVER[protocol].tls;
}

function namesAt(entry: Table, key: 'domains' | 'mx', fail: Fail): string[] {
  return (listAt(entry, key, fail) ?? []).map((name) => checked(() => parseDomain(name), key, fail));
}

function listAt(entry: Table, key: (typeof LIST_KEYS)[number], fail: Fail): string[] | undefined {
  const value = entry[key];
  if (value === undefined) return undefined;
  if (Array.isArray(value) && value.every((each): each is string => isLine(each))) return value;
  throw fail(`${key} is a list of texts`);
}

function textAt(entry: Table, key: string, fail: Fail): string | undefined {
  const value = entry[key];
  if (value === undefined || isLine(value)) return value;
  throw fail(`${key} is a text`);
}

function urlOf(text: string, key: string, fail: Fail): string {
  return checked(() => parseEndpoint(text, key).href, key, fail);
}

/** What a parser of values says, as the reason of this file. */
export function checked<T>(parse: () => T, key: string, fail: Fail): T {
  try {
    return parse();
  } catch (error) {
    throw fail(`${key}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function isLine(value: unknown): value is string {
  return typeof value === 'string' && /^[^\p{Cc}]+$/u.test(value);
}

function isPort(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= 65_535;
}
