/**
 * `cms service run …`: a command as the user of the system's broker, with its folders and its vault key. Only root can
 * become that user and open the sealed key, so the command begins with sudo.
 */
import { access, constants } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { CmsError, systemErrorCode } from '../core/errors.ts';
import { type Run, run, runInOurPlace } from '../os/process.ts';
import { SYSTEM_TRUST } from '../exim/render/options.ts';
import { quote } from '../os/shell.ts';
import type { Environment } from '../os/paths.ts';
import { ioError } from '../os/files/files.ts';
import type { Program } from './program.ts';
import { isAsSystem, SYSTEM } from './system.ts';

/**
 * The key is opened into a folder in memory, which is gone when the command ends. What the caller alone can read is laid
 * beside it.
 */
const SCRIPT = `set -eu
umask 077
keys=$(mktemp -d /run/cms-key.XXXXXX)
trap 'rm -rf "$keys"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
if [ -e ${SYSTEM.credentialFile} ]; then
  systemd-creds decrypt --name=cms-vault-key ${SYSTEM.credentialFile} "$keys/cms-vault-key"
fi
# With the rights of who called sudo: root reads no more for him than he could, and waits for nobody.
as_caller() {
  case \${SUDO_UID-} in
    '' | 0 | *[!0-9]*) timeout --foreground 10 "$@" ;;
    *) timeout --foreground 10 setpriv --reuid="$SUDO_UID" --regid="$SUDO_GID" --init-groups "$@" ;;
  esac
}
while [ "$1" != -- ]; do
  [ -f "$2" ] || { echo "cms: error: $2 is not a regular file" >&2; exit 74; }
  as_caller cat "$2" >"$keys/$1" || { echo "cms: error: cannot read $2" >&2; exit 74; }
  shift 2
done
shift
chown -R ${SYSTEM.user}: "$keys"
cd /
setpriv --reuid=${SYSTEM.user} --regid=${SYSTEM.user} --init-groups env -i PATH=/usr/bin:/bin HOME=${SYSTEM.home} \\
  TERM="\${TERM-dumb}" LANG="\${LANG-C.UTF-8}" SSH_CONNECTION="\${SSH_CONNECTION-}" \${SUDO_USER:+SUDO_USER="$SUDO_USER"} \\
  ${Object.entries(SYSTEM.environment)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ')} CMS_STORE=file CREDENTIALS_DIRECTORY="$keys" "$@"
`;

/** Flags of files that are read once, with the rights of who named them. */
const READ_ONCE = ['client-file', 'client-secret-file', 'password-file'];
/** Flags of files whose place is kept: the broker reads them itself. */
const KEPT = ['ca-file'];

interface SystemCommand {
  argv: string[];
  /** Absolute, by the flag that named it. */
  files: { flag: string; path: string }[];
}

/** The words as they hold in any folder, and the files that go with them. Pure. */
export function systemCommand(words: readonly string[], folder: string): SystemCommand {
  const files: SystemCommand['files'] = [];
  const placed = (flag: string, path: string): string => {
    if (READ_ONCE.includes(flag)) files.push({ flag, path: resolve(folder, path) });
    // exim-config takes a word there as well.
    return KEPT.includes(flag) && path !== SYSTEM_TRUST ? resolve(folder, path) : path;
  };
  const argv = words.map((word, index) => {
    const [, flag, path] = /^--([a-z-]+)=(.*)$/s.exec(word) ?? [];
    if (flag !== undefined && path !== undefined) return `--${flag}=${placed(flag, path)}`;
    return placed(words[index - 1]?.replace(/^--/, '') ?? '', word);
  });
  return { argv, files };
}

/** The whole command line; root needs no sudo, which would hide that this is a session of SSH. Pure. */
export function systemArgv(
  { argv, files }: SystemCommand,
  { node, script }: Program,
  { uid, ssh }: { uid: number | undefined; ssh?: string | undefined },
): string[] {
  const lent = files.flatMap(({ flag, path }) => [flag, path]);
  const sudo = ['sudo', ...(ssh ? ['env', `SSH_CONNECTION=${ssh}`] : [])];
  return [...(uid === 0 ? [] : sudo), 'sh', '-c', SCRIPT, 'cms', ...lent, '--', node, script, ...argv];
}

/**
 * Runs it with the terminal left to it.
 * @returns its exit status
 * @throws CmsError `config_invalid` where the service is not installed, `io_error` for a file that cannot be read
 */
export async function runAsSystem(words: readonly string[], program: Program): Promise<number> {
  const command = systemCommand(words, process.cwd());
  await requireInstalled(run);
  for (const { path } of command.files) {
    await access(path, constants.R_OK).catch((error: unknown) => {
      throw ioError('read', path, error);
    });
  }
  const caller = { uid: process.getuid?.(), ssh: process.env.SSH_CONNECTION };
  return (await runInOurPlace(systemArgv(command, program, caller))) ?? 1;
}

/** A person may have the same name. */
async function requireInstalled(run: Run): Promise<void> {
  const found = await run(['getent', 'passwd', SYSTEM.user]).catch(() => undefined);
  if (found?.stdout.includes(`:${SYSTEM.home}:`)) return;
  throw new CmsError('config_invalid', 'the service of the system is not installed', {
    suggestions: ['cms service install --system --now'],
  });
}

/** Where the file of a flag lies here: root has laid a copy down, if the user of the service may not read it. */
export function lentFile(env: Environment, flag: string, path: string): string {
  return isAsSystem(env) && env.CREDENTIALS_DIRECTORY ? join(env.CREDENTIALS_DIRECTORY, flag) : path;
}

/** What the sandbox of the service does not show, or shows empty. */
const HIDDEN = /^\/(?:home|root|run\/user|tmp|var\/tmp)\//;

/**
 * For a file that the system's broker will read time and again.
 * @param path absolute
 * @throws CmsError `config_invalid` where only another user can
 */
export async function requireForBroker(path: string): Promise<void> {
  const refusal = await access(path, constants.R_OK).then(() => undefined, systemErrorCode);
  if (refusal !== 'EACCES' && !HIDDEN.test(path)) return;
  const place = `/etc/cms/${basename(path)}`;
  throw new CmsError('config_invalid', `the broker of the system cannot read ${path}`, {
    suggestions: [`sudo install -m 0644 ${quote(path)} ${quote(place)}   # then: --ca-file ${place}`],
  });
}
