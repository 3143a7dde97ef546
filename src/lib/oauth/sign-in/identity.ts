/** Who signed in, from what the provider said. Pure. */
import { CmsError } from '../../core/errors.ts';
import { domainOf, lowerAscii, withALabels } from '../../accounts/address.ts';
import { parseJson } from '../http/answer.ts';
import { isRecord } from '../../core/values.ts';

export type Claims = Readonly<Record<string, unknown>>;

/**
 * The mail address or login name of the person: the id_token's `email`, else userinfo's, else `preferred_username`.
 * An `email_verified` that is false counts as no address at all.
 * @see OpenID Connect Core section 5.1
 */
export function identityOf(idToken: Claims | undefined, userinfo: Claims | undefined): string | undefined {
  const email = emailOf(idToken) ?? emailOf(userinfo);
  return email ?? text(idToken?.preferred_username) ?? text(userinfo?.preferred_username);
}

function emailOf(claims: Claims | undefined): string | undefined {
  const { email, email_verified: verified } = claims ?? {};
  return verified === false || verified === 'false' ? undefined : text(email);
}

/**
 * The name that the person signs in with, where it is another one than the identity: Microsoft's UPN, which its servers
 * may take where they refuse the mail address.
 */
export function usernameOf(idToken: Claims | undefined, userinfo: Claims | undefined): string | undefined {
  const name = text(idToken?.preferred_username) ?? text(idToken?.upn) ?? text(userinfo?.preferred_username);
  return name === identityOf(idToken, userinfo) ? undefined : name;
}

/** Printable, its domain as A-labels: the one form in which names are compared, stored and shown. */
function text(value: unknown): string | undefined {
  if (typeof value !== 'string' || value.length > 320) return undefined;
  const name = withALabels(value);
  return /^[\x21-\x7e]{1,320}$/.test(name) ? name : undefined;
}

/** `unverified`: the provider did not say who signed in, so only a login at the mail server can tell. */
export type Verdict = 'match' | 'mismatch' | 'unverified';

export function judgeIdentity(login: string, identity: string | undefined): Verdict {
  if (identity === undefined) return 'unverified';
  return canonical(login) === canonical(identity) ? 'match' : 'mismatch';
}

/** Gmail ignores dots, and googlemail.com is gmail.com; everywhere else only case is forgiven. */
function canonical(address: string): string {
  const lower = lowerAscii(withALabels(address));
  const domain = domainOf(lower);
  if (domain !== 'gmail.com' && domain !== 'googlemail.com') return lower;
  return `${lower.slice(0, lower.lastIndexOf('@')).replaceAll('.', '')}@gmail.com`;
}

export interface ExpectedIdToken {
  /**
   * May hold `{tenantid}`, for which the token's own `tid` is put (Microsoft). Without it the issuer is not known.
   */
  issuerTemplate?: string | undefined;
  client_id: string;
  nonce?: string | undefined;
  /** Seconds since the epoch. */
  now: number;
}

const CLOCK_TOLERANCE_SECONDS = 300;

/** RFC 7518 section 3.1, RFC 8037, RFC 8812, RFC 9864; names of algorithms that sign with a private key. */
const SIGNATURES = /^(?:[REP]S(?:256|384|512)|ES256K|EdDSA|Ed25519|Ed448|ML-DSA-(?:44|65|87))$/;
/** They sign with the client secret, which makes no sense for a client without one. */
const SECRET_SIGNATURES = /^HS(?:256|384|512)$/;

/**
 * Whether an id_token can be read here: one that is encrypted (JWE), signed with an unknown algorithm, or
 * garbage cannot. It is then as good as none, and userinfo tells who signed in.
 * @throws CmsError `protocol_error` for one that is not signed, which no client should have asked for
 * @see OpenID Connect Core section 3.1.3.7
 */
export function isReadable(idToken: string, { hasSecret }: { hasSecret: boolean }): boolean {
  const [header = '', claims = '', signature = '', ...more] = idToken.split('.');
  const parameters = jsonIn(header);
  if (parameters === undefined || jsonIn(claims) === undefined || more.length > 0) return false;
  const { alg } = parameters;
  if (typeof alg !== 'string' || alg.toLowerCase() === 'none' || signature === '') throw refused('it is not signed');
  return SIGNATURES.test(alg) || (hasSecret && SECRET_SIGNATURES.test(alg));
}

/**
 * The claims of an id_token. It came from the token endpoint over TLS, which stands in for its signature, whatever the
 * algorithm: so nothing depends on what the server's metadata say of that.
 * @throws CmsError `protocol_error`
 * @see OpenID Connect Core section 3.1.3.7
 */
export function claimsOfIdToken(idToken: string, expected: ExpectedIdToken): Claims {
  const claims = decode(idToken);
  const { iss, aud, exp, nonce, azp, nbf } = claims;
  const audiences: unknown[] = Array.isArray(aud) ? aud : [aud];
  if (expected.issuerTemplate !== undefined && iss !== issuerOf(expected.issuerTemplate, claims)) {
    throw refused('it was issued by someone else');
  }
  if (!audiences.includes(expected.client_id)) throw refused('it is meant for another client');
  if (audiences.length > 1 && typeof azp === 'string' && azp !== expected.client_id)
    throw refused('it was issued to another client');
  if (typeof nbf === 'number' && nbf > expected.now + CLOCK_TOLERANCE_SECONDS)
    throw refused('it is not valid yet; is the clock of this machine right?');
  if (typeof exp !== 'number' || exp + CLOCK_TOLERANCE_SECONDS < expected.now)
    throw refused('it has expired; is the clock of this machine right?');
  if (expected.nonce !== undefined && nonce !== expected.nonce) throw refused('it belongs to another sign-in');
  return claims;
}

function issuerOf(template: string, { tid: tenant }: Claims): string {
  if (!template.includes('{tenantid}')) return template;
  if (typeof tenant !== 'string' || !/^[0-9A-Za-z.-]+$/.test(tenant)) throw refused('it names no tenant');
  return template.replace('{tenantid}', tenant);
}

function decode(idToken: string): Claims {
  const claims = jsonIn(idToken.split('.')[1] ?? '');
  if (claims === undefined) throw refused('it cannot be read');
  return claims;
}

function jsonIn(part: string): Claims | undefined {
  const value = parseJson(Buffer.from(part, 'base64url').toString('utf8'));
  return isRecord(value) ? value : undefined;
}

function refused(why: string): CmsError {
  return new CmsError('protocol_error', `the provider's id_token is not acceptable: ${why}`);
}
