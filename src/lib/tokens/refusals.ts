/** What a provider refused, explained. Apart from the other failures, because the catalogue takes its time to load. */
import { CmsError } from '../core/errors.ts';
import { type Explanation, explain, fromWords } from '../explain/explain.ts';
import type { Subject } from '../explain/fill.ts';
import { explainReason } from '../explain/grant.ts';
import type { GrantFailure, GrantHeader, GrantSecrets } from '../vault/grant.ts';
import { quoted } from '../core/shell-word.ts';

type Failed = Pick<GrantHeader, 'address'> & { secrets?: Pick<GrantSecrets, 'binding'> };
type Refused = Failed & Pick<GrantHeader, 'reason' | 'signed_in_at'>;

/** The client and server that a grant belongs to, for advice that names them. */
function boundTo(secrets: Failed['secrets']): Pick<Subject, 'clientId' | 'tokenEndpoint'> {
  const { client_id: clientId, token_endpoint: tokenEndpoint } = secrets?.binding ?? {};
  return { clientId, tokenEndpoint };
}

/** What the provider meant, what it said, and what is to be done about it. */
export function authorizationRequired(record: Refused): CmsError {
  const { address, reason, secrets } = record;
  const explained = explainReason(record, boundTo(secrets));
  const why = explained === undefined ? '' : `: ${explained.sentence} (${wordsOf(reason)})`;
  return new CmsError('authorization_required', `the sign-in of ${address} is no longer accepted${why}`, {
    suggestions: withSignIn(address, explained?.fix ?? []),
  });
}

function wordsOf(reason: GrantHeader['reason']): string {
  return [reason?.error, reason?.description].filter(Boolean).join(': ');
}

/** The fix, and a sign-in in any case: without one, this account stays as it is. */
function withSignIn(address: string, fix: readonly string[]): string[] {
  const command = `cms account add ${quoted(address)}`;
  return fix.some((line) => line.startsWith(command)) ? [...fix] : [...fix, command];
}

export function exchangeFailed({ address, secrets }: Failed, failure: GrantFailure, now: number): CmsError {
  const wait = Math.ceil((failure.retry_at - now) / 1000);
  const said = { source: 'oauth', ...fromWords(failure.message), address, ...boundTo(secrets) } as const;
  const { sentence, fix, id, class: kind, who }: Explanation = explain(said);
  if (failure.code === 'client_invalid') {
    const message = `no new token for ${address}: ${id === 'unknown' ? '' : `${sentence}; the provider said: `}${failure.message}`;
    return new CmsError('client_invalid', message, {
      suggestions: [...fix, `cms token ${quoted(address)} --force-refresh   # once it is fixed at the provider`],
    });
  }
  if (failure.code === 'protocol_error') {
    return new CmsError('protocol_error', `no token for ${address}: ${failure.message}`, {
      suggestions: [...fix, `cms token ${quoted(address)} --force-refresh   # once the provider issues other tokens`],
    });
  }
  const message = `no new token for ${address}: ${failure.message}`;
  return new CmsError(failure.code, wait > 0 ? `${message}; next attempt in ${wait} s` : message, {
    suggestions: [
      ...(id !== 'unknown' && who === 'you' ? fix : []),
      ...(kind === 'transient' ? fix.filter((line) => who !== 'you' && line.startsWith('cms account')) : []),
      // A server that was asked too often is not asked once more.
      ...(kind === 'back off' ? fix : [`cms token ${quoted(address)} --force-refresh   # tries at once`]),
      `cms doctor ${quoted(address)}   # finds the link that is broken`,
    ],
  });
}
