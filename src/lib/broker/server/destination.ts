/**
 * For which server an answer is wanted. exim names the one that it talks to, and a broker that many users of the host
 * reach gives nothing for another one than the account's own. Pure.
 */
import { domainToASCII, domainToUnicode } from 'node:url';
import type { Account, Protocol } from '../../accounts/account.ts';
import { lowerAscii, printable } from '../../accounts/address.ts';
import { CmsError } from '../../core/errors.ts';
import { quoted } from '../../core/shell-word.ts';

/** As written in the request, what is malformed included: to count as absent, it would have to be harmless. */
export interface Destination {
  hosts: string[];
  ports: string[];
}

/** @returns undefined for a request that names no server */
export function destinationOf(line: string): Destination | undefined {
  const [, ...options] = (line.split(' ')[0] ?? '').split(',');
  const hosts = valuesOf('host', options);
  const ports = valuesOf('port', options);
  return hosts.length + ports.length === 0 ? undefined : { hosts, ports };
}

function valuesOf(name: string, options: readonly string[]): string[] {
  return options
    .filter((option) => lowerAscii(option.split('=')[0] ?? '') === name)
    .map((option) => option.slice(name.length + 1));
}

/**
 * Nothing is handed out for another server than the account's own one for the protocol.
 * @throws CmsError `access_denied`
 */
export function requireOwnServer(destination: Destination | undefined, account: Account, protocol: Protocol): void {
  if (destination === undefined) return;
  const { hosts, ports } = destination;
  const server = account.servers[protocol];
  const host = server && canonicalHost(server.host);
  const isOwn =
    server !== undefined &&
    host !== undefined &&
    hosts.every((each) => canonicalHost(each) === host) &&
    ports.every((each) => /^\d{1,5}$/.test(each) && Number(each) === server.port);
  if (isOwn) return;
  const asked = printable([hosts.join(' '), ...ports].join(':'));
  const own = server === undefined ? 'it has none' : `${server.host}:${server.port}`;
  throw new CmsError(
    'access_denied',
    `a token of ${account.address} is not given for ${asked}, which is not its ${protocol.toUpperCase()} server (${own})`,
    { suggestions: [`cms account show ${quoted(account.address)}`, 'cms exim-config --install'] },
  );
}

/**
 * One form for all ways to write a host: lower case, A-labels, no dot at the end, addresses as URLs write them.
 * @returns undefined for what is not a host's name or address
 */
export function canonicalHost(text: string): string | undefined {
  const host = text.replace(/\.$/, '');
  if (/^\[?[0-9a-f:.]*:[0-9a-f:.]*\]?$/i.test(host)) return ipv6(host.replace(/^\[(.*)\]$/, '$1'));
  if (/^[a-z0-9._-]+$/i.test(host)) return lowerAscii(host);
  if (!/^[a-z0-9._\u0080-\u{10ffff}-]+$/iu.test(host)) return undefined;
  const ascii = domainToASCII(host);
  // Letters that only look alike, or that become others, are not the same name to a resolver.
  const isPlain = host === host.normalize('NFC') && domainToUnicode(ascii) === host.toLowerCase();
  return ascii !== '' && isPlain ? ascii : undefined;
}

function ipv6(text: string): string | undefined {
  const url = `http://[${text}]/`;
  return URL.canParse(url) ? new URL(url).hostname : undefined;
}
