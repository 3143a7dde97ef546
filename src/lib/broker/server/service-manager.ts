/** What the broker tells the service manager that started it (sd_notify(3), sd_watchdog_enabled(3)). */
import { sendDatagram } from '../../os/libc.ts';

export interface ServiceManager {
  /** It wants a sign of life at least this often; undefined when it does not watch. */
  readonly signOfLifeMs: number | undefined;
  /** Assignments such as `READY=1`, as one message. One that is not taken is lost: nothing depends on it. */
  tell: (...assignments: string[]) => void;
}

/**
 * The service manager of this process, and its variables out of `env`, because none of our children may speak to it.
 * @returns undefined if no service manager wants to be told
 */
export function takeServiceManager(
  env: NodeJS.ProcessEnv,
  pid: number,
  send: (path: string, text: string) => unknown = sendDatagram,
): ServiceManager | undefined {
  const { NOTIFY_SOCKET, WATCHDOG_PID = String(pid), WATCHDOG_USEC = '' } = env;
  delete env.NOTIFY_SOCKET;
  delete env.WATCHDOG_PID;
  delete env.WATCHDOG_USEC;
  if (NOTIFY_SOCKET === undefined || !/^[/@]./.test(NOTIFY_SOCKET)) return undefined;
  const watched = WATCHDOG_PID === String(pid) && /^[1-9]\d{0,15}$/.test(WATCHDOG_USEC);
  return {
    // Half of what it allows, as sd_watchdog_enabled(3) advises.
    signOfLifeMs: watched ? Number(WATCHDOG_USEC) / 2000 : undefined,
    tell: (...assignments) => void send(NOTIFY_SOCKET, assignments.join('\n')),
  };
}

/** The answer to SIGHUP begins with this and ends with `READY=1`. Pure. @param now nanoseconds of CLOCK_MONOTONIC */
export function reloading(now: bigint): [string, string] {
  return ['RELOADING=1', `MONOTONIC_USEC=${String(now / 1000n)}`];
}

/** A line for `systemctl status`: counts only, because everybody on the host may read it. Pure. */
export function statusLine(accounts: readonly { state: string }[], sockets: number): string {
  const trouble = accounts.filter(({ state }) => state !== 'ok' && state !== 'unknown').length;
  const remark = trouble === 0 ? '' : `; ${trouble} need attention, see cms status`;
  return `STATUS=${plural(accounts.length, 'account')}, ${plural(sockets, 'socket')}${remark}`;
}

function plural(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}
