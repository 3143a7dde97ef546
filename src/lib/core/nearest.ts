/** The known name that is nearest to a mistyped one. Pure. */
import { closestMatch } from 'leven';

/** @returns the name that differs in few letters; undefined where none does */
export function nearest(word: string, names: readonly string[]): string | undefined {
  return closestMatch(word, names, { maxDistance: Math.ceil(word.length / 3) });
}

/** What is wrong with a table that has another key than these; undefined where nothing is. */
export function unknownKey(table: object, known: readonly string[], what = 'key'): string | undefined {
  const key = Object.keys(table).find((each) => !known.includes(each));
  if (key === undefined) return undefined;
  const meant = nearest(key, known);
  return `unknown ${what} ${key}${meant === undefined ? '' : `; did you mean ${meant}?`}`;
}
