import type { MailServer } from '../../accounts/account.ts';

export function implicitTls(host: string, port: number): MailServer {
  return { host, port, tls: 'implicit' };
}

export function startTls(host: string, port: number): MailServer {
  return { host, port, tls: 'starttls' };
}

/**
 * Where a provider compares the whole redirect URI, port included, an ephemeral port cannot work. This one lies below
 * Linux's ephemeral range (32768 and up), so that nothing else takes it by chance.
 */
export const REGISTERED_PORT = 28127;

/** Names separated by blanks, as a list: long lists of domains read better so. */
export function domainList(text: string): string[] {
  return text.trim().split(/\s+/);
}
