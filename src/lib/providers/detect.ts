/** Which provider an address belongs to: by its domain, else by where the domain's mail goes. */
import { domainOf, lowerAscii } from '../accounts/address.ts';
import { messageOf } from '../core/errors.ts';
import type { Provider } from './provider.ts';
import { PRESETS } from './table.ts';

export interface Detection {
  provider: Provider;
  /** What gave it away: `domain gmail.com`, or `MX aspmx.l.google.com`. */
  because: string;
}

/** Names of a domain's mail exchangers, the most preferred first. */
type ResolveMx = (domain: string) => Promise<readonly string[]>;

export interface DetectOptions {
  resolveMx: ResolveMx;
  /** How long the name service may take, in milliseconds; default 5000. */
  timeoutMs?: number;
  /** Own presets, asked before the shipped ones. */
  own?: readonly Provider[];
  /** Told why the mail exchangers could not be had. */
  note?: (text: string) => void;
}

const DNS_TIMEOUT_MS = 5000;

/** The provider that `domain` belongs to by name alone. */
export function detectByDomain(domain: string, own: readonly Provider[] = []): Detection | undefined {
  const name = canonicalHost(domain);
  const provider = [...own, ...PRESETS].find(({ detect }) => {
    const suffixes = detect.domain_suffixes ?? [];
    return detect.domains.includes(name) || suffixes.some((suffix) => endsOnLabel(name, suffix));
  });
  return provider && { provider, because: `domain ${name}` };
}

/**
 * The provider that runs one of the mail exchangers `hosts`, given with the most preferred first. The longest suffix
 * wins: `mail.gm0.yahoodns.net` is AOL's although `yahoodns.net` is Yahoo's.
 */
export function detectByMx(hosts: readonly string[], own: readonly Provider[] = []): Detection | undefined {
  const rules = mxRules([...own, ...PRESETS]);
  for (const host of hosts.map(canonicalHost)) {
    const rule = rules.find(({ suffix }) => endsOnLabel(host, suffix));
    if (rule !== undefined) return { provider: rule.provider, because: `MX ${host}` };
  }
  return undefined;
}

/**
 * The provider of `address`. A name service that fails or is slow makes it undefined, never an error, because a person
 * can still be asked; `options.note` hears why.
 */
export async function detectProvider(address: string, options: DetectOptions): Promise<Detection | undefined> {
  const domain = lowerAscii(domainOf(address));
  const byDomain = detectByDomain(domain, options.own);
  if (byDomain !== undefined && byDomain.provider.detect.mx_decides === undefined) return byDomain;
  return detectByMx(await mailExchangers(domain, options), options.own) ?? byDomain;
}

async function mailExchangers(domain: string, options: DetectOptions): Promise<readonly string[]> {
  const { resolveMx, timeoutMs = DNS_TIMEOUT_MS, note } = options;
  try {
    return await within(timeoutMs, resolveMx(domain));
  } catch (error) {
    note?.(`cannot look up the mail exchangers of ${domain}: ${messageOf(error)}`);
    return [];
  }
}

/** What `promise` settles to, or a rejection after `ms`. */
async function within<T>(ms: number, promise: Promise<T>): Promise<T> {
  const timer: { id?: NodeJS.Timeout } = {};
  const deadline = new Promise<never>((_resolve, reject) => {
    timer.id = setTimeout(() => reject(new Error(`no answer within ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([promise, deadline]);
  } finally {
    clearTimeout(timer.id);
  }
}

function mxRules(providers: readonly Provider[]): { suffix: string; provider: Provider }[] {
  return providers
    .flatMap((provider) => provider.detect.mx_suffixes.map((suffix) => ({ suffix, provider })))
    .sort((a, b) => b.suffix.length - a.suffix.length);
}

function endsOnLabel(name: string, suffix: string): boolean {
  return name === suffix || name.endsWith(`.${suffix}`);
}

function canonicalHost(name: string): string {
  return lowerAscii(name).replace(/\.$/, '');
}
