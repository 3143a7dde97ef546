/**
 * The error in an answer, in whatever it is wrapped: an object within the object, a list, a form, plain text, a header.
 * Pure. Only the form of RFC 6749 says anything final of a grant; the words of the others are shown all the same.
 */
import { effectOnSignIn } from '../../explain/explain.ts';
import { type Members, parseJson, readMembers } from './answer.ts';
import { isRecord } from '../../core/values.ts';

export interface Problem {
  /** A code, of OAuth where there is one. */
  error?: string;
  /** As it was sent: not for a terminal, and maybe with a secret in it. */
  description?: string;
  /** A JSON object whose member `error` is a code. @see RFC 6749 section 5.2 */
  wellFormed: boolean;
}

/** More of a web page or a text is not worth reading. */
const LONGEST_TEXT = 2000;
const DEEPEST = 4;

/** @param authenticate the header WWW-Authenticate. @returns undefined where nothing is said */
export function problemIn(body: string, authenticate?: string): Problem | undefined {
  const members = readMembers(body);
  if (members !== undefined && isCode(members.error) && isRecord(parseJson(body))) {
    const description = descriptionIn(members);
    return { error: members.error, ...(description !== undefined && { description }), wellFormed: true };
  }
  const said = saidIn(members ?? parseJson(body)) ?? challengeIn(authenticate) ?? textIn(body);
  return said && { ...said, wellFormed: false };
}

/** RFC 6749 section 5.2 gives the characters of `error`; we are stricter than its quoting, as all real codes are. */
function isCode(value: unknown): value is string {
  return typeof value === 'string' && /^[A-Za-z0-9_.:/-]{1,100}$/.test(value);
}

export function isKnownCode(code: string): boolean {
  return effectOnSignIn(code) !== 'unknown';
}

type Said = Omit<Problem, 'wellFormed'>;

/** Google says in a member of its own what kind of `invalid_grant` it is. */
function descriptionIn(members: Members): string | undefined {
  const { error_subtype: subtype } = members;
  const said = firstText(members, DESCRIPTIONS);
  if (typeof subtype !== 'string') return said;
  if (said === undefined) return subtype;
  return said.includes(subtype) ? said : `${said} [${subtype}]`;
}

const CODES = ['error', 'error_code', 'errorCode', 'code', 'type', 'status', 'reason', 'name', 'errorcode'];
const DESCRIPTIONS = [
  'error_description',
  'errorDescription',
  'description',
  'message',
  'error_message',
  'errorMessage',
  'errorSummary',
  'detail',
  'title',
  'faultstring',
  'msg',
];
/** Where an object keeps the error itself. */
const WRAPPERS = ['error', 'errors', 'fault', 'detail', 'details', 'data', 'response', 'body'];

/** Whatever is nearest to OAuth in a JSON value: its codes before others, the outer words before the inner ones. */
function saidIn(value: unknown): Said | undefined {
  const layers = layersOf(value, DEEPEST);
  const codes = layers.flatMap((layer) => (typeof layer === 'string' ? [layer] : textsIn(layer, CODES)));
  const words = layers.map((layer) => (typeof layer === 'string' ? layer : descriptionIn(layer))).filter(isText);
  const named = codes.find((code) => isCode(code) && isKnownCode(code)) ?? words.map(codeIn).find(isText);
  const error = named ?? codes.find(isCode);
  const description = words.find((each) => each !== error);
  if (error === undefined && description === undefined) return undefined;
  return { ...(error !== undefined && { error }), ...(description !== undefined && { description }) };
}

/** The value and what is wrapped in it, the outermost first. */
function layersOf(value: unknown, depth: number): (Members | string)[] {
  if (depth === 0) return [];
  if (typeof value === 'string') return [value];
  if (Array.isArray(value)) return layersOf(value[0], depth - 1);
  if (!isRecord(value)) return [];
  return [value, ...WRAPPERS.flatMap((name) => layersOf(value[name], depth - 1))];
}

/** `invalid_grant: Token has been revoked`, or the words of a person around the code. */
function codeIn(text: string): string | undefined {
  return text.match(/[a-z]+(?:_[a-z]+)+/g)?.find(isKnownCode);
}

/** @see RFC 6750 section 3 */
function challengeIn(header = ''): Said | undefined {
  const parameter = (name: string): string | undefined =>
    new RegExp(`(?:^|[\\s,])${name}\\s*=\\s*(?:"((?:[^"\\\\]|\\\\.)*)"|([^\\s,"]+))`, 'i')
      .exec(header)
      ?.slice(1)
      .find(isText);
  const error = parameter('error');
  if (!isCode(error)) return undefined;
  const description = parameter('error_description');
  return { error, ...(description !== undefined && { description }) };
}

/** Plain text. A page is not: it is a proxy's or a captive portal's. */
function textIn(body: string): Said | undefined {
  const text = body.trim();
  if (text === '' || text.startsWith('<') || text.length > LONGEST_TEXT || /^[{["]/.test(text)) return undefined;
  const error = codeIn(text);
  if (error === undefined) return { description: text };
  return { error, ...(text !== error && { description: text.replace(new RegExp(`^${error}\\s*[:,-]?\\s*`), '') }) };
}

function firstText(members: Members, names: readonly string[]): string | undefined {
  return textsIn(members, names)[0];
}

function textsIn(members: Members, names: readonly string[]): string[] {
  return names.map((name) => members[name]).filter(isText);
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}
