/** How a failure is told: one JSON line, or a sentence and the commands that mend it. On stderr, for people and scripts. */
import { CmsError, messageOf, systemErrorCode } from './errors.ts';
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

/** What stdout did not take. */
export function cannotPrint(error: unknown): CmsError {
  return new CmsError('io_error', `cannot write to stdout: ${systemErrorCode(error) ?? messageOf(error)}`);
}

function say(line: string): void {
  process.stderr.write(`${redact(line)}\n`);
}
