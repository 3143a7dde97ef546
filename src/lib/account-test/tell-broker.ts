/** Telling the broker of a token that a submission server does not take, as exim does. */
import type { Account } from '../accounts/account.ts';
import { parseAddress } from '../accounts/address.ts';
import { ask } from '../broker/client.ts';
import type { ProtocolTest } from './account-test.ts';

/**
 * Whether the token itself was refused. Only submission counts: of it the broker keeps account for the MTA, and a wrong
 * `imap_user` must not keep mail from going out. A switch or a policy of the organisation is not fixed by a new token.
 */
export function tokenWasRefused(account: Account, tests: readonly ProtocolTest[]): boolean {
  if (account.kind === 'password') return false;
  return tests.some(
    ({ protocol, steps, explanation }) =>
      protocol === 'smtp' && steps.at(-1)?.step === 'login' && explanation?.class === 'sign in again',
  );
}

/**
 * The broker fetches a new token once; if that one is refused too, it notifies the user.
 * @returns whether a broker runs
 * @throws CmsError `broker_unavailable`
 */
export async function tellBroker(privateSocket: string, address: string): Promise<boolean> {
  return (
    (await ask(privateSocket, { kind: 'token', protocol: 'smtp', form: 'refused', address: parseAddress(address) })) !==
    undefined
  );
}
