/** What of an answer counts for its meaning, headers included. */
import type { TokenEndpointAnswer } from '../token/classify.ts';
import { type HttpAnswer, retryAfterSeconds } from './http.ts';
import { targetOf } from '../sign-in/redirect.ts';

/** @param url where it came from */
export function endpointAnswer(answer: HttpAnswer, url: string): TokenEndpointAnswer {
  const { status, body, headers } = answer;
  const retry_after = retryAfterSeconds(headers, Date.now());
  return {
    status,
    body,
    authenticate: headers.get('www-authenticate'),
    target: targetOf(answer, url),
    ...(retry_after !== undefined && { retry_after }),
  };
}
