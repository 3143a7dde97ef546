/** Remarks that others can cause: each once and not many at a time, so that nothing floods the terminal. */
import { elapsedMs } from '../../os/monotonic.ts';

const MOST = 10;
/** After that many, one in this time. */
const PAUSE_MS = 30_000;

/** @returns `tell`, for what has not been said yet */
export function sparing(tell: (words: string) => void, now: () => number = elapsedMs): (words: string) => void {
  const said = new Set<string>();
  let last = -Infinity;
  return (words) => {
    if (said.has(words) || (said.size >= MOST && now() - last < PAUSE_MS)) return;
    said.add(words);
    last = now();
    tell(words);
  };
}
