/**
 * The grammar of addresses, which are the keys of accounts and are written into exim's files. It is narrower than
 * RFC 5321: whatever would mean something to exim's lists, lookups or expansion is refused, because a value that
 * cannot be written safely is better refused at the door than quoted everywhere.
 */
import { domainToASCII } from 'node:url';
import { CmsError } from '../core/errors.ts';

declare const validated: unique symbol;
/** An address that `parseAddress` let through, lower case, its domain as A-labels. */
export type Address = string & { [validated]: 'address' };

// RFC 5321 atext less the characters that exim reads as syntax: $ { } # *, and quotes, backslash, colon and semicolon.
const LOCAL_PART = /^[a-z0-9!%&'+/=?^_`|~-]+(?:\.[a-z0-9!%&'+/=?^_`|~-]+)*$/;
const DOMAIN = /^(?=.{1,253}$)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
// RFC 5321 section 4.5.3.1: 64 octets of local part, 255 of domain.
const MAX_LOCAL_PART = 64;

/**
 * Validates an address and brings it into the one form used as key: lower case (ASCII), domain as A-labels.
 * @throws CmsError `data_invalid`
 */
export function parseAddress(text: string): Address {
  const at = text.lastIndexOf('@');
  const local = lowerAscii(text.slice(0, Math.max(at, 0)));
  if (at < 1 || local.length > MAX_LOCAL_PART || !LOCAL_PART.test(local)) throw invalid(text);
  return `${local}@${parseDomain(text.slice(at + 1), text)}` as Address;
}

/** Like `parseAddress`, or undefined where that throws. */
export function tryParseAddress(text: string): Address | undefined {
  try {
    return parseAddress(text);
  } catch {
    return undefined;
  }
}

/**
 * Validates a domain; IDN labels become A-labels.
 * @throws CmsError `data_invalid`
 */
export function parseDomain(text: string, whole = text): string {
  // URL parsing would forgive blanks, escapes and ports: only letters, digits, hyphens, dots and non-ASCII get there.
  const ascii = isPlainDomain(text) ? lowerAscii(text) : aLabels(text);
  if (!DOMAIN.test(ascii)) throw invalid(whole);
  return ascii;
}

/** One that A-labels leave as it is. Nearly all are, and the first question to the library takes a millisecond. */
function isPlainDomain(text: string): boolean {
  return /^[a-z0-9._-]+\.[a-z]{2,}$/i.test(text) && !/xn--/i.test(text);
}

function aLabels(text: string): string {
  return /^[a-z0-9._\u0080-\u{10ffff}-]+$/iu.test(text) ? domainToASCII(text) : '';
}

/**
 * An alias: an address, or `@domain` for every sender of a domain.
 * @throws CmsError `data_invalid`
 */
export function parseAlias(text: string): string {
  return text.startsWith('@') ? `@${parseDomain(text.slice(1), text)}` : parseAddress(text);
}

/**
 * A SASL or mail-login name. Mostly an address, but some servers take a bare name.
 * @throws CmsError `data_invalid`
 */
export function parseLoginName(text: string): string {
  if (text.includes('@')) return parseAddress(text);
  if (text.length > MAX_LOCAL_PART || !LOCAL_PART.test(lowerAscii(text))) throw invalid(text);
  return text;
}

/** `text` with the domain behind its last `@` as A-labels, in lower case; as it is where there is none, or no usable one. */
export function withALabels(text: string): string {
  const at = text.lastIndexOf('@');
  if (at < 1) return text;
  try {
    return text.slice(0, at + 1) + parseDomain(text.slice(at + 1));
  } catch {
    return text;
  }
}

export function domainOf(address: string): string {
  return address.slice(address.lastIndexOf('@') + 1);
}

/** Lower case for A to Z alone: other letters are refused later, not folded into look-alikes (U+212A is not k). */
export function lowerAscii(text: string): string {
  return text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

/**
 * A name that is about to be kept for the first time: one that begins with a hyphen would be a flag, for cms and for
 * every mail program. Accounts that have such a name from before are read and served.
 * @throws CmsError `data_invalid`
 */
export function refuseFlagLike<T extends string>(name: T): T {
  if (name.startsWith('-')) throw invalid(name);
  return name;
}

function invalid(text: string): CmsError {
  return new CmsError('data_invalid', `not a usable mail address: ${printable(text)}`, {
    suggestions: [
      'write it as name@domain; a hyphen at the beginning, blanks, quotes, control characters and \\ $ { } : ; # * , are not accepted',
    ],
  });
}

/** `text` cut short and with everything but printable ASCII escaped, so that it can stand in a message. */
export function printable(text: string): string {
  const short = text.length > 80 ? `${text.slice(0, 80)}…` : text;
  return JSON.stringify(short).replace(
    /[\u007f-\u2025\u2027-\uffff]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
