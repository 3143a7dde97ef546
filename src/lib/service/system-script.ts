/** The scripts that root runs for the system's service: plain POSIX sh, so that they can be read first. Pure. */
import { hereDocument, JUDGE_WAY, quote } from '../os/shell.ts';
import { packageOf, type Program, requireLasting } from './program.ts';
import { SYSTEM } from './system.ts';
import { MARK_PATTERN } from './unit-file.ts';
import { systemUnits } from './units.ts';

export interface SystemInstallation {
  program: Program;
  /** Whether this systemd can hand over an encrypted credential (version 250). */
  credential: boolean;
  now: boolean;
}

const PREAMBLE = `set -eu
umask 022
PATH=/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export PATH LC_ALL
cd /
fail() { echo "cms: $*" >&2; exit 1; }
[ "$(id -u)" = 0 ] || fail "this script wants to be run as root: sudo sh FILE"
${JUDGE_WAY}ours() { grep -q ${quote(MARK_PATTERN)} "$1"; }
`;

/**
 * Makes the user, the vault key and the units. Running it twice changes nothing the second time.
 * @throws CmsError `config_invalid` for a program of one person
 */
export function renderSystemInstall(installation: SystemInstallation): string {
  requireLasting(installation.program, true);
  return [
    `#!/bin/sh\n# Installs the system's service of cms. To be run as root.\n${PREAMBLE}`,
    program(installation.program),
    USER,
    installation.credential
      ? CREDENTIAL
      : '# This systemd has no encrypted credentials: the vault key becomes a file.\n',
    units(installation),
    enable(installation.now),
  ].join('\n');
}

/** The system's service runs no program that a user could exchange, nor one with a file that a user could. */
function program({ node, script }: Program): string {
  return `# What the units start.
judge ${quote(node)}
judge ${quote(script)}
package=${quote(packageOf(script))}
found=$(find "$package" ! -type l \\( ! -user root -o -perm -o=w -o -perm -g=w ! -group root ! -group staff \\) -print -quit)
# Whom an access control list names, ls alone tells.
[ -n "$found" ] || found=$(find "$package" ! -type l -perm -g=w -exec ls -ld {} + | grep '^..........+' | head -n 1)
[ -z "$found" ] || fail "others can change $found: sudo npm install -g cms-oauth"
`;
}

const USER = `# The user that the broker runs as.
mkdir -p /etc/sysusers.d
${hereDocument(SYSTEM.sysusersFile, `${MARK_PATTERN.slice(1)}\nu ${SYSTEM.user} - "OAuth token broker" ${SYSTEM.home}\n`)}
systemd-sysusers ${SYSTEM.sysusersFile}
for folder in ${SYSTEM.home} ${SYSTEM.home}/config ${SYSTEM.home}/state; do
  install -d -m 0700 -o ${SYSTEM.user} -g ${SYSTEM.user} "$folder"
done
install -d -m 0755 /etc/cms
`;

const CREDENTIAL = `# The vault key, sealed to this machine; in clear it is never in a file. An old one stays: it seals the accounts.
if [ ! -e ${SYSTEM.credentialFile} ]; then
  rm -f ${SYSTEM.credentialFile}.new
  head -c 32 /dev/urandom | systemd-creds encrypt --name=cms-vault-key - ${SYSTEM.credentialFile}.new
  chmod 0600 ${SYSTEM.credentialFile}.new
  mv ${SYSTEM.credentialFile}.new ${SYSTEM.credentialFile}
fi
`;

function units(installation: SystemInstallation): string {
  const files = systemUnits(installation).map(({ name, text }) => {
    const path = `${SYSTEM.unitDir}/${name}`;
    return `[ ! -e ${path} ] || ours ${path} || fail "${path} is not of cms: move it away"\n${hereDocument(path, text)}`;
  });
  return `# The units.\n${files.join('\n')}\n`;
}

function enable(now: boolean): string {
  return `# exim's socket is for those who have its configuration: cms service run exim-config --install
units=cms.service
if [ -e ${SYSTEM.environment.CMS_CONFIG_DIR}/exim.json ]; then units="cms-exim.socket cms.service"; fi
systemctl daemon-reload
systemctl enable $units
${now ? RESTART : ''}echo "cms: the service is installed: cms service run account add ADDRESS"
`;
}

/** A socket cannot be started while its service runs: systemd refuses. */
const RESTART = 'systemctl stop $units\nsystemctl start $units\n';

/** Takes away what carries the mark; the user, the accounts and the vault key stay. */
export function renderSystemUninstall(): string {
  return `#!/bin/sh
# Removes the system's service of cms. To be run as root. Accounts and vault key stay: ${SYSTEM.home}, /etc/cms.
${PREAMBLE}
for unit in cms.service cms-exim.socket; do
  file=${SYSTEM.unitDir}/$unit
  [ -e "$file" ] || continue
  ours "$file" || { echo "cms: left alone, because it is not of cms: $file" >&2; continue; }
  systemctl disable --now "$unit" || :
  rm -f "$file"
done
if [ -e ${SYSTEM.sysusersFile} ] && ours ${SYSTEM.sysusersFile}; then rm -f ${SYSTEM.sysusersFile}; fi
systemctl daemon-reload
echo "cms: the service is gone; the accounts are where they were: ${SYSTEM.home}"
`;
}
