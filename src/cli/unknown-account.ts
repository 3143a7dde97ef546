/** The message for an unknown account: whose accounts were searched, and which one may have been meant. */
import { existsSync } from 'node:fs';
import { userInfo } from 'node:os';
import { AccountStore } from '../lib/accounts/store.ts';
import type { CmsError } from '../lib/core/errors.ts';
import { nearest } from '../lib/core/nearest.ts';
import { type Environment, resolvePaths } from '../lib/os/paths.ts';
import { isAsSystem, SYSTEM } from '../lib/service/system.ts';

/**
 * The failure in the words of a command that can look around; any other failure is passed through. The broker does not
 * say it: its answers go to others as well.
 * @param command its words after `cms`, without the address
 */
export async function explainUnknown(failure: CmsError, command: string, env: Environment): Promise<CmsError> {
  const address = /^no account (\S+)$/.exec(failure.message)?.[1];
  if (failure.code !== 'account_unknown' || address === undefined) return failure;
  const paths = resolvePaths(env);
  const known = await namesIn(new AccountStore(paths));
  const isRoot = process.getuid?.() === 0;
  // Who has no account yet has looked at the right place.
  if (known.length === 0 && !isRoot) return failure;
  const meant = nearest(address, known);
  const question = meant === undefined ? '' : `; did you mean ${meant}?`;
  return failure.inOtherWords(`no account ${address} among those of ${userName()} (${paths.accountsFile})${question}`, [
    ...(meant === undefined ? [] : [`cms ${command} ${meant}`]),
    ...otherUsers(`${command} ${address}`, env),
    ...failure.suggestions,
  ]);
}

async function namesIn(store: AccountStore): Promise<string[]> {
  try {
    const accounts = await store.list();
    return accounts.flatMap(({ address, aliases }) => [address, ...aliases.filter((each) => !each.startsWith('@'))]);
  } catch {
    return [];
  }
}

/** root has accounts of its own, which are rarely meant. */
function otherUsers(command: string, env: Environment): string[] {
  if (isAsSystem(env)) return [];
  const { SUDO_USER: caller } = env;
  const isRoot = process.getuid?.() === 0;
  return [
    ...(isRoot && caller ? [`cms ${command}   # as ${caller}, without sudo`] : []),
    ...(isRoot && !caller ? [`sudo -u USER -H cms ${command}   # as the user whose account it is`] : []),
    ...(existsSync(SYSTEM.environment.CMS_CONFIG_DIR) ? [`cms service run ${command}   # of the system's broker`] : []),
  ];
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return `uid ${process.getuid?.() ?? '?'}`;
  }
}
