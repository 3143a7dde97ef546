/** Becoming the MTA's user for a moment, to see what it may see. */
import { bySudo } from '../../os/sudo.ts';
import type { Run } from '../../os/process.ts';

export const MTA_USER = 'Debian-exim';

export interface AsMta {
  run: Run;
  /** Says that the MTA's permissions were not tried, when they were not. */
  remark: string | undefined;
}

/** With setpriv as root, with sudo where it asks no password, else as the caller. */
export async function asMta(run: Run, uid: number | undefined): Promise<AsMta> {
  if (uid === 0) {
    const prefix = ['setpriv', `--reuid=${MTA_USER}`, `--regid=${MTA_USER}`, '--init-groups', '--'];
    return { run: prefixed(run, prefix), remark: undefined };
  }
  const sudo = ['sudo', '-n', '-u', MTA_USER, '--'];
  const possible = await run([...sudo, 'true']).then(
    ({ status }) => status === 0,
    () => false,
  );
  if (possible) return { run: prefixed(run, sudo), remark: undefined };
  return {
    run,
    remark: `tried as yourself, not as ${MTA_USER}; to try its permissions too: ${bySudo('cms exim-config --try …')}`,
  };
}

function prefixed(run: Run, prefix: readonly string[]): Run {
  return (argv, input) => run([...prefix, ...argv], input);
}
