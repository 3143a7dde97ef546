/** Asking and telling systemd, through systemctl. */
import { existsSync } from 'node:fs';
import { userInfo } from 'node:os';
import { CmsError, messageOf } from '../core/errors.ts';
import type { Finished, Run } from '../os/process.ts';
import type { Environment } from '../os/paths.ts';
import { firstLine } from '../core/values.ts';

/** Where systemd runs the host. @see sd_booted(3) */
const BOOTED = '/run/systemd/system';

/** The first one with LoadCredentialEncrypted=. */
export const CREDENTIALS_SINCE = 250;

export interface Systemd {
  /** What `systemctl` and `loginctl` are called with, so that they find the user's manager. */
  run: Run;
  system: boolean;
}

/**
 * The service manager of the user or of the system.
 * @returns undefined on a host that systemd does not run
 * @throws CmsError `broker_unavailable` when it runs the host, but no manager of this user answers
 */
export async function findSystemd(
  run: Run,
  env: Environment,
  uid: number | undefined,
  system: boolean,
): Promise<Systemd | undefined> {
  const systemd: Systemd = { run: withRuntimeDir(run, env, uid), system };
  const answer = await tryRun(systemd.run, [...systemctlOf(systemd), 'show', '--property=Version', '--value']);
  if (answer?.status === 0) return systemd;
  if (answer === undefined || !existsSync(BOOTED)) return undefined;
  // The user who has sudo may be another one.
  const { username } = userInfo();
  throw new CmsError('broker_unavailable', `no service manager of yours answers: ${firstLine(answer.stderr)}`, {
    suggestions: [
      `sudo loginctl enable-linger ${username}`,
      `or log in as ${username}: by ssh, or sudo machinectl shell ${username}@`,
    ],
  });
}

/** A shell of cron or sudo lacks XDG_RUNTIME_DIR, by which the user's manager is found. */
function withRuntimeDir(run: Run, env: Environment, uid: number | undefined): Run {
  const folder = `/run/user/${String(uid)}`;
  if (env.XDG_RUNTIME_DIR || !existsSync(folder)) return run;
  return (argv, input) => run(['env', `XDG_RUNTIME_DIR=${folder}`, ...argv], input);
}

async function tryRun(run: Run, argv: string[]): Promise<Finished | undefined> {
  try {
    return await run(argv);
  } catch {
    return undefined;
  }
}

function systemctlOf({ system }: Systemd): string[] {
  return system ? ['systemctl'] : ['systemctl', '--user'];
}

/** Runs a command that has to succeed. @throws CmsError `io_error` with its first word on stderr */
export async function mustRun(run: Run, argv: readonly string[]): Promise<void> {
  const { status, stderr } = await run(argv);
  if (status === 0) return;
  throw new CmsError('io_error', `${argv.join(' ')} failed: ${firstLine(stderr)}`, {
    suggestions: ['cms service status', 'journalctl --user -u cms -e'],
  });
}

export interface UnitState {
  enabled: boolean;
  active: boolean;
  /** undefined when it does not run. */
  pid: number | undefined;
  /** systemd's word: `active`, `failed`, … */
  state: string;
  /** What the broker last said of itself. */
  statusText: string;
}

/** What systemd knows of a unit; of one that it does not know, that it is inactive. */
export async function unitState(systemd: Systemd, unit: string): Promise<UnitState> {
  const names = 'ActiveState,UnitFileState,MainPID,StatusText';
  const answer = await tryRun(systemd.run, [...systemctlOf(systemd), 'show', unit, `--property=${names}`]);
  const lines = (answer?.stdout ?? '').split('\n').map((line) => [line.split('=', 1)[0], line.replace(/^\w+=/, '')]);
  const value = (name: string): string => lines.find(([key]) => key === name)?.[1] ?? '';
  const state = value('ActiveState') || 'unknown';
  return {
    enabled: value('UnitFileState') === 'enabled',
    active: state === 'active' || state === 'reloading',
    pid: Number(value('MainPID')) || undefined,
    state,
    statusText: value('StatusText'),
  };
}

/** The number in `systemd 252 (252.38-1~deb12u1)`; 0 where it cannot be had. */
export async function systemdVersion(run: Run): Promise<number> {
  const answer = await tryRun(run, ['systemctl', '--version']);
  return Number(/^systemd (\d+)/.exec(answer?.stdout ?? '')?.[1] ?? 0);
}

/** Whether the user's manager is started at boot. @see loginctl(1) enable-linger */
export function lingers(user: string): boolean {
  return existsSync(`/var/lib/systemd/linger/${user}`);
}

export async function enableLinger(run: Run, argv: readonly string[]): Promise<string | undefined> {
  try {
    await mustRun(run, argv);
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}
