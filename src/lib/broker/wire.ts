/**
 * The wire: one request line in, one answer out. Pure. The grammar is byte-compatible with what exim's `readsocket`
 * sends and what the clients of older credential servers send; anything else is answered with nothing.
 */
import type { Protocol } from '../accounts/account.ts';
import { type Address, tryParseAddress } from '../accounts/address.ts';
import { defectOfToken } from '../core/bearer.ts';
import { CmsError } from '../core/errors.ts';
import type { Secret } from '../core/secret.ts';
import { base64, oauthbearer, xoauth2 } from '../core/sasl.ts';

/** Longest request in bytes, its line end included. */
export const MAX_REQUEST_BYTES = 512;
export const MAX_WAIT_SECONDS = 20;

const FORMS = ['token', 'xoauth2-b64', 'oauthbearer', 'password', 'json', 'ready', 'refused'] as const;
export type Form = 'xoauth2' | (typeof FORMS)[number];

export interface TokenLine {
  kind: 'token';
  protocol: Protocol;
  address: Address;
  form: Form;
  /** Seconds. */
  minValiditySeconds?: number;
  waitSeconds?: number;
  host?: string;
  port?: number;
}

export type AdminLine = { kind: 'status' } | { kind: 'reload' } | { kind: 'refresh'; address: Address };
export type RequestLine = TokenLine | AdminLine;

const VERBS: Readonly<Record<string, Protocol>> = { SMTP: 'smtp', IMAP: 'imap', POP: 'pop' };

/** The request, or undefined for anything that the grammar does not have. `line` comes without its line end. */
export function parseRequest(line: string): RequestLine | undefined {
  if (line === 'STATUS') return { kind: 'status' };
  if (line === 'RELOAD') return { kind: 'reload' };
  const [head = '', name = '', ...more] = line.split(' ');
  if (more.length > 0) return undefined;
  const address = tryParseAddress(name);
  if (address === undefined) return undefined;
  if (head === 'REFRESH') return { kind: 'refresh', address };
  const [verb = '', ...options] = head.split(',');
  const protocol = Object.hasOwn(VERBS, verb) ? VERBS[verb] : undefined;
  if (protocol === undefined) return undefined;
  return options.reduce<TokenLine>(withOption, { kind: 'token', protocol, address, form: 'xoauth2' });
}

/** The last form wins; an unknown option is ignored, and so is one with a malformed value. */
function withOption(line: TokenLine, option: string): TokenLine {
  const form = FORMS.find((each) => each === option);
  if (form !== undefined) return { ...line, form };
  const [, name = '', value = ''] = /^([a-z]+)=(.*)$/.exec(option) ?? [];
  switch (name) {
    case 'minvalid':
      return /^\d{1,6}$/.test(value) ? { ...line, minValiditySeconds: Number(value) } : line;
    case 'wait':
      return /^\d{1,6}$/.test(value) ? { ...line, waitSeconds: Math.min(Number(value), MAX_WAIT_SECONDS) } : line;
    case 'host':
      return /^[A-Za-z0-9.-]{1,253}$/.test(value) ? { ...line, host: value } : line;
    case 'port':
      return /^\d{1,5}$/.test(value) && Number(value) <= 65_535 ? { ...line, port: Number(value) } : line;
    default:
      return line;
  }
}

/** The line of a request, for clients. The inverse of `parseRequest`. */
export function formatRequest(line: RequestLine): string {
  if (line.kind === 'refresh') return `REFRESH ${line.address}`;
  if (line.kind !== 'token') return line.kind.toUpperCase();
  const options = [
    ...(line.form === 'xoauth2' ? [] : [line.form]),
    ...(line.minValiditySeconds === undefined ? [] : [`minvalid=${line.minValiditySeconds}`]),
    ...(line.waitSeconds === undefined ? [] : [`wait=${line.waitSeconds}`]),
    ...(line.host === undefined ? [] : [`host=${line.host}`]),
    ...(line.port === undefined ? [] : [`port=${line.port}`]),
  ];
  return `${[line.protocol.toUpperCase(), ...options].join(',')} ${line.address}`;
}

export interface TokenAnswer {
  /** SASL's user name. */
  user: string;
  access_token: Secret;
  /** Milliseconds since the epoch. */
  expires_at: number;
}

/**
 * The exact bytes for a token, as text.
 * @throws CmsError `protocol_error` for a token that must not be sent
 */
export function renderToken(line: TokenLine, answer: TokenAnswer): string {
  const { user } = answer;
  const token = answer.access_token.reveal();
  requireSendable(token);
  switch (line.form) {
    case 'xoauth2':
      return xoauth2(user, token);
    case 'xoauth2-b64':
      return base64(xoauth2(user, token));
    case 'oauthbearer':
      return oauthbearer(user, token, line);
    case 'token':
      return token;
    case 'json':
      return JSON.stringify({
        access_token: token,
        token_type: 'Bearer',
        expires_at: Math.floor(answer.expires_at / 1000),
        user,
      });
    case 'ready':
    case 'refused':
    case 'password':
      return '';
  }
}

function requireSendable(token: string): void {
  const defect = defectOfToken(token);
  if (defect !== undefined) throw new CmsError('protocol_error', defect);
}

/** An app password as it is sent, or nothing if it could end a line or a field. */
export function renderPassword(secret: Secret): string {
  const password = secret.reveal();
  return /^[\x20-\x7e\u00a0-\u{10ffff}]{1,256}$/u.test(password) ? password : '';
}

/** What stands in the place of an answer: nothing, unless the form has a word for it. */
export function renderFailure(form: Form, failure: CmsError): string {
  if (form === 'json') return JSON.stringify({ ...failure.toJSON(), retryable: failure.retryable });
  return form === 'ready' ? reasonLine(failure) : '';
}

const LONGEST_REASON = 300;

/** One line of printable ASCII: what is wrong, and the command that fixes it. */
export function reasonLine({ code, message, suggestions }: CmsError): string {
  const command = suggestions.find((line) => line.startsWith('cms '))?.replace(/\s+#.*$/, '');
  const text = `${code.replaceAll('_', ' ')}: ${message}${command === undefined ? '' : `; run ${command}`}`;
  return text.replace(/[^\x20-\x7e]+/g, '?').slice(0, LONGEST_REASON);
}
