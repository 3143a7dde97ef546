/** What somebody meant who typed a name wrongly. Pure. */
import { closestMatch } from 'leven';

/** @returns the name that differs in few letters; undefined where none does */
export function nearest(word: string, names: readonly string[]): string | undefined {
  return closestMatch(word, names, { maxDistance: Math.ceil(word.length / 3) });
}
