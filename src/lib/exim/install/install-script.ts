/**
 * The script that `cms exim-config --install` shows and runs: plain POSIX sh, so that it can be read before sudo sees
 * it. Texts are in here-documents with a quoted end mark, in which the shell expands nothing.
 */
import { dirname } from 'node:path';
import { installedFile, type Installed } from './installed.ts';
import { MTA_GROUP, SYSTEM_TRUST, userName } from '../render/options.ts';
import { markersOf, NEW_FILE } from '../smart-hosts/smart-hosts-file.ts';
import { AS_USER, hereDocument, JUDGE_WAY, quote } from '../../os/shell.ts';
import { socketLine } from './socket-config.ts';
import type { Paths } from '../../os/paths.ts';

export interface Installation {
  user: string;
  /** Text of exim4.conf and of our block in the smart-hosts file. */
  config: string;
  block: string;
  smartHostsFile: string;
  socket: string;
  paths: Pick<Paths, 'configDir' | 'configFile'>;
  /**
   * The certificates to trust come from the user's accounts; they are not known to be right for the lines of others.
   */
  caFileOfAccounts?: string | undefined;
  /** No flag and no note names the default account: it is the account of the existing line. */
  keepsDefault?: boolean;
  /** To be appended to the user's config.toml; nothing when the socket stands there already. */
  socketAddition: string | undefined;
  note: Installed;
}

export const EXIM_CONFIG_FILE = '/etc/exim4/exim4.conf';

/**
 * The script. Running it twice changes nothing the second time.
 * @throws CmsError `config_invalid`, `data_invalid` for a text that could end its here-document
 */
export function renderInstallScript(installation: Installation): string {
  return [
    preamble(installation),
    texts(installation),
    JUDGE,
    socketFolder(installation),
    userFiles(installation),
    REPLACE,
    note(installation),
  ].join('\n');
}

/** What the script does, for the question before it runs: a line for each thing. */
export function whatItDoes({ user, smartHostsFile, socket, socketAddition, paths }: Installation): string[] {
  const folder = `/run/cms/${user}`;
  return [
    '',
    'The script above',
    `- writes ${EXIM_CONFIG_FILE} and your lines in ${smartHostsFile}, if exim takes them`,
    `- keeps a configuration that cms has not written as ${EXIM_CONFIG_FILE}.before-cms`,
    ...(socket.startsWith(`${folder}/`)
      ? [`- makes ${folder}, which exim's group may enter, now and at each boot`]
      : []),
    ...(socketAddition === undefined ? [] : [`- adds exim's socket to ${paths.configFile}`]),
    '- restarts exim if it runs, and puts the old files back if that fails',
  ];
}

function preamble({ user, smartHostsFile }: Installation): string {
  return `#!/bin/sh
# Installs the exim configuration of cms for ${userName(user)}. To be run as root.
set -eu
umask 022
PATH=/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export PATH LC_ALL
cd /
user=${userName(user)}
conf=${EXIM_CONFIG_FILE}
lines=${quote(smartHostsFile)}

fail() { echo "cms: $*" >&2; exit 1; }
${AS_USER}${JUDGE_WAY}
[ "$(id -u)" = 0 ] || fail "this script wants to be run as root: sudo sh FILE"
[ -x /usr/sbin/exim4 ] || fail "exim4 is not installed: apt-get install exim4-daemon-light"
getent group ${MTA_GROUP} >/dev/null || fail "there is no group ${MTA_GROUP}"
judge "$conf"
judge "\${lines%/*}"
[ ! -L "$lines" ] && { [ ! -e "$lines" ] || [ -f "$lines" ]; } || fail "$lines is not a regular file: ls -l $lines"
work=$(mktemp -d "\${conf%/*}/.cms.XXXXXX")
trap 'rm -rf "$work"' EXIT
`;
}

function texts({ user, config, block, caFileOfAccounts, keepsDefault }: Installation): string {
  const { begin, end } = markersOf(user);
  return `${hereDocument('"$work/conf"', config)}
${hereDocument('"$work/block"', block)}
${hereDocument('"$work/empty"', NEW_FILE)}
# Our block is replaced, every other line of the file stays as it is.
old="$lines"
[ -e "$old" ] || old="$work/empty"
${keepsDefault === true ? keepDefault(user) : ''}awk -v begin=${quote(begin)} -v end=${quote(end)} -v block="$work/block" '
  function put(line) { while ((getline line <block) > 0) print line; done = 1 }
  $0 == begin { if (!done) put(); inside = 1; next }
  inside && $0 == end { inside = 0; next }
  !inside { print }
  END { if (inside) exit 1; if (!done) put() }
' "$old" >"$work/lines" || fail "$lines: a block of cms has lost its last line; fix or delete it by hand"
${ownNames(user)}
${caFileOfAccounts === undefined ? '' : guard(user, caFileOfAccounts)}`;
}

/** Puts a * line into the block for the account that has one in the old block, whose address $default is then. */
function keepDefault(user: string): string {
  const { begin, end } = markersOf(user);
  return `# No note names the default account: it stays the account of the * line in our old block.
was=$(awk -v begin=${quote(begin)} -v end=${quote(end)} '
  $0 == begin { inside = 1 }
  $0 == end { inside = 0 }
  inside && /^\\*:/ {
    login = account = ""
    for (i = 2; i <= NF; i++) {
      if ($i ~ /^user=/) login = substr($i, 6)
      if ($i ~ /^account=/) account = substr($i, 9)
    }
    print account == "" ? login : account
    exit
  }
' "$old")
default=
if [ -n "$was" ]; then
  export was
  default=$(awk '$1 == ENVIRON["was"] ":" { print ENVIRON["was"]; exit }' "$work/block")
  if [ -n "$default" ]; then
    awk -v end=${quote(end)} '
      $1 == ENVIRON["was"] ":" { line = $0; sub(/^[^:]*:/, "*:", line) }
      $0 == end { print line }
      { print }
    ' "$work/block" >"$work/block.new"
    mv "$work/block.new" "$work/block"
    echo "cms: the default account stays $default"
  else
    echo "cms: the default account was $was, which cannot send any more: cms exim-config --install --default ADDRESS"
  fi
fi
`;
}

/** Two blocks with one account: the mail of the one user would leave by the server of the other. */
function ownNames(user: string): string {
  return `# A sender or account that the block of another user names is not added to this one.
awk -v begin=${quote(markersOf(user).begin)} '
  /^# BEGIN cms / { ours = ($0 == begin); theirs = !ours; who = $4; next }
  /^# END cms / { ours = theirs = 0; next }
  !(ours || theirs) || /^[ \t]*(#|$)/ { next }
  {
    key = tolower($1); sub(/:$/, "", key)
    login = account = ""
    for (i = 2; i <= NF; i++) {
      if ($i ~ /^user=/) login = tolower(substr($i, 6))
      if ($i ~ /^account=/) account = tolower(substr($i, 9))
    }
    if (account == "") account = login
    if (key != "*") names[key]
    names[account]
    for (name in names) if (ours) mine[name]; else taken[name] = who
    delete names
  }
  END { for (name in mine) if (name in taken) { print name " is in the block of " taken[name]; exit 1 } }
' "$work/lines" >"$work/taken" || fail "$lines: $(cat "$work/taken"); nothing was changed"`;
}

/** exim trusts one file for all lines. */
function guard(user: string, caFile: string): string {
  const { begin, end } = markersOf(user);
  return `# exim would verify the servers of other lines with these certificates as well.
awk -v begin=${quote(begin)} -v end=${quote(end)} '
  $0 == begin { inside = 1 }
  !inside && !/^[ \t]*(#|$)/ { exit 1 }
  $0 == end { inside = 0 }
' "$old" || fail "$lines also holds lines that are not yours, and ${caFile} may not be right for their servers; nothing was changed. \
If it does: cms exim-config --install --ca-file ${caFile}; if not: --ca-file ${SYSTEM_TRUST}"
`;
}

const JUDGE = `# Exim judges the configuration before anything is replaced.
exim4 -C "$work/conf" -bV >"$work/verdict" 2>&1 || { cat "$work/verdict" >&2; fail "exim refuses it; nothing was changed"; }
`;

function socketFolder({ user, socket }: Installation): string {
  const folder = `/run/cms/${userName(user)}`;
  if (!socket.startsWith(`${folder}/`)) {
    return `# The socket is ${socket}: make its folder yourself, so that group ${MTA_GROUP} may enter it.
socket_folder=${quote(dirname(socket))}
if [ -e "$socket_folder" ]; then
  owner=$(stat -L -c %U -- "$socket_folder")
  [ "$owner" = "$user" ] || [ "$owner" = root ] || fail "$socket_folder belongs to $owner, not to $user; nothing was changed"
fi
`;
  }
  return `# The folder of the socket, for the user and the MTA's group, which the socket inherits. Made now, and at each boot.
mkdir -p /etc/tmpfiles.d
${hereDocument(`/etc/tmpfiles.d/cms-${userName(user)}.conf`, `d /run/cms 0755 root root -\nd ${folder} 2750 ${user} ${MTA_GROUP} -\n`)}
install -d -m 0755 -o root -g root /run/cms
install -d -m 2750 -o "$user" -g ${MTA_GROUP} ${folder}
`;
}

function userFiles({ paths, socket, socketAddition }: Installation): string {
  if (socketAddition === undefined) return '# The broker knows the socket already.\n';
  return `# The broker learns of the socket.
${hereDocument('"$work/socket"', socketAddition)}
as_user sh -c '
  umask 077
  mkdir -p "\${1%/*}"
  [ -e "$1" ] || : >"$1"
  [ -f "$1" ] || { echo "cms: $1 is not a regular file" >&2; exit 1; }
  grep -qxF "$2" "$1" || cat >>"$1"
' sh ${quote(paths.configFile)} ${quote(socketLine(socket))} <"$work/socket"
`;
}

const REPLACE = `# Either both files are replaced, or neither.
put() { install -m "$3" -o root -g "$4" "$1" "$2.cms-new" && mv -f "$2.cms-new" "$2"; }
keep() { if [ -e "$1" ]; then cp -p "$1" "$work/$2"; fi; }
back() { if [ -e "$work/$2" ]; then cp -p "$work/$2" "$1"; else rm -f "$1"; fi; }
restart() {
  if [ -d /run/systemd/system ]; then
    ! systemctl is-active --quiet exim4 || systemctl restart exim4
  elif [ -s /run/exim4/exim.pid ] && kill -0 "$(cat /run/exim4/exim.pid)" 2>/dev/null; then
    service exim4 restart
  fi
}
undo() {
  back "$conf" old-conf
  back "$lines" old-lines
  fail "$1; the old files are back"
}
if cmp -s "$work/conf" "$conf" && cmp -s "$work/lines" "$lines"; then
  echo "cms: exim is up to date"
else
  keep "$conf" old-conf
  keep "$lines" old-lines
  # A configuration that cms has not written is kept for good, next to the new one.
  if [ -e "$conf" ] && [ ! -e "$conf.before-cms" ] && ! grep -q '^# Made by "cms exim-config"' "$conf"; then
    cp -p "$conf" "$conf.before-cms"
  fi
  put "$work/lines" "$lines" 0640 ${MTA_GROUP} || undo "cannot write $lines"
  put "$work/conf" "$conf" 0644 root || undo "cannot write $conf"
  exim4 -bV >"$work/verdict" 2>&1 || { cat "$work/verdict" >&2; undo "exim refuses the installed configuration"; }
  restart || { back "$conf" old-conf; back "$lines" old-lines; restart || :; undo "exim does not start"; }
  echo "cms: exim is installed: $conf, $lines"
fi
# In a directory of root, where no other user can put a link in its place.
chown -h root:${MTA_GROUP} "$lines"
chmod 0640 "$lines"
`;

function note({ paths, note: installed, keepsDefault }: Installation): string {
  const file = installedFile(paths);
  const kept = `if [ -n "$default" ]; then
  sum=$(sha256sum <"$work/block")
  default="$default" sum="\${sum%% *}" awk '
    /^  "block_sha256": / {
      printf "  \\"default_address\\": \\"%s\\",\\n  \\"block_sha256\\": \\"%s\\"\\n", ENVIRON["default"], ENVIRON["sum"]
      next
    }
    { print }
  ' "$work/note" >"$work/note.new"
  mv "$work/note.new" "$work/note"
fi
`;
  return `# What was installed, for the next time.
${hereDocument('"$work/note"', `${JSON.stringify(installed, null, 2)}\n`)}
${keepsDefault === true ? kept : ''}as_user sh -c 'umask 077; mkdir -p "\${1%/*}"; rm -f "$1.new"; cat >"$1.new" && mv -f "$1.new" "$1"' sh ${quote(file)} <"$work/note"
`;
}
