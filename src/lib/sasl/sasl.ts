/**
 * The strings that mail servers take as OAuth credentials. Encoders and parsers side by side; tests hold them to be
 * inverses. All of them refuse what could end a field early: an answer is exact, or there is none.
 */
import { isBearerToken } from './bearer.ts';
import { CmsError } from '../errors.ts';

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

/** What `xoauth2` was made from, or undefined. */
export function parseXoauth2(text: string): { user: string; token: string } | undefined {
  const [user, auth, ...end] = text.split(SEPARATOR);
  if (!user?.startsWith('user=') || !auth?.startsWith('auth=Bearer ') || end.join('|') !== '|') return undefined;
  return { user: user.slice('user='.length), token: auth.slice('auth=Bearer '.length) };
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

/** What `oauthbearer` was made from, or undefined. */
export function parseOauthbearer(text: string): ({ user: string; token: string } & OauthbearerTarget) | undefined {
  const [header, ...pairs] = text.split(SEPARATOR);
  const user = /^n,a=([^,]*),$/.exec(header ?? '')?.[1];
  if (user === undefined || pairs.slice(-2).join('|') !== '|') return undefined;
  const fields = new Map(pairs.slice(0, -2).map((pair) => splitOnce(pair)));
  const auth = fields.get('auth');
  if (!auth?.startsWith('Bearer ')) return undefined;
  const host = fields.get('host');
  const port = fields.get('port');
  return {
    user: user.replaceAll('=2C', ',').replaceAll('=3D', '='),
    token: auth.slice('Bearer '.length),
    ...(host !== undefined && { host }),
    ...(port !== undefined && { port: Number(port) }),
  };
}

export function base64(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64');
}

function splitOnce(pair: string): [string, string] {
  const equals = pair.indexOf('=');
  return [pair.slice(0, equals), pair.slice(equals + 1)];
}

function check(user: string, token: string): void {
  if (!SASL_USER.test(user)) throw new CmsError('protocol_error', 'the user name cannot stand in a SASL string');
  if (!isBearerToken(token)) {
    throw new CmsError('protocol_error', 'the provider issued an access token with characters that RFC 6750 forbids', {
      suggestions: ['mail servers would refuse it or misread it; ask the provider for tokens of the form of RFC 6750'],
    });
  }
}
