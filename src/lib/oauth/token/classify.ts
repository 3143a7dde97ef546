/**
 * What an answer of the token endpoint means. Pure. Only a well-formed RFC 6749 error changes what we think of a
 * grant; a page of a captive portal, a proxy's 502 or half a JSON object is temporary, and what it says is shown.
 */
import { defectOfToken, isBearerToken } from '../../core/bearer.ts';
import { effectOnGrant } from '../../explain/explain.ts';
import { redact, redactThese } from '../../core/redact.ts';
import { Secret } from '../../core/secret.ts';
import { type Members, readMembers } from '../http/answer.ts';
import type { AnswerOutcome, Granted } from './exchange.ts';
import { lifetimeSeconds, refreshTokenLifetimeSeconds } from './lifetime.ts';
import { type Problem, problemIn } from '../http/problem.ts';

export interface TokenEndpointAnswer {
  status: number;
  body: string;
  retry_after?: number;
  /** The header WWW-Authenticate. */
  authenticate?: string | undefined;
  /** Where a redirect points; see `targetOf`. */
  target?: string | undefined;
  /** Who answered; by default the token endpoint. */
  endpoint?: 'token endpoint' | 'device authorization endpoint';
}

const TEMPORARY_STATUS: ReadonlySet<number> = new Set([408, 425, 429]);
const MAX_DESCRIPTION = 300;

/** `secrets` are the values that were sent: a provider that echoes them must not get them into a log. */
export function classifyTokenAnswer(answer: TokenEndpointAnswer, secrets: readonly Secret[]): AnswerOutcome {
  const { status, body } = answer;
  const members = readMembers(body);
  if (status === 200 && members?.access_token !== undefined) return granted(members, answer);
  const problem = problemIn(body, answer.authenticate);
  return refusalIn(answer, problem, secrets) ?? temporary(answer, detailOf(answer, members, problem, secrets));
}

/** What a well-formed error with a status of its kind says of the grant or the client; undefined where it says nothing. */
function refusalIn(
  { status }: TokenEndpointAnswer,
  problem: Problem | undefined,
  secrets: readonly Secret[],
): AnswerOutcome | undefined {
  if (problem?.error === undefined || !problem.wellFormed || !isRefusal(status)) return undefined;
  const { error } = problem;
  const error_description = describe(problem.description, secrets);
  const kind = effectOnGrant(error, error_description);
  return kind && { kind, error, ...(error_description !== undefined && { error_description }) };
}

/** A status that goes with an error of OAuth's. @see RFC 6749 section 5.2 */
export function isRefusal(status: number): boolean {
  return status >= 400 && status < 500 && !TEMPORARY_STATUS.has(status);
}

function detailOf(
  { status, body, target }: TokenEndpointAnswer,
  members: Members | undefined,
  problem: Problem | undefined,
  secrets: readonly Secret[],
): string | undefined {
  if (target !== undefined) return `it points to ${describe(target, secrets) ?? ''}, and redirects are not followed`;
  const words = problem && wordsOf(problem, secrets);
  // What is marked so is explained by its code alone; everything else together with the status.
  if (words !== undefined && problem?.error !== undefined)
    return problem.wellFormed && isRefusal(status) ? `error ${words}` : words;
  const said = words === undefined ? '' : `: ${words}`;
  if (members === undefined) return `${whatCame(body)}${said}`;
  if (status === 200) return `no access token in it${said}`;
  return words;
}

function wordsOf({ error, description }: Problem, secrets: readonly Secret[]): string | undefined {
  const [code, text] = [describe(error, secrets), describe(description, secrets)];
  if (code === undefined) return text;
  return text === undefined ? code : `${code} (${text})`;
}

function granted(members: Members, answer: TokenEndpointAnswer): AnswerOutcome {
  const { access_token, token_type, refresh_token, scope, expires_in } = members;
  // RFC 6749 section 7.1: a token of a type that we do not understand must not be used.
  if (typeof access_token !== 'string' || typeof token_type !== 'string' || token_type.toLowerCase() !== 'bearer') {
    return temporary(answer, 'the token is not of type Bearer');
  }
  const refresh_token_expires_in = refreshTokenLifetimeSeconds(members);
  const renewed = {
    ...(typeof refresh_token === 'string' && { refresh_token: new Secret(refresh_token) }),
    ...(refresh_token_expires_in !== undefined && { refresh_token_expires_in }),
  };
  const token: Granted = {
    kind: 'granted',
    access_token: new Secret(access_token),
    expires_in: lifetimeSeconds(expires_in),
    ...renewed,
    ...(typeof scope === 'string' && { scope }),
  };
  const defect = defectOfToken(access_token);
  if (defect === undefined) return token;
  return { kind: 'unusable', message: defect, ...renewed, ...(isBearerToken(access_token) && { granted: token }) };
}

function temporary({ status, retry_after, endpoint }: TokenEndpointAnswer, detail?: string): AnswerOutcome {
  return {
    kind: 'temporary',
    message: `the ${endpoint ?? 'token endpoint'} answered ${status}${detail === undefined ? '' : `: ${detail}`}`,
    ...(retry_after !== undefined && { retry_after }),
  };
}

function whatCame(body: string): string {
  const text = body.trimStart();
  if (text === '') return 'an empty page';
  return text.startsWith('<') ? 'a web page instead of JSON (captive portal or proxy?)' : 'something that is not JSON';
}

/** One printable line, without the secrets that were sent, however a provider may have echoed them. */
export function describe(value: unknown, secrets: readonly Secret[]): string | undefined {
  if (typeof value !== 'string') return undefined;
  const revealed = secrets.map((secret) => secret.reveal());
  const line = redact(redactThese(value, revealed))
    .replace(/[^\x20-\x7e]+/g, ' ')
    .trim();
  if (line === '') return undefined;
  return line.length > MAX_DESCRIPTION ? `${line.slice(0, MAX_DESCRIPTION)}…` : line;
}
