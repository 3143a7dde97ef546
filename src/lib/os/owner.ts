/** Whose accounts are meant: the caller's, and under sudo those of the user who called sudo, never root's. */
import { lstat } from 'node:fs/promises';
import { CmsError } from '../core/errors.ts';
import type { Environment, Paths } from './paths.ts';
import type { Run } from './process.ts';

export interface Owner {
  name: string;
  env: Environment;
  /** Where that is not the caller: the user whose files root reads. */
  uid?: number;
}

export interface Caller {
  /** Effective user id, and the name that belongs to it. */
  uid: number | undefined;
  name: string;
  env: Environment;
}

/**
 * The user whose accounts are worked on, and the environment in which they are found.
 * @throws CmsError `config_invalid` when sudo names a user that does not exist
 */
export async function ownerOf({ uid, name, env }: Caller, run: Run): Promise<Owner> {
  const sudoUid = env.SUDO_UID;
  if (uid !== 0 || sudoUid === undefined || !/^[1-9]\d{0,9}$/.test(sudoUid)) return { name, env };
  const { stdout } = await run(['getent', 'passwd', sudoUid]);
  const [user = '', , , , , home = ''] = stdout.trim().split(':');
  if (user === '' || home === '') {
    throw new CmsError('config_invalid', `sudo was called by uid ${sudoUid}, which has no entry in passwd`);
  }
  // root's own folders are not meant; a CMS_CONFIG_DIR that was let through sudo is.
  return {
    name: user,
    uid: Number(sudoUid),
    env: { ...env, HOME: home, XDG_CONFIG_HOME: undefined, XDG_STATE_HOME: undefined, XDG_RUNTIME_DIR: undefined },
  };
}

/**
 * Whose files root reads that was sent to the folder of a user (`CMS_CONFIG_DIR`, or `HOME` that was kept): that user's,
 * and to no one else.
 */
export async function ownerForRoot(
  { configDir }: Pick<Paths, 'configDir'>,
  uid: number | undefined,
): Promise<number | undefined> {
  if (uid !== 0) return undefined;
  const found = await lstat(configDir).catch(() => undefined);
  return found?.isDirectory() && found.uid !== 0 ? found.uid : undefined;
}
