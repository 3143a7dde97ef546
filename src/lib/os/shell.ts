/** Words and texts in scripts of plain POSIX sh, such that the shell expands nothing in them. Pure. */
import { CmsError } from '../core/errors.ts';

const END = 'CMS_END_OF_FILE';

/**
 * `cat >target` with `text`.
 * @throws CmsError `data_invalid` for a text that holds the end mark as a line of its own, or has no last newline
 */
export function hereDocument(target: string, text: string): string {
  if (!text.endsWith('\n') || text.split('\n').includes(END) || /[\0\r]/.test(text)) {
    throw new CmsError('data_invalid', `cannot stand in a shell script: the text for ${target}`);
  }
  return `cat >${target} <<'${END}'\n${text}${END}`;
}

/**
 * `judge PATH`: ends the script, by its `fail`, where anybody but root could exchange something on the way to PATH, links
 * and what they lead to included. What root has judged so it may use by name. @see namei(1)
 */
export const JUDGE_WAY = `# Refuses a path on which anybody but root could exchange a name.
judge() {
  command -v namei >/dev/null || fail "namei is not installed: apt-get install util-linux"
  found=$(namei -l -- "$1" 2>/dev/null | awk '
    !/^[-dlbcpsD][-r][-w]/ { next }
    $2 != "root" { print $4 " belongs to " $2; exit }
    !/^l/ && !/^d........[tT]/ && (/^........w/ || (/^.....w/ && $3 != "root" && $3 != "staff")) { print "others may write to " $4; exit }
  ')
  # Whom an access control list names, ls alone tells.
  for each in "$1" "$(readlink -m -- "$1")"; do
    while [ -z "$found" ]; do
      case $(ls -ld -- "$each" 2>/dev/null) in
        ?????????[tT]+*) ;;
        ?????w????+*) found="others may write to $each by its access control list" ;;
      esac
      [ "$each" != / ] || break
      each=\${each%/*}
      each=\${each:-/}
    done
  done
  [ -z "$found" ] || fail "cannot trust $1: $found: sudo chown root, or sudo chmod go-w"
}
`;

/**
 * `as_user COMMAND…`: what belongs to `$user` is written by that user, as root follows nobody's links. The user could
 * take the process over, and the terminal of root with it, which it therefore does not get; needs `$work`.
 * @see ioctl_tty(2), TIOCSTI
 */
export const AS_USER = `# What belongs to the user is written by the user, without root's terminal.
as_user() {
  if [ "$user" = root ]; then "$@"; return; fi
  {
    timeout --foreground 60 setsid --wait runuser -u "$user" -- "$@" || : >"$work/failed"
  } 2>&1 | timeout --foreground 65 cat >&2
  [ ! -e "$work/failed" ] || fail "cannot write as $user"
}
`;

/** One word. */
export function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
