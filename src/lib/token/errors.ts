/** The failures of the token service, in the words that users see. */
import { type Account, type Protocol, PROTOCOLS } from '../accounts/account.ts';
import { CmsError } from '../errors.ts';
import { type Explanation, explain, fromWords } from '../explain/explain.ts';
import type { Subject } from '../explain/fill.ts';
import { explainReason } from '../explain/grant.ts';
import type { GrantFailure, GrantHeader, GrantSecrets } from '../store/grant.ts';

export function neverSignedIn(address: string): CmsError {
  return new CmsError('authorization_required', `${address} has not been signed in`, {
    suggestions: [`cms account add ${address}`],
  });
}

type Failed = Pick<GrantHeader, 'address'> & { secrets?: Pick<GrantSecrets, 'binding'> };
type Refused = Failed & Pick<GrantHeader, 'reason' | 'signed_in_at'>;

/** The client and server that a grant belongs to, for advice that names them. */
function boundTo(secrets: Failed['secrets']): Pick<Subject, 'clientId' | 'tokenEndpoint'> {
  const { client_id: clientId, token_endpoint: tokenEndpoint } = secrets?.binding ?? {};
  return { clientId, tokenEndpoint };
}

/** What the provider meant, what it said, and what is to be done about it. */
export function authorizationRequired(record: Refused): CmsError {
  const { address, reason, secrets } = record;
  const explained = explainReason(record, boundTo(secrets));
  const why = explained === undefined ? '' : `: ${explained.sentence} (${wordsOf(reason)})`;
  return new CmsError('authorization_required', `the sign-in of ${address} is no longer accepted${why}`, {
    suggestions: withSignIn(address, explained?.fix ?? []),
  });
}

function wordsOf(reason: GrantHeader['reason']): string {
  return [reason?.error, reason?.description].filter(Boolean).join(': ');
}

/** The fix, and a sign-in in any case: without one, this account stays as it is. */
function withSignIn(address: string, fix: readonly string[]): string[] {
  const command = `cms account add ${address}`;
  return fix.some((line) => line.startsWith(command)) ? [...fix] : [...fix, command];
}

export function exchangeFailed({ address, secrets }: Failed, failure: GrantFailure, now: number): CmsError {
  const wait = Math.ceil((failure.retry_at - now) / 1000);
  if (failure.code === 'client_invalid') {
    const said = { source: 'oauth', ...fromWords(failure.message), address, ...boundTo(secrets) } as const;
    const { sentence, fix, id }: Explanation = explain(said);
    const message = `no new token for ${address}: ${id === 'unknown' ? '' : `${sentence}; the provider said: `}${failure.message}`;
    return new CmsError('client_invalid', message, {
      suggestions: [...fix, `cms token ${address} --force-refresh   # once it is mended at the provider`],
    });
  }
  const message = `no new token for ${address}: ${failure.message}`;
  return new CmsError(failure.code, wait > 0 ? `${message}; next attempt in ${wait} s` : message, {
    suggestions: [
      `cms token ${address} --force-refresh   # tries at once`,
      `cms doctor ${address}   # finds the link that is broken`,
    ],
  });
}

export function isPasswordAccount(address: string): CmsError {
  return new CmsError('password_account', `${address} logs in with an app password, it has no token`, {
    suggestions: [`cms token ${address} --output password`],
  });
}

export function hasNoPassword(address: string): CmsError {
  return new CmsError('password_account', `${address} signs in with OAuth, it has no app password`, {
    suggestions: [`cms token ${address}`],
  });
}

/** @throws CmsError `protocol_not_granted` */
export function requireProtocol(account: Account, protocol: Protocol): void {
  if (account.protocols.includes(protocol)) return;
  const wanted = PROTOCOLS.filter((each) => each === protocol || account.protocols.includes(each));
  throw new CmsError('protocol_not_granted', `${account.address} was not signed in for ${protocol.toUpperCase()}`, {
    suggestions: [`cms account add ${account.address} ${wanted.map((each) => `--protocol ${each}`).join(' ')}`],
  });
}

export function bindingChanged(address: string): CmsError {
  return new CmsError(
    'config_invalid',
    `the settings of ${address} changed since it signed in; its refresh token is not sent anywhere else`,
    { suggestions: [`cms account add ${address}`] },
  );
}

/** A vault that is locked says for whom it could not be opened; anything else speaks for itself. */
export function cannotOpen(address: string, error: unknown): unknown {
  if (!(error instanceof CmsError) || error.code !== 'store_locked') return error;
  return new CmsError('store_locked', `no token for ${address}: ${error.message}`, {
    suggestions: error.suggestions,
    cause: error,
  });
}

/** Exchanged, and then not to be stored for as long as a process that ends can wait. */
export function grantLost(address: string, failure: CmsError): CmsError {
  return new CmsError(failure.code, `the new grant of ${address} could not be stored: ${failure.message}`, {
    suggestions: [...failure.suggestions, `cms account add ${address}   # if the provider takes the old one no more`],
    cause: failure,
  });
}
