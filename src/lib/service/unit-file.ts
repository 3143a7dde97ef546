/** Text of systemd units: quoting, and the line that marks a unit as ours. Pure. @see systemd.syntax(7) */
import { CmsError } from '../core/errors.ts';

const MARK = '# Made by "cms service install"';

/** The first line of each unit. @param edit the command that changes a unit for good */
export function markLine(edit: string): string {
  return `${MARK}; put changes into: ${edit}`;
}

export function isOurs(text: string): boolean {
  return text.startsWith(MARK);
}

/** For `sed` and `grep`: what a file of ours begins with. */
export const MARK_PATTERN = `^${MARK}`;

/** `%` begins a specifier everywhere. @throws CmsError `config_invalid` for what ends or continues a line */
export function literal(text: string): string {
  if (/[\0-\x1f\x7f]/.test(text) || text.endsWith('\\')) {
    throw new CmsError('config_invalid', `cannot stand in a unit: ${JSON.stringify(text)}`);
  }
  return text.replaceAll('%', '%%');
}

/** A word of `Environment=`: what stands in quotes is taken as it is, apart from escapes. */
export function quotedWord(text: string): string {
  return `"${literal(text).replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}

/** A word of `ExecStart=`, in which `$` begins a variable. */
export function commandWord(text: string): string {
  const word = literal(text).replaceAll('$', '$$$$');
  return /^[\w./@%+:=-]+$/.test(word) ? word : `"${word.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}
