/** What a broker would do, done by this process: for `cms token` while no broker runs. */
import type { Protocol } from './accounts/account.ts';
import { saslUser } from './accounts/account.ts';
import type { TokenAnswer } from './broker/wire.ts';
import { openContext, openTokens } from './context.ts';
import type { Environment } from './paths.ts';
import type { Secret } from './secret.ts';
import { requireProtocol } from './token/errors.ts';
import type { TokenRequest } from './token/service.ts';

/** @throws CmsError `account_unknown`, `protocol_not_granted`, and as `TokenService.accessToken` */
export async function tokenWithoutBroker(
  env: Environment,
  request: TokenRequest & { address: string; protocol: Protocol },
): Promise<TokenAnswer> {
  const context = openContext(env);
  const account = await context.accounts.resolve(request.address);
  if (account.kind === 'oauth') requireProtocol(account, request.protocol);
  const { access_token, expires_at } = await openTokens(context).accessToken(account, request);
  return { user: saslUser(account, request.protocol), access_token, expires_at };
}

/** @throws CmsError `account_unknown`, `password_account`, and as `TokenService.password` */
export async function passwordWithoutBroker(env: Environment, address: string, protocol: Protocol): Promise<Secret> {
  const context = openContext(env);
  const account = await context.accounts.resolve(address);
  if (account.kind === 'password') requireProtocol(account, protocol);
  return openTokens(context).password(account);
}
