import { CmsError } from './errors.ts';

/** Of an authorization server, as its metadata name them (RFC 8414 section 2). */
export const ENDPOINT_NAMES = [
  'authorization_endpoint',
  'token_endpoint',
  'device_authorization_endpoint',
  'revocation_endpoint',
  'userinfo_endpoint',
  'jwks_uri',
] as const;

/**
 * Validates a URL that secrets are sent to, or that a person is sent to: https, or plain http to this very machine.
 * `name` is what the URL is called in the message; the text itself is not repeated, it could hold a password.
 * @throws CmsError `config_invalid`
 * @see RFC 6749 section 3.1 and 3.2 (TLS, no fragment)
 */
export function parseEndpoint(text: string, name: string): URL {
  // The URL parser would forgive blanks, backslashes and missing slashes, and so change what the user believed to see.
  if (!/^https?:\/\/[^\s\\\p{Cc}]+$/iu.test(text)) throw refused(name, 'is not an http or https URL');
  const url = urlOf(text, name);
  if (url.username !== '' || url.password !== '') throw refused(name, 'holds credentials');
  if (url.hash !== '' || text.includes('#')) throw refused(name, 'has a fragment');
  if (url.protocol !== 'https:' && !isLoopback(url.hostname)) {
    throw refused(name, `is plain http to ${url.hostname}; only https is safe`);
  }
  return url;
}

/** Whether `url` stays on this machine, where plain http is as good as https. */
export function isLoopbackUrl(url: string): boolean {
  return URL.canParse(url) && isLoopback(new URL(url).hostname);
}

/** 127.0.0.0/8, ::1 and localhost (RFC 6761 section 6.3), as the URL parser writes them. */
export function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(hostname);
}

function urlOf(text: string, name: string): URL {
  if (!URL.canParse(text)) throw refused(name, 'is not an http or https URL');
  return new URL(text);
}

function refused(name: string, reason: string): CmsError {
  return new CmsError('config_invalid', `the ${name} ${reason}`, {
    suggestions: [`give the ${name} as https://HOST/PATH, without user name, password or #`],
  });
}
