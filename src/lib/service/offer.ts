/** Whether a first run may offer to have the broker started. */
import type { Run } from '../os/process.ts';
import type { Environment } from '../os/paths.ts';
import { findSystemd } from './systemd.ts';
import { installedUnits, userUnitDir } from './user-service.ts';

/** `none`: systemd does not run this host, or not for this user, such as root. */
export async function serviceState(
  run: Run,
  env: Environment,
  uid: number | undefined,
): Promise<'none' | 'possible' | 'installed'> {
  if (uid === 0) return 'none';
  if ((await installedUnits(userUnitDir(env))).length > 0) return 'installed';
  const systemd = await findSystemd(run, env, uid, false).catch(() => undefined);
  return systemd === undefined ? 'none' : 'possible';
}
