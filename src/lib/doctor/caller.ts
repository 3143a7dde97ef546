/**
 * The caller: a user, root, or root by sudo. Under sudo everything but the MTA's user is checked as the calling user.
 */
import { existsSync } from 'node:fs';
import { CmsError } from '../core/errors.ts';
import { findExim4 } from '../exim/binary.ts';
import type { Run } from '../os/process.ts';
import { type Caller, ownerOf } from '../os/owner.ts';
import { type FrozenMail, frozenMail } from '../exim/queue.ts';
import { type Environment, resolvePaths } from '../os/paths.ts';
import { readSettings } from '../config/settings.ts';
import { type SystemFacts, systemFacts } from './checks/system.ts';
import { type MtaLook, type Probe, probeAs, probedAlready } from './checks/mta.ts';

export interface Examiner {
  name: string;
  env: Environment;
  uid: number | undefined;
  /** The group to take on together with `uid`; absent where nothing is to be taken on. */
  gid?: number;
  probe: Probe;
  system: SystemFacts;
  /** What lies frozen in exim's queue, as `frozenMail` says. */
  frozen: () => Promise<FrozenMail | undefined>;
}

/**
 * Under sudo it tries the sockets at once, because afterwards the caller becomes the user.
 * @param node path of node
 * @throws CmsError `config_invalid` as `ownerOf`
 */
export async function examinerOf(caller: Caller, run: Run, node: string): Promise<Examiner> {
  const look: MtaLook = { run, uid: caller.uid, node };
  const { name, env } = await ownerOf(caller, run);
  const system = await systemFacts({ ...look, env: caller.env, probe: probeAs(look) });
  if (env === caller.env)
    return { name, env, uid: caller.uid, probe: probeAs(look), system, frozen: () => frozenNow(run, env) };
  const known = await frozenNow(run, env);
  const frozen = (): Promise<FrozenMail | undefined> => Promise.resolve(known);
  const { stdout } = await run(['getent', 'passwd', name]);
  const [, , uid = '', gid = ''] = stdout.split(':');
  const { sockets } = await readSettings(resolvePaths(env), Number(uid)).catch(() => ({ sockets: [] }));
  const probe = await probedAlready(look, sockets);
  return { name, env: withSession(env, Number(uid)), uid: Number(uid), gid: Number(gid), probe, system, frozen };
}

async function frozenNow(run: Run, env: Environment): Promise<FrozenMail | undefined> {
  try {
    return await frozenMail(run, findExim4(env), true);
  } catch (error) {
    if (error instanceof CmsError) return undefined;
    throw error;
  }
}

/** Root by sudo is the user who called it from then on. */
export function becomeOwner({ name, env, uid, gid }: Examiner): void {
  if (uid === undefined || gid === undefined) return;
  (process as Partial<GroupCalls>).initgroups?.(name, gid);
  process.setgid?.(gid);
  process.setuid?.(uid);
  for (const [key, value] of Object.entries(env)) {
    if (value === undefined) Reflect.deleteProperty(process.env, key);
    else process.env[key] = value;
  }
}

/** What the types of Node leave out. */
interface GroupCalls {
  initgroups: (user: string, group: number) => void;
}

/** sudo takes away what leads to the session of the user. */
function withSession(env: Environment, uid: number): Environment {
  const folder = `/run/user/${uid}`;
  if (!existsSync(folder)) return env;
  return { ...env, XDG_RUNTIME_DIR: folder, DBUS_SESSION_BUS_ADDRESS: `unix:path=${folder}/bus` };
}
