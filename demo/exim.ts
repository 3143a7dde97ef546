/** Runs the installed exim4 on files of the demo only: its own configuration, spool and log. */
import { chmod, chown, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Runner } from './runner.ts';
import { isExecutable } from '../src/lib/os/look.ts';

const EXIM = '/usr/sbin/exim4';
const MTA = 'Debian-exim';

export interface Mta {
  binary: string;
  folder: string;
  /** The user that exim runs as; it refuses to run as root. */
  user: string;
  group: string;
  isRoot: boolean;
}

/** Undefined if this user cannot run exim4 on files of its own. */
export async function prepareExim(folder: string, runner: Runner): Promise<Mta | undefined> {
  if (!isExecutable(EXIM)) return undefined;
  const isRoot = process.getuid?.() === 0;
  const ids = isRoot ? await idsOf(MTA, runner) : { uid: process.getuid?.() ?? -1, gid: process.getgid?.() ?? -1 };
  if (ids === undefined) return undefined;
  await mkdir(folder);
  try {
    await chown(folder, isRoot ? 0 : ids.uid, ids.gid);
  } catch {
    // A container may have no such user to give files to.
    return undefined;
  }
  // Like /run/cms/USER: files made in it belong to the group of the MTA.
  await chmod(folder, isRoot ? 0o2750 : 0o700);
  await makeSpool(folder, ids);
  const names = isRoot ? { user: MTA, group: MTA } : { user: String(ids.uid), group: String(ids.gid) };
  return { binary: EXIM, folder, isRoot, ...names };
}

/** Puts the settings of the demo in front of the generated configuration. @returns the file for `-C` */
export async function writeDemoConfig({ folder, user, group }: Mta): Promise<string> {
  const file = join(folder, 'demo.conf');
  const lines = [
    `spool_directory = ${join(folder, 'spool')}`,
    `log_file_path = ${join(folder, 'spool', '%slog')}`,
    `pid_file_path = ${join(folder, 'spool', 'pid')}`,
    `exim_user = ${user}`,
    `exim_group = ${group}`,
    // Without it exim would ask the DNS for the name of this host.
    'primary_hostname = demo.localhost',
    `.include ${join(folder, 'exim4.conf')}`,
  ];
  await writeFile(file, `${lines.join('\n')}\n`, { mode: 0o644 });
  return file;
}

async function makeSpool(folder: string, { uid, gid }: { uid: number; gid: number }): Promise<void> {
  const spool = join(folder, 'spool');
  await mkdir(spool, { mode: 0o750 });
  await chown(spool, uid, gid);
}

async function idsOf(name: string, runner: Runner): Promise<{ uid: number; gid: number } | undefined> {
  try {
    const { stdout } = await runner.run(['getent', 'passwd', name]);
    const [uid, gid] = stdout.split(':').slice(2, 4).map(Number);
    return uid === undefined || gid === undefined ? undefined : { uid, gid };
  } catch {
    return undefined;
  }
}
