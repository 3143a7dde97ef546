/** Words and texts in scripts of plain POSIX sh, such that the shell expands nothing in them. Pure. */
import { CmsError } from '../errors.ts';

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

/** One word. */
export function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
