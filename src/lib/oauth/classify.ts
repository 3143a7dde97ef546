/**
 * What an answer of the token endpoint means. Pure. Only a well-formed RFC 6749 error changes what we think of a
 * grant; a page of a captive portal, a proxy's 502 or half a JSON object is weather.
 */
import type { AnswerOutcome } from './exchange.ts';
import { effectOnGrant } from '../explain/explain.ts';
import { redact, redactThese } from '../redact.ts';
import { Secret } from '../secret.ts';
import { lifetimeSeconds, refreshTokenLifetimeSeconds } from './lifetime.ts';

export interface TokenEndpointAnswer {
  status: number;
  body: string;
  retry_after?: number;
}

const TEMPORARY_STATUS: ReadonlySet<number> = new Set([408, 425, 429]);
const MAX_DESCRIPTION = 300;

/** `secrets` are the values that were sent: a provider that echoes them must not get them into a log. */
export function classifyTokenAnswer(answer: TokenEndpointAnswer, secrets: readonly Secret[]): AnswerOutcome {
  const { status, body } = answer;
  const json = parseObject(body);
  if (status === 200) return grantedOr(json, answer);
  const error = json?.error;
  const wellFormed = status >= 400 && status < 500 && !TEMPORARY_STATUS.has(status) && isErrorValue(error);
  if (!wellFormed) return temporary(answer, json === undefined ? whatCame(body) : undefined);
  const error_description = describe(descriptionIn(json), secrets);
  const refusal = { error, ...(error_description !== undefined && { error_description }) };
  const kind = effectOnGrant(error, error_description);
  if (kind !== undefined) return { kind, ...refusal };
  return temporary(
    answer,
    `error ${describe(error, secrets) ?? ''}${error_description === undefined ? '' : ` (${error_description})`}`,
  );
}

/** Google says in a member of its own what kind of `invalid_grant` it is. */
function descriptionIn(json: Record<string, unknown> | undefined): unknown {
  const { error_description: said, error_subtype: subtype } = json ?? {};
  if (typeof subtype !== 'string') return said;
  if (typeof said !== 'string') return subtype;
  return said.includes(subtype) ? said : `${said} [${subtype}]`;
}

function grantedOr(json: Record<string, unknown> | undefined, answer: TokenEndpointAnswer): AnswerOutcome {
  if (json === undefined) return temporary(answer, whatCame(answer.body));
  const { access_token, token_type, refresh_token, scope, expires_in } = json;
  if (typeof access_token !== 'string' || access_token === '') return temporary(answer, 'no access token in it');
  // RFC 6749 section 7.1: a token of a type that we do not understand must not be used.
  if (typeof token_type !== 'string' || token_type.toLowerCase() !== 'bearer') {
    return temporary(answer, 'the token is not of type Bearer');
  }
  const refresh_token_expires_in = refreshTokenLifetimeSeconds(json);
  return {
    kind: 'granted',
    access_token: new Secret(access_token),
    expires_in: lifetimeSeconds(expires_in),
    ...(typeof refresh_token === 'string' && refresh_token !== '' && { refresh_token: new Secret(refresh_token) }),
    ...(refresh_token_expires_in !== undefined && { refresh_token_expires_in }),
    ...(typeof scope === 'string' && { scope }),
  };
}

function temporary({ status, retry_after }: TokenEndpointAnswer, detail?: string): AnswerOutcome {
  return {
    kind: 'temporary',
    message: `the token endpoint answered ${status}${detail === undefined ? '' : `: ${detail}`}`,
    ...(retry_after !== undefined && { retry_after }),
  };
}

function whatCame(body: string): string {
  const text = body.trimStart();
  if (text === '') return 'an empty page';
  return text.startsWith('<') ? 'a web page instead of JSON (captive portal or proxy?)' : 'something that is not JSON';
}

function parseObject(body: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

/** RFC 6749 section 5.2 gives the characters of `error`; we are stricter than its quoting, as all real codes are. */
function isErrorValue(value: unknown): value is string {
  return typeof value === 'string' && /^[A-Za-z0-9_.:/-]{1,100}$/.test(value);
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
