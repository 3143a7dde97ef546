/**
 * How a failure is told: one JSON line, or a sentence and the commands that fix it. On stderr, for people and scripts.
 */
import { type AdminMail, CmsError, messageOf, systemErrorCode } from '../lib/core/errors.ts';
import { redact } from '../lib/core/redact.ts';
import { patientStderr } from '../lib/os/stderr.ts';

export function reportFailure(failure: CmsError, json: boolean): void {
  if (json) {
    say(JSON.stringify(failure));
  } else {
    say(`cms: error: ${failure.message}`);
    for (const line of failure.suggestions) say(`cms: try: ${line}`);
    if (failure.adminMail !== undefined)
      say(`\nA mail to the administrator, ready to be sent:\n\n${renderAdminMail(failure.adminMail)}`);
  }
  if (process.env.CMS_DEBUG && failure.cause instanceof Error) say(failure.cause.stack ?? '');
}

/** The mail as text, to be piped into a mail program: header, blank line, body. */
export function renderAdminMail({ subject, body }: AdminMail): string {
  return `Subject: ${subject}\n\n${body}`;
}

/** What stdout did not take. */
export function cannotPrint(error: unknown): CmsError {
  return new CmsError('io_error', `cannot write to stdout: ${systemErrorCode(error) ?? messageOf(error)}`);
}

function say(line: string): void {
  patientStderr().write(`${redact(line)}\n`);
}
