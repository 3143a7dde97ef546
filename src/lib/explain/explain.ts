/** From what a provider or mail server said to what it means. Pure: a table and the search in it. */
import { AADSTS } from './aadsts.ts';
import { CONNECTION } from './connection.ts';
import type { Entry, ExplanationClass, Source, Who } from './entry.ts';
import { isPlain, passesByItself } from './entry.ts';
import { fill, type Subject } from './fill.ts';
import { MAILBOX } from './mailbox.ts';
import { missingScopeIn } from './missing-scope.ts';
import { OAUTH } from './oauth.ts';
import { SMTP } from './smtp.ts';

/** In the order in which they are tried. */
export const CATALOGUE: readonly Entry[] = [...AADSTS, ...OAUTH, ...SMTP, ...MAILBOX, ...CONNECTION];

export interface Observation extends Subject {
  source: Source;
  /** The `error` of OAuth, `535 5.7.8`, or the response code of IMAP or POP. */
  code?: string | undefined;
  /** The rest of the words, verbatim. */
  text?: string | undefined;
  credential?: 'token' | 'password' | undefined;
  /** The scope of the token; what was asked for where the provider did not say (RFC 6749 section 5.1). */
  granted?: string | undefined;
  /** Days between the sign-in and the refusal. */
  age?: number | undefined;
}

export interface Explanation {
  /** Of the entry in the catalogue; `unknown` where there is none. */
  id: string;
  class: ExplanationClass;
  who: Who;
  /** One clause, lower case, ASCII, no full stop. */
  sentence: string;
  /** Commands and steps, the most likely fix first. */
  fix: string[];
  /** What was said, verbatim. */
  words: string;
  link?: string;
  admin?: { subject: string; request: string[] };
}

/** What was said, explained; an unknown text is handed on verbatim, with the class `unknown`. */
export function explain(seen: Observation): Explanation {
  const words = wordsOf(seen);
  const entry = entryFor(seen, words);
  if (entry === undefined) return { id: 'unknown', class: 'unknown', who: 'you', sentence: UNKNOWN, fix: [], words };
  const { id, class: kind, who, sentence, fix, link, admin } = entry;
  const subject = { ...seen, missingScope: lackedBy(seen, words) };
  const filled = (text: string): string => fill(text, subject);
  return {
    id,
    class: kind,
    who,
    sentence: filled(sentence),
    fix: fix.map(filled),
    words,
    ...(link !== undefined && { link }),
    ...(admin && { admin: { subject: filled(admin.subject), request: admin.request.map(filled) } }),
  };
}

function entryFor(seen: Observation, words: string): Entry | undefined {
  return CATALOGUE.find((each) => fits(each, seen, words));
}

const UNKNOWN = 'cms does not know this answer';

/** `error (description)`, as cms writes it everywhere, taken apart again; and where a redirect points. */
export function fromWords(words: string): Pick<Observation, 'code' | 'text' | 'location' | 'endpointFlag'> {
  const [, endpoint = '', location] = /^the ([a-z ]+) endpoint answered \d+: it points to (\S+), /.exec(words) ?? [];
  if (location !== undefined) {
    return { text: words, location, endpointFlag: `--${endpoint.replaceAll(' ', '-')}-endpoint` };
  }
  const said = words.replace(/^the [a-z ]+ endpoint answered \d+: error /, '');
  const [, code, text] = /^([A-Za-z0-9_.:/-]+)(?:(?: \(|: )(.*?)\)?)?$/s.exec(said) ?? [];
  return code === undefined ? { text: words } : { code, text: text ?? '' };
}

/**
 * What a well-formed error of the token endpoint makes of a grant, by its code and its words; undefined: nothing, it is
 * a temporary failure. What passes by itself is one whatever its code: who is told to wait must not have to sign in.
 */
export function effectOnGrant(error: string, text?: string): Entry['grant'] {
  const meant = meaningOf(error, text);
  return meant !== undefined && passesByItself(meant) ? undefined : plainEntry(error)?.grant;
}

/** The class of an error code, whatever is said in addition to it, unless that is something that passes by itself. */
export function effectOnSignIn(error: string, text?: string): ExplanationClass {
  const meant = meaningOf(error, text);
  const decisive = meant !== undefined && passesByItself(meant) ? meant : plainEntry(error);
  return decisive?.class ?? 'unknown';
}

function meaningOf(code: string, text: string | undefined): Entry | undefined {
  const seen: Observation = { source: 'oauth', code, text };
  return entryFor(seen, wordsOf(seen));
}

function plainEntry(error: string): Entry | undefined {
  return OAUTH.find((entry) => isPlain(entry) && entry.match.errors?.includes(error));
}

/** Google's challenge, which servers that have nothing to do with Google repeat word by word. */
const GOOGLE_SCOPE = 'https://mail.google.com/';

/** Of the scopes that the server names, those that the token has not. */
function lackedBy({ granted, scope = '', tokenEndpoint = '' }: Observation, words: string): string | undefined {
  const copied = tokenEndpoint.startsWith('https://oauth2.googleapis.com/') ? '' : ` ${GOOGLE_SCOPE}`;
  return missingScopeIn(words, (granted ?? scope) + copied);
}

/** Code and text as one line, nothing twice; IMAP's tag says nothing. */
function wordsOf({ source, code = '', text = '' }: Observation): string {
  if (source === 'oauth') return text === '' || code === '' ? code + text : `${code} (${text})`;
  const said = text.replace(/^\w+ (?=(?:NO|BAD) )/, '');
  if (said.includes(code)) return said;
  const [status, enhanced] = code.split(' ');
  return enhanced !== undefined && said.startsWith(enhanced) ? `${status ?? ''} ${said}` : `${code} ${said}`.trim();
}

function fits({ sources, match }: Entry, seen: Observation, words: string): boolean {
  if (!sources.includes(seen.source)) return false;
  if (match.errors !== undefined && !match.errors.includes(seen.code ?? '')) return false;
  if (match.aadsts !== undefined && !match.aadsts.includes(Number(/AADSTS(\d+)/.exec(words)?.[1]))) return false;
  if (match.words !== undefined && !match.words.test(words)) return false;
  if (match.missingScope && lackedBy(seen, words) === undefined) return false;
  if (match.credential !== undefined && match.credential !== (seen.credential ?? 'token')) return false;
  if (match.age === undefined) return true;
  return seen.age !== undefined && seen.age >= match.age[0] && seen.age <= match.age[1];
}
