/** How a failure is told: one JSON line, or a sentence and the commands that mend it. On stderr, for people and scripts. */
import type { CmsError } from './errors.ts';
import { redact } from './redact.ts';

export function reportFailure(failure: CmsError, json: boolean): void {
  if (json) {
    say(JSON.stringify(failure));
  } else {
    say(`cms: error: ${failure.message}`);
    for (const line of failure.suggestions) say(`cms: try: ${line}`);
  }
  if (process.env.CMS_DEBUG && failure.cause instanceof Error) say(failure.cause.stack ?? '');
}

function say(line: string): void {
  process.stderr.write(`${redact(line)}\n`);
}
