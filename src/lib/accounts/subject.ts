/** An account as explanations name it. */
import type { Subject } from '../explain/fill.ts';
import type { Account } from './account.ts';

/** What explanations may name of an account. */
export function subjectOf(account: Account): Subject {
  const { address, login } = account;
  if (account.kind === 'password') return { address, login };
  const { client_id: clientId, token_endpoint: tokenEndpoint, scope } = account.client;
  return { address, login, clientId, tokenEndpoint, scope };
}
