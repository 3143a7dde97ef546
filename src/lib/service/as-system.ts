/**
 * `cms service run …`: a command as the user of the system's broker, with its folders and its vault key. Only root can
 * become that user and open the sealed key, so sudo stands in front.
 */
import { runInOurPlace } from '../exim/exim4.ts';
import type { Program } from './program.ts';
import { SYSTEM } from './system.ts';

/** The key is opened into a folder in memory, which is gone when the command ends. */
const SCRIPT = `set -eu
umask 077
id ${SYSTEM.user} >/dev/null 2>&1 || { echo "cms: error: there is no service of the system: cms service install --system" >&2; exit 78; }
keys=
trap 'rm -rf "$keys"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
if [ -e ${SYSTEM.credentialFile} ]; then
  keys=$(mktemp -d /run/cms-key.XXXXXX)
  systemd-creds decrypt --name=cms-vault-key ${SYSTEM.credentialFile} "$keys/cms-vault-key"
  chown -R ${SYSTEM.user}: "$keys"
fi
cd /
setpriv --reuid=${SYSTEM.user} --regid=${SYSTEM.user} --init-groups env -i PATH=/usr/bin:/bin HOME=${SYSTEM.home} \\
  TERM="\${TERM-dumb}" LANG="\${LANG-C.UTF-8}" SSH_CONNECTION="\${SSH_CONNECTION-}" \\
  ${Object.entries(SYSTEM.environment)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ')} CMS_STORE=file \${keys:+CREDENTIALS_DIRECTORY="$keys"} "$@"
`;

/** The whole command line; root needs no sudo. Pure. */
export function systemArgv(argv: readonly string[], { node, script }: Program, uid: number | undefined): string[] {
  return [...(uid === 0 ? [] : ['sudo']), 'sh', '-c', SCRIPT, 'cms', node, script, ...argv];
}

/** Runs it with the terminal left to it. @returns its exit status */
export async function runAsSystem(argv: readonly string[], program: Program): Promise<number> {
  return (await runInOurPlace(systemArgv(argv, program, process.getuid?.()))) ?? 1;
}
