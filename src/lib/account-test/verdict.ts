/** The result of a test, as an error code of the table. Pure. */
import { EXIT_STATUS, type ErrorCode } from '../core/errors.ts';
import type { ExplanationClass } from '../explain/entry.ts';
import type { ProtocolTest } from './account-test.ts';

const CODES: Readonly<Record<ExplanationClass, ErrorCode>> = {
  'sign in again': 'authorization_required',
  'extra check': 'authorization_required',
  consent: 'authorization_required',
  administrator: 'access_denied',
  account: 'access_denied',
  'client configuration': 'config_invalid',
  transient: 'temporarily_unavailable',
  'back off': 'temporarily_unavailable',
  unknown: 'access_denied',
};

export function codeOfClass(kind: ExplanationClass): ErrorCode {
  return CODES[kind];
}

/** What only a person can fix comes first, then wrong configuration, then what may pass by itself. */
const GRAVITY = [77, 78, 75];

/** The exit status: 0 when everything worked, else the gravest. */
export function exitStatusOf(
  tests: readonly { ok: boolean; explanation?: ProtocolTest['explanation'] | undefined }[],
): number {
  const statuses = tests.flatMap(({ ok, explanation }) =>
    ok ? [] : [EXIT_STATUS[codeOfClass(explanation?.class ?? 'unknown')]],
  );
  return GRAVITY.find((status) => statuses.some((each) => each === status)) ?? 0;
}
