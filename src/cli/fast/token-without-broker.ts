/** What a broker would do, done by this process: for `cms token` while no broker runs. */
import type { OAuthAccount, Protocol } from '../../lib/accounts/account.ts';
import { saslUser } from '../../lib/accounts/account.ts';
import type { TokenAnswer } from '../../lib/broker/wire.ts';
import { type Context, openContext } from '../../lib/context.ts';
import type { Environment } from '../../lib/os/paths.ts';
import { reportFailure } from '../report-failure.ts';
import type { Secret } from '../../lib/core/secret.ts';
import { type AccessToken, storedToken, type TokenRequest } from '../../lib/tokens/access-token.ts';
import { grantsLost, hasNoPassword, isPasswordAccount, requireProtocol } from '../../lib/tokens/failures.ts';

/** @throws CmsError `account_unknown`, `protocol_not_granted`, and as `TokenService.accessToken` */
export async function tokenWithoutBroker(
  env: Environment,
  request: TokenRequest & { address: string; protocol: Protocol },
): Promise<TokenAnswer> {
  const context = openContext(env);
  const account = await context.accounts.resolve(request.address);
  if (account.kind !== 'oauth') throw isPasswordAccount(account.address);
  requireProtocol(account, request.protocol);
  const { access_token, expires_at } = await accessToken(context, account, request);
  return { user: saslUser(account, request.protocol), access_token, expires_at };
}

async function accessToken(context: Context, account: OAuthAccount, request: TokenRequest): Promise<AccessToken> {
  const stored = await storedToken(context.vault, account, request, Date.now());
  if (stored !== undefined) return stored;
  // What an exchange needs takes longer to load than all the rest.
  const { openTokens } = await import('../../lib/tokens/open.ts');
  const tokens = openTokens(context);
  const token = await tokens.accessToken(account, request);
  // Only on a terminal: exim's ${run} would take what stands on stderr for a part of the token.
  if (tokens.unstored.size > 0 && process.stderr.isTTY) reportFailure(grantsLost([...tokens.unstored.keys()]), false);
  return token;
}

/** @throws CmsError `account_unknown`, `password_account`, and as `TokenService.password` */
export async function passwordWithoutBroker(env: Environment, address: string, protocol: Protocol): Promise<Secret> {
  const context = openContext(env);
  const account = await context.accounts.resolve(address);
  if (account.kind !== 'password') throw hasNoPassword(account.address);
  requireProtocol(account, protocol);
  const { openTokens } = await import('../../lib/tokens/open.ts');
  return openTokens(context).password(account);
}
