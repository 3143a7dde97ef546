/** Text as a terminal lays it out: wide characters take two columns, marks and colours none. Pure. */
import stringWidth from 'string-width';
import wrapAnsi from 'wrap-ansi';

const ASCII = /^[\x20-\x7e]*$/;
/** Whatever moves the cursor or changes how text looks. */
const CONTROLS = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

const DEFAULT_COLUMNS = 80;

/** Columns of a terminal; some say 0 for "unknown". */
export function columnsOf({ columns }: { columns: number }): number {
  return columns > 0 ? columns : DEFAULT_COLUMNS;
}

/** Columns that `text` takes. */
export function displayWidth(text: string): number {
  return ASCII.test(text) ? text.length : stringWidth(text);
}

/** Filled up with blanks. */
export function padTo(text: string, columns: number): string {
  return text + ' '.repeat(Math.max(0, columns - displayWidth(text)));
}

/** Text from others, without what a terminal would obey. */
export function printable(text: string): string {
  return ASCII.test(text) ? text : text.replace(CONTROLS, '?');
}

const NO_BREAK = '\u00a0';

/** A number stays with what it counts. */
function joined(line: string): string {
  return line.replaceAll(/(?<=\d) (?=\S)/g, NO_BREAK);
}

/** The first line has no indent, and so more room than the others: its beginning is left out of account. */
function hanging(line: string, room: number, indent: number): string {
  const beginning = new RegExp(`^(?:(?:\\x1b\\[[\\d;]*m)*[\\x20-\\x7e]){${indent}}`).exec(line)?.[0] ?? '';
  return beginning + wrapAnsi(line.slice(beginning.length), room, { trim: false });
}

/** Lines broken between words at `columns`, all but the first of each indented. Words stay whole. */
export function wrap(text: string, columns: number, indent = '  '): string {
  if (!Number.isFinite(columns)) return text;
  const room = Math.max(20, columns - indent.length);
  return text
    .split('\n')
    .map((line) => (displayWidth(line) > columns ? hanging(joined(line), room, indent.length) : line))
    .map((line) => line.replaceAll(NO_BREAK, ' '))
    .map((line) => line.replaceAll(/ *(?:\n *)+/g, `\n${indent}`))
    .join('\n');
}
