/** What a person may choose about the exim configuration, validated: these values stand in configuration text. */
import { isIP } from 'node:net';
import { parseDomain } from '../../accounts/address.ts';
import { CmsError } from '../../core/errors.ts';

export const DEFAULT_SMART_HOSTS_FILE = '/etc/exim4/exim-smart-hosts';

/** Where Debian keeps the certificates that exim trusts with `system`; node would trust a list of its own. */
export const SYSTEM_CERTIFICATES = '/etc/ssl/certs/ca-certificates.crt';

/** exim's word for them, and that of --ca-file. */
export const SYSTEM_TRUST = 'system';

/** The group that exim runs in on Debian and its derivatives. */
export const MTA_GROUP = 'Debian-exim';

export interface EximOptions {
  /** Absolute path of the lsearch file with one line per sender. */
  smartHostsFile: string;
  /** Domains of this host in addition to its own name and `localhost`. */
  localDomains: readonly string[];
  /** Whether the host's own name (`@`) is a local domain; not where it is also the domain of a mail account. */
  ownNameIsLocal: boolean;
  /** What EHLO says; exim's `$primary_hostname` when absent. */
  helo?: string;
  /** Where to accept mail over SMTP; nowhere when absent. */
  listen?: Listener;
  /** File of certificates to trust instead of those of the system. */
  caFile?: string;
}

export interface Listener {
  address: string;
  port: number;
}

export const DEFAULT_OPTIONS: EximOptions = {
  smartHostsFile: DEFAULT_SMART_HOSTS_FILE,
  localDomains: [],
  ownNameIsLocal: true,
};

// exim expands option values, and splits lists at colons: a path of these characters means itself everywhere.
const PLAIN_PATH = /^\/[A-Za-z0-9._/-]{1,1000}$/;
// sun_path holds 107 bytes, and `inet:host:port` would make exim's readsocket speak TCP.
const SOCKET_PATH = /^\/[A-Za-z0-9._/-]{1,106}$/;
const USER_NAME = /^[A-Za-z_][A-Za-z0-9_.-]{0,31}$/;

/**
 * A path that may stand in exim's configuration.
 * @throws CmsError `config_invalid`
 */
export function plainPath(path: string, what: string): string {
  if (isPlainPath(path)) return path;
  throw new CmsError(
    'config_invalid',
    `${what} must be an absolute path of letters, digits and . _ / -, not ${quoted(path)}`,
  );
}

export function isPlainPath(path: string): boolean {
  return PLAIN_PATH.test(path);
}

/**
 * A socket path that may stand in the smart-hosts file.
 * @throws CmsError `config_invalid`
 */
export function socketPath(path: string): string {
  if (SOCKET_PATH.test(path)) return path;
  throw new CmsError(
    'config_invalid',
    `a socket for exim must be an absolute path of letters, digits and . _ / -, at most 107 bytes, not ${quoted(path)}`,
    { suggestions: ['cms exim-config --socket /run/cms/NAME/exim.sock'] },
  );
}

/**
 * The name of a local user, as it stands in markers, paths and the install script.
 * @throws CmsError `config_invalid`
 */
export function userName(name: string): string {
  if (USER_NAME.test(name)) return name;
  throw new CmsError('config_invalid', `cannot write files for a user named ${quoted(name)}`);
}

/**
 * `ADDR:PORT`, with brackets around an IPv6 address.
 * @throws CmsError `usage`
 */
export function parseListener(text: string): Listener {
  const match = /^(?:\[([0-9a-f:.]+)\]|([0-9.]+)):(\d{1,5})$/i.exec(text);
  const address = match?.[1] ?? match?.[2] ?? '';
  const port = Number(match?.[3]);
  const family = isIP(address);
  if (family !== (match?.[1] === undefined ? 4 : 6) || port < 1 || port > 65535) {
    throw new CmsError('usage', `--listen takes ADDRESS:PORT, not ${quoted(text)}`, {
      suggestions: ['cms exim-config --listen 127.0.0.1:25', 'cms exim-config --listen [::1]:25'],
    });
  }
  return { address, port };
}

/** The inverse of `parseListener`. */
export function formatListener({ address, port }: Listener): string {
  return isIP(address) === 6 ? `[${address}]:${port}` : `${address}:${port}`;
}

/**
 * All of them at once, for whatever is about to be rendered.
 * @throws CmsError `config_invalid`, `data_invalid`
 */
export function validateOptions(options: EximOptions): EximOptions {
  return {
    smartHostsFile: plainPath(options.smartHostsFile, 'the smart-hosts file'),
    localDomains: options.localDomains.map((domain) => domainFor('--local-domain', domain)),
    ownNameIsLocal: options.ownNameIsLocal,
    ...(options.helo !== undefined && { helo: domainFor('--helo', options.helo) }),
    ...(options.listen !== undefined && { listen: parseListener(formatListener(options.listen)) }),
    ...(options.caFile !== undefined && { caFile: plainPath(options.caFile, 'the file of certificates') }),
  };
}

function domainFor(flag: string, text: string): string {
  try {
    return parseDomain(text);
  } catch (error) {
    if (!(error instanceof CmsError)) throw error;
    throw error.inOtherWords(`${flag} takes a domain name, not ${quoted(text)}`, []);
  }
}

function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 120));
}
