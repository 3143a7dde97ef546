import type { LoginFailure, LoginResult } from './login.ts';

/** The user that worked, or what became of each one that was tried. */
export type TryUsersResult =
  Extract<LoginResult, { ok: true }> | { ok: false; failures: [LoginFailure, ...LoginFailure[]] };

/**
 * Tries `candidates` in order (ADDRESS, then the login) until one gets in; one that stands there twice is tried once.
 * Only a refusal makes it go on: a server that cannot be reached, trusted or understood is that for every user.
 */
export async function tryUsers(
  candidates: readonly [string, ...string[]],
  login: (user: string) => Promise<LoginResult>,
): Promise<TryUsersResult> {
  const [first, ...others] = candidates;
  const result = await login(first);
  if (result.ok) return result;
  const [next, ...rest] = others.filter((user) => user !== first);
  if (result.kind !== 'refused' || next === undefined) return { ok: false, failures: [result] };
  const later = await tryUsers([next, ...rest], login);
  return later.ok ? later : { ok: false, failures: [result, ...later.failures] };
}
