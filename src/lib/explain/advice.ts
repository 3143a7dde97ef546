/** An explanation as lines for a terminal. */
import type { Explanation } from './explain.ts';
import { quoted } from '../core/shell-word.ts';

/** The sentence, who must act, each step on a line of its own, and where to read on; nothing for an unknown cause. */
export function advice({ class: kind, sentence, who, fix, link, admin }: Explanation, address: string): string[] {
  if (kind === 'unknown') return ['cms does not know what this means', ...fix.map((line) => `do: ${line}`)];
  return [
    sentence,
    `who can fix it: ${who}`,
    ...fix.map((line) => `do: ${line}`),
    ...(admin === undefined
      ? []
      : [`do: cms account test ${quoted(address)} --admin-mail   # writes to the administrator`]),
    ...(link === undefined ? [] : [`see: ${link}`]),
  ];
}
