/** The failures of the token service, in the words that users see; those of providers are in `refusals.ts`. */
import { type Account, type Protocol, PROTOCOLS } from '../accounts/account.ts';
import { CmsError } from '../core/errors.ts';
import { quoted } from '../core/shell-word.ts';

export function neverSignedIn(address: string): CmsError {
  return new CmsError('authorization_required', `${address} has not been signed in`, {
    suggestions: [`cms account add ${quoted(address)}`],
  });
}

/** @param defect a clause that names it */
export function unusableToken(address: string, defect: string): CmsError {
  return new CmsError('protocol_error', `no token for ${address}: ${defect}`, {
    suggestions: [
      `cms doctor ${quoted(address)}   # says who can fix it`,
      `cms token ${quoted(address)} --force-refresh   # once it is fixed at the provider`,
    ],
  });
}

export function isPasswordAccount(address: string): CmsError {
  return new CmsError('password_account', `${address} logs in with an app password, it has no token`, {
    suggestions: [`cms token ${quoted(address)} --output password`],
  });
}

export function hasNoPassword(address: string): CmsError {
  return new CmsError('password_account', `${address} signs in with OAuth, it has no app password`, {
    suggestions: [`cms token ${quoted(address)}`],
  });
}

/** @throws CmsError `protocol_not_granted` */
export function requireProtocol(account: Account, protocol: Protocol): void {
  if (account.protocols.includes(protocol)) return;
  const wanted = PROTOCOLS.filter((each) => each === protocol || account.protocols.includes(each));
  throw new CmsError('protocol_not_granted', `${account.address} was not signed in for ${protocol.toUpperCase()}`, {
    suggestions: [`cms account add ${quoted(account.address)} ${wanted.map((each) => `--protocol ${each}`).join(' ')}`],
  });
}

export function bindingChanged(address: string): CmsError {
  return new CmsError(
    'config_invalid',
    `the settings of ${address} changed since it signed in; its refresh token is not sent anywhere else`,
    { suggestions: [`cms account add ${quoted(address)}`] },
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

/** The newest grants of these accounts are lost with this process. */
export function grantsLost(addresses: readonly string[]): CmsError {
  const [which, them] = addresses.length === 1 ? ['the new grant', 'it is'] : ['the new grants', 'they are'];
  const message = `${which} of ${addresses.join(', ')} could not be stored; ${them} lost with this process`;
  return new CmsError('io_error', message, {
    suggestions: addresses.map(
      (address) => `cms account add ${quoted(address)}   # if the provider no longer takes the old one`,
    ),
  });
}

export function waitsForLock(address: string, lockFile: string): CmsError {
  return new CmsError('temporarily_unavailable', `another process holds the lock of ${address}`, {
    suggestions: [`fuser -v ${lockFile}`],
  });
}

export function isEnding(address: string): CmsError {
  return new CmsError('temporarily_unavailable', `no new token for ${address}: the broker is stopping`, {
    suggestions: ['run the command again'],
  });
}
