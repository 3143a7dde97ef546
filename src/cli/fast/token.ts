/** `cms token`: the broker is asked first, and its answer is final; without a broker the work is done here. */
import { parseAddress } from '../../lib/accounts/address.ts';
import type { TokenAnswer } from '../../lib/broker/wire.ts';
import { passwordWithoutBroker, tokenWithoutBroker } from './token-without-broker.ts';
import { forbidDumps } from '../../lib/os/libc.ts';
import type { Environment } from '../../lib/os/paths.ts';
import type { Secret } from '../../lib/core/secret.ts';
import {
  askBrokerForPassword,
  askBrokerForToken,
  type Completion,
  type PasswordWishes,
  printToken,
  tokenFromBroker,
  type TokenWishes,
} from './token-from-broker.ts';

/** Runs the command. @returns its exit status */
export async function tokenMain(argv: readonly string[], env: Environment): Promise<number> {
  return (await tokenFromBroker(argv, env, inFull(env))) ?? tokenAlone(argv, env);
}

/** Runs the command where no broker does. @returns its exit status */
export async function tokenAlone(argv: readonly string[], env: Environment): Promise<number> {
  return (await printToken(argv, env, { token: tokenHere, password: passwordHere }, inFull(env))) ?? 0;
}

/** Whose accounts were looked at, where an account is not known. */
export function inFull(env: Environment): Completion {
  return async (failure) => {
    if (failure.code !== 'account_unknown') return failure;
    const { explainUnknown } = await import('../unknown-account.ts');
    return explainUnknown(failure, 'token', env);
  };
}

/** The token: from the broker, else refreshed here. @throws CmsError as both do */
export async function obtainToken(request: TokenWishes, env: Environment): Promise<TokenAnswer> {
  return (await askBrokerForToken(request, env)) ?? tokenHere(request, env);
}

/** The app password, on the same way. @throws CmsError as `obtainToken` */
export async function obtainPassword(request: PasswordWishes, env: Environment): Promise<Secret> {
  return (await askBrokerForPassword(request, env)) ?? passwordHere(request, env);
}

/** Only here does this process hold more than one access token. */
function tokenHere(request: TokenWishes, env: Environment): Promise<TokenAnswer> {
  forbidDumps();
  return tokenWithoutBroker(env, request);
}

function passwordHere({ address, protocol }: PasswordWishes, env: Environment): Promise<Secret> {
  forbidDumps();
  return passwordWithoutBroker(env, parseAddress(address), protocol);
}
