/** Who signed in, from what the provider said. Pure. */
import { CmsError } from '../errors.ts';
import { domainOf, lowerAscii } from '../accounts/address.ts';

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

function text(value: unknown): string | undefined {
  return typeof value === 'string' && /^[\x21-\x7e]{1,320}$/.test(value) ? value : undefined;
}

/** `unverified`: the provider did not say who signed in, so only a login at the mail server can tell. */
export type Verdict = 'match' | 'mismatch' | 'unverified';

export function judgeIdentity(login: string, identity: string | undefined): Verdict {
  if (identity === undefined) return 'unverified';
  return canonical(login) === canonical(identity) ? 'match' : 'mismatch';
}

/** Gmail ignores dots, and googlemail.com is gmail.com; everywhere else only case is forgiven. */
function canonical(address: string): string {
  const lower = lowerAscii(address);
  const domain = domainOf(lower);
  if (domain !== 'gmail.com' && domain !== 'googlemail.com') return lower;
  return `${lower.slice(0, lower.lastIndexOf('@')).replaceAll('.', '')}@gmail.com`;
}

export interface ExpectedIdToken {
  /** Holds `{tenantid}`, for which the token's own `tid` is put (Microsoft). Without it nobody knows who should issue. */
  issuerTemplate?: string | undefined;
  client_id: string;
  nonce?: string | undefined;
  /** Seconds since the epoch. */
  now: number;
}

const CLOCK_TOLERANCE_SECONDS = 300;

/**
 * The claims of an id_token whose issuer is known as a template only, or not at all. It came from the token endpoint over TLS, which
 * stands in for its signature.
 * @throws CmsError `protocol_error`
 * @see OpenID Connect Core section 3.1.3.7
 */
export function claimsOfIdToken(idToken: string, expected: ExpectedIdToken): Claims {
  const claims = decode(idToken);
  const { iss, aud, exp, nonce } = claims as { iss?: unknown; aud?: unknown; exp?: unknown; nonce?: unknown };
  const audiences = Array.isArray(aud) ? (aud as unknown[]) : [aud];
  if (expected.issuerTemplate !== undefined && iss !== issuerOf(expected.issuerTemplate, claims)) {
    throw refused('it was issued by someone else');
  }
  if (!audiences.includes(expected.client_id)) throw refused('it is meant for another client');
  if (typeof exp !== 'number' || exp + CLOCK_TOLERANCE_SECONDS < expected.now)
    throw refused('it has expired; is the clock of this machine right?');
  if (expected.nonce !== undefined && nonce !== expected.nonce) throw refused('it belongs to another sign-in');
  return claims;
}

function issuerOf(template: string, { tid: tenant }: Claims): string {
  if (typeof tenant !== 'string' || !/^[0-9A-Za-z.-]+$/.test(tenant)) throw refused('it names no tenant');
  return template.replace('{tenantid}', tenant);
}

function decode(idToken: string): Claims {
  try {
    const claims: unknown = JSON.parse(Buffer.from(idToken.split('.')[1] ?? '', 'base64url').toString('utf8'));
    if (typeof claims === 'object' && claims !== null) return claims as Claims;
  } catch {
    // Reported below, like any other id_token that is none.
  }
  throw refused('it cannot be read');
}

function refused(why: string): CmsError {
  return new CmsError('protocol_error', `the provider's id_token is not acceptable: ${why}`);
}
