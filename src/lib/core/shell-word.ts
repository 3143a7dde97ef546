/** Words of a command to paste into a shell. Pure. */

/** As a POSIX shell takes it for one word. */
export function quoted(word: string): string {
  return /^[\w@%+:,./-][\w@%+=:,./-]*$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
