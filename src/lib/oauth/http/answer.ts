/**
 * The only reader of what a provider sends. Every caller (the sign-in library, our own refresh, discovery,
 * registration) sees the same object: what is in front of the JSON is gone, optional members that say nothing are left
 * out, and members in another form than the standard's have the standard's. What decides on trust is left as it came: a
 * token without a type, or of another type, has none here either. Pure.
 */
import { isRecord } from '../../core/values.ts';

export type Members = Readonly<Record<string, unknown>>;

/** Guards against pages that would load JSON as a script, and the whitespace that templates leave. */
const IN_FRONT = /^[\s\uFEFF\0]*(?:(?:\)\]\}',?|while\s*\(1\);|for\s*\(;;\);)[\s\uFEFF]*)?/;
const BEHIND = /[\s\uFEFF\0]+$/;

/** The value of a JSON text; undefined where it is none. */
export function parseJson(body: string): unknown {
  try {
    return JSON.parse(body.replace(IN_FRONT, '').replace(BEHIND, '')) as unknown;
  } catch {
    return undefined;
  }
}

/** The object that an answer is, from JSON or from a form, with its members as the standards have them. */
export function readMembers(body: string): Members | undefined {
  const value = parseJson(body) ?? formIn(body);
  return isRecord(value) ? normalised(value) : undefined;
}

/** What a few servers send, whatever they are asked for. Only what holds a token or an error is taken for one. */
function formIn(body: string): Members | undefined {
  const text = body.trim();
  if (!/^[\w.-]+=[^\s<>"{}]*(?:&[\w.-]+=[^\s<>"{}]*)*$/.test(text)) return undefined;
  const members = Object.fromEntries(new URLSearchParams(text));
  return 'access_token' in members || 'error' in members ? members : undefined;
}

const SECONDS = ['expires_in', 'refresh_token_expires_in', 'refresh_expires_in'] as const;
const TEXTS = [
  'access_token',
  'refresh_token',
  'id_token',
  'device_code',
  'user_code',
  'verification_uri_complete',
] as const;

function normalised(answer: Members): Members {
  const said = (name: string): unknown => (answer[name] === '' ? undefined : (answer[name] ?? undefined));
  const text = (name: string): unknown => (typeof said(name) === 'string' ? said(name) : undefined);
  const type = said('token_type');
  const members = {
    ...answer,
    ...Object.fromEntries(TEXTS.map((name) => [name, text(name)])),
    // Google's device endpoint is older than the standard.
    verification_uri: text('verification_uri') ?? text('verification_url'),
    ...Object.fromEntries(SECONDS.map((name) => [name, secondsIn(said(name))])),
    ...(text('device_code') !== undefined && { expires_in: secondsIn(said('expires_in')) ?? DEVICE_CODE_SECONDS }),
    interval: intervalIn(said('interval')),
    scope: scopeIn(said('scope')),
    token_type: typeof type === 'string' ? type.trim() : type,
  };
  return Object.fromEntries(
    Object.entries(members).filter(([, value]) => value !== undefined && value !== null && value !== ''),
  );
}

/** RFC 6749 section 3.3 has one text with blanks; lists are usual, and so are commas. */
function scopeIn(value: unknown): string | undefined {
  const parts = Array.isArray(value) ? value.filter((each) => typeof each === 'string') : [value];
  const scopes = parts.flatMap((part) => (typeof part === 'string' ? part.split(/[\s,]+/) : [])).filter(Boolean);
  return scopes.length === 0 ? undefined : scopes.join(' ');
}

/** Whole seconds, from a number or a text of one; less than none is none. */
function secondsIn(value: unknown): number | undefined {
  const seconds = numberIn(value);
  return seconds === undefined ? undefined : Math.min(Math.max(Math.floor(seconds), 0), Number.MAX_SAFE_INTEGER);
}

/** RFC 8628 section 3.2 wants it said; most servers mean ten minutes or more. */
const DEVICE_CODE_SECONDS = 600;
/** Longer pauses overflow no timer, and no caller waits for them. */
const LONGEST_INTERVAL_SECONDS = 3600;

/** Seconds between two polls; what is none means the standard's five. @see RFC 8628 section 3.2 */
function intervalIn(value: unknown): number | undefined {
  const seconds = numberIn(value);
  return seconds === undefined || seconds <= 0 ? undefined : Math.min(Math.ceil(seconds), LONGEST_INTERVAL_SECONDS);
}

function numberIn(value: unknown): number | undefined {
  if (typeof value === 'number') return Number.isNaN(value) ? undefined : value;
  const text = typeof value === 'string' ? value.trim() : '';
  return /^[+-]?\d{1,15}(?:\.\d*)?(?:[eE]\+?\d{1,2})?$/.test(text) ? Number(text) : undefined;
}
