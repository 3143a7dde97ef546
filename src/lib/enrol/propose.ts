/**
 * What the network says about a mail domain that no preset knows: its own autoconfiguration, Mozilla's database, and
 * OpenID Connect discovery. Only proposals; over https alone, without the address, and within one deadline.
 */
import type { MailServer, Protocol } from '../accounts/account.ts';
import { discover } from '../oauth/client/discover.ts';
import { request } from '../oauth/http/http.ts';
import { type Autoconfig, parseAutoconfig } from '../providers/autoconfig.ts';

export interface Proposal {
  /** Who says so: the host that answered. */
  from: string;
  servers: Partial<Record<Protocol, MailServer>>;
  /** A server that has published its OpenID Connect or OAuth metadata. */
  issuer?: string;
}

/**
 * Asks all at once.
 * @param signal ends the look-ups; what has come until then counts
 * @returns undefined if nothing is known. Never throws.
 */
export async function proposeServers(domain: string, signal: AbortSignal): Promise<Proposal | undefined> {
  const own = discoverable(`https://${domain}`, signal);
  const sources = [
    `https://autoconfig.${domain}/mail/config-v1.1.xml`,
    `https://${domain}/.well-known/autoconfig/mail/config-v1.1.xml`,
    `https://autoconfig.thunderbird.net/v1.1/${domain}`,
  ];
  const found = (await Promise.all(sources.map((url) => fetchConfig(url, domain, signal)))).find((each) => each);
  const named = found?.config.issuer;
  const there = named && discoverable(named.includes('://') ? named : `https://${named}`, signal);
  const issuer = (await there) ?? (await own);
  if (found === undefined && issuer === undefined) return undefined;
  return { from: found?.from ?? domain, servers: found?.config.servers ?? {}, ...(issuer && { issuer }) };
}

async function fetchConfig(
  url: string,
  domain: string,
  signal: AbortSignal,
): Promise<{ from: string; config: Autoconfig } | undefined> {
  try {
    const { status, body } = await request(url, { headers: { accept: 'text/xml, application/xml' } }, signal);
    const config = status === 200 ? await parseAutoconfig(body, domain) : undefined;
    return config && { from: new URL(url).host, config };
  } catch {
    // Most domains have none of these: that is no failure.
    return undefined;
  }
}

/** `issuer`, if it publishes metadata before the signal. */
async function discoverable(issuer: string, signal: AbortSignal): Promise<string | undefined> {
  if (!issuer.startsWith('https://')) return undefined;
  return discover(issuer, undefined, signal).then(
    () => issuer,
    () => undefined,
  );
}
