/** How a failure is told: one JSON line, or a sentence and the commands that mend it. On stderr, for people and scripts. */
import type { CmsError } from './errors.ts';

export function reportFailure(failure: CmsError, json: boolean): void {
  if (json) {
    process.stderr.write(`${JSON.stringify(failure)}\n`);
  } else {
    process.stderr.write(`cms: error: ${failure.message}\n`);
    for (const line of failure.suggestions) process.stderr.write(`cms: try: ${line}\n`);
  }
  if (process.env.CMS_DEBUG && failure.cause instanceof Error) process.stderr.write(`${failure.cause.stack ?? ''}\n`);
}
