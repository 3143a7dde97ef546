/**
 * The strings that mail servers take as OAuth credentials. They refuse what could end a field early: an answer is exact, or there is none.
 */
import { isBearerToken } from './bearer.ts';
import { CmsError } from './errors.ts';

export { isBearerToken };

const SEPARATOR = '\x01';
// No controls, blanks or quotes. "=" and "," are legal in a user name; OAUTHBEARER escapes them.

const SASL_USER = /^[^\x00-\x20\x7f-\uffff"\\]{1,320}$/;

/**
 * The unencoded XOAUTH2 client response.
 * @throws CmsError `protocol_error` for a user or token that cannot stand in it
 * @see https://developers.google.com/workspace/gmail/imap/xoauth2-protocol
 */
export function xoauth2(user: string, token: string): string {
  check(user, token);
  return `user=${user}${SEPARATOR}auth=Bearer ${token}${SEPARATOR}${SEPARATOR}`;
}

export interface OauthbearerTarget {
  host?: string;
  port?: number;
}

/**
 * The unencoded OAUTHBEARER client response: GS2 header with the user, then the key-value pairs.
 * @throws CmsError `protocol_error` for a user or token that cannot stand in it
 * @see RFC 7628 section 3.1, RFC 5801 section 4 for the escapes
 */
export function oauthbearer(user: string, token: string, { host, port }: OauthbearerTarget = {}): string {
  check(user, token);
  const authzid = user.replaceAll('=', '=3D').replaceAll(',', '=2C');
  const pairs = [
    ...(host === undefined ? [] : [`host=${host}`]),
    ...(port === undefined ? [] : [`port=${port}`]),
    `auth=Bearer ${token}`,
  ];
  return `n,a=${authzid},${SEPARATOR}${pairs.join(SEPARATOR)}${SEPARATOR}${SEPARATOR}`;
}

export function base64(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64');
}

function check(user: string, token: string): void {
  if (!SASL_USER.test(user)) throw new CmsError('protocol_error', 'the user name cannot stand in a SASL string');
  if (!isBearerToken(token)) {
    throw new CmsError('protocol_error', 'the provider issued an access token with characters that RFC 6750 forbids', {
      suggestions: ['mail servers would refuse it or misread it; ask the provider for tokens of the form of RFC 6750'],
    });
  }
}
