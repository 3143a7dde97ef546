/**
 * The shape of `accounts.json`, which people edit by hand: what is read from it is what the types say. Endpoints are
 * judged where something is sent to them, so that a slip in one costs its account only. Pure.
 */
import { PROTOCOLS } from './account.ts';
import { parseAlias, printable, tryParseAddress } from './address.ts';
import { isRecord } from '../core/values.ts';

/** What a value is not, in words that go after "is"; undefined where it is well. */
type Judge = (value: unknown) => string | undefined;

const text: Judge = (value) => (typeof value === 'string' && !/\p{Cc}/u.test(value) ? undefined : 'not a line of text');
const name: Judge = (value) =>
  typeof value === 'string' && /^[^\s\p{Cc}]+$/u.test(value) ? undefined : 'not a name without blanks';
const port: Judge = (value) =>
  Number.isInteger(value) && Number(value) >= 1 && Number(value) <= 65535 ? undefined : 'not a port (1 to 65535)';
const flag: Judge = (value) => (typeof value === 'boolean' ? undefined : 'neither true nor false');
const address: Judge = (value) =>
  typeof value === 'string' && tryParseAddress(value) === value ? undefined : 'not a mail address in lower case';
const alias: Judge = (value) => (typeof value === 'string' && isAlias(value) ? undefined : 'not an address or @domain');

const oneOf =
  (...values: readonly unknown[]): Judge =>
  (value) =>
    values.includes(value) ? undefined : `not one of ${values.join(', ')}`;

function isAlias(value: string): boolean {
  try {
    return parseAlias(value) === value;
  } catch {
    return false;
  }
}

/** Keys with a `?` may be missing; others than these are left as they are. */
type Shape = Readonly<Record<string, Judge>>;

const ACCOUNT: Shape = {
  address,
  kind: oneOf('oauth', 'password'),
  provider: text,
  login: name,
  smtp_user: name,
  imap_user: name,
  aliases: list(alias),
  protocols: list(oneOf(...PROTOCOLS)),
  servers: object(
    Object.fromEntries(
      PROTOCOLS.map((each) => [`${each}?`, object({ host: name, port, tls: oneOf('starttls', 'implicit') })]),
    ),
  ),
  created_at: text,
};

const CLIENT: Shape = {
  client_id: text,
  token_endpoint_auth_method: oneOf('none', 'client_secret_post', 'client_secret_basic'),
  'issuer?': text,
  'authorization_endpoint?': text,
  token_endpoint: text,
  'device_authorization_endpoint?': text,
  'revocation_endpoint?': text,
  'userinfo_endpoint?': text,
  'jwks_uri?': text,
  'authorization_response_iss_parameter_supported?': flag,
  scope: text,
  'refresh_scope?': text,
  authorization_params: (value) =>
    isRecord(value) && Object.values(value).every((each) => typeof each === 'string')
      ? undefined
      : 'not a set of texts',
  redirect: object({
    'scheme?': oneOf('https'),
    host: oneOf('127.0.0.1', 'localhost'),
    path: (value) => (typeof value === 'string' && /^\/[^\s\p{Cc}]*$/u.test(value) ? undefined : 'not a path'),
    'port?': port,
  }),
  'ca_file?': text,
  'registration_client_uri?': text,
};

const oauthAccount = object({ ...ACCOUNT, client: object(CLIENT) });
const passwordAccount = object({ ...ACCOUNT, 'ca_file?': text });
const vaultKey = object({ id: text, source: oneOf('keyring', 'file', 'credential', 'key-file') });

/** What is wrong with an entry of `accounts`, in words; undefined where nothing is. */
export function faultOfAccount(key: string, value: unknown): string | undefined {
  const fault = (isRecord(value) && value.kind === 'password' ? passwordAccount : oauthAccount)(value);
  if (fault !== undefined) return `the entry ${printable(key)}: ${phrase(fault)}`;
  return isRecord(value) && value.address === key ? undefined : `the entry ${printable(key)} has another address`;
}

/** The same of the record of the vault's key. */
export function faultOfVaultKey(value: unknown): string | undefined {
  const fault = value === undefined ? undefined : vaultKey(value);
  return fault === undefined ? undefined : `vault_key: ${phrase(fault)}`;
}

/** `client.redirect.port is not a port`, or `it is not an object` where no member is to blame. */
function phrase(fault: string): string {
  return fault.startsWith('not ') || fault.startsWith('neither ') ? `it is ${fault}` : fault;
}

/** A judge of objects names the member that it minds: `redirect.port is not a port`. */
function object(shape: Shape): Judge {
  const members = Object.entries(shape).map(([key, judge]) => ({
    key: key.replace(/\?$/, ''),
    optional: key.endsWith('?'),
    judge,
  }));
  return (value) => {
    if (!isRecord(value)) return 'not an object';
    for (const { key, optional, judge } of members) {
      const member = Object.hasOwn(value, key) ? value[key] : undefined;
      if (member === undefined && optional) continue;
      if (member === undefined) return `${key} is missing`;
      const fault = judge(member);
      if (fault !== undefined) return within(key, fault);
    }
    return undefined;
  };
}

function list(judge: Judge): Judge {
  return (value) => {
    if (!Array.isArray(value)) return 'not a list';
    const fault = value.map(judge).find((each) => each !== undefined);
    return fault === undefined ? undefined : `a list with a value that is ${fault}`;
  };
}

function within(key: string, fault: string): string {
  return /^(?:not|neither|a list) /.test(fault) ? `${key} is ${fault}` : `${key}.${fault}`;
}
