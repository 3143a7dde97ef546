/** The form of a sealed file: one JSON object, the secrets in it encrypted, everything else as additional data. Pure. */
import { createCipheriv, createDecipheriv } from 'node:crypto';
import { CmsError } from '../core/errors.ts';
import { Secret } from '../core/secret.ts';
import type { GrantHeader, GrantRecord, GrantSecrets } from './grant.ts';

const CIPHER = 'aes-256-gcm';
const VERSION = 1;
const TAG_BYTES = 16;
export const NONCE_BYTES = 12;

interface SealedFile {
  version: number;
  key_id: string;
  header: GrantHeader;
  nonce: string;
  sealed: string;
}

export interface SealingKey {
  key: Secret<Buffer>;
  id: string;
}

/** The text of the file. `nonce` must be random and never used again with this key (NIST SP 800-38D). */
export function seal({ secrets, ...header }: GrantRecord, key: SealingKey, nonce: Buffer): string {
  const cipher = createCipheriv(CIPHER, key.key.reveal(), nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(additionalData(key.id, header));
  const sealed = Buffer.concat([cipher.update(plainText(secrets), 'utf8'), cipher.final(), cipher.getAuthTag()]);
  return textOf({ key_id: key.id, header, nonce: nonce.toString('base64'), sealed: sealed.toString('base64') });
}

/** The one form that a file may have. */
function textOf({ key_id, header, nonce, sealed }: Omit<SealedFile, 'version'>): string {
  return `${JSON.stringify({ version: VERSION, key_id, header, nonce, sealed } satisfies SealedFile)}\n`;
}

/**
 * The inverse of `seal`.
 * @throws CmsError `store_unavailable` when another key sealed it, `data_invalid` when it was changed or cut short
 */
export function unseal(text: string, key: SealingKey, name: string): GrantRecord {
  const file = parse(text, name);
  if (file.key_id !== key.id) {
    throw new CmsError('store_unavailable', `${name} was sealed with the key ${file.key_id}, not with ${key.id}`, {
      suggestions: ['bring the old key back, or sign in again: cms account add ADDRESS'],
    });
  }
  if (!isCanonical(file, text)) throw damaged(name, 'it was written by something else');
  try {
    const sealed = Buffer.from(file.sealed, 'base64');
    const nonce = Buffer.from(file.nonce, 'base64');
    const decipher = createDecipheriv(CIPHER, key.key.reveal(), nonce, { authTagLength: TAG_BYTES });
    decipher.setAAD(additionalData(file.key_id, file.header));
    decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
    const plain = Buffer.concat([decipher.update(sealed.subarray(0, -TAG_BYTES)), decipher.final()]);
    return Object.assign(file.header, { secrets: fromPlainText(plain.toString('utf8')) });
  } catch {
    // No cause: JSON.parse would quote what it was given.
    throw damaged(name, 'it does not pass its check');
  }
}

/** The name of the key that sealed the file; not authenticated. Undefined where the file is not in the form of `textOf`. */
export function sealedWith(text: string): string | undefined {
  return /^\{"version":\d+,"key_id":"([^"\\]*)"/.exec(text)?.[1];
}

/** The one place where a grant's secrets become text. */
function plainText(secrets: GrantSecrets): string {
  const entries: [string, unknown][] = Object.entries(secrets);
  const plain = entries.map(
    ([name, value]) => [name, value instanceof Secret ? (value as Secret).reveal() : value] as const,
  );
  return JSON.stringify(Object.fromEntries(plain));
}

const SECRETS: ReadonlySet<string> = new Set<keyof GrantSecrets>([
  'refresh_token',
  'previous_refresh_token',
  'access_token',
  'client_secret',
  'registration_access_token',
  'password',
]);

function fromPlainText(text: string): GrantSecrets {
  return JSON.parse(text, (name, value: unknown) =>
    SECRETS.has(name) && typeof value === 'string' ? new Secret(value) : value,
  ) as GrantSecrets;
}

/**
 * What can be read without the key; not authenticated, so only for display.
 * @throws CmsError `data_invalid`
 */
export function unsealedHeader(text: string, name: string): GrantHeader {
  return (withoutSealed(text, name) ?? parse(text, name)).header;
}

/**
 * The file with nothing sealed in it: most of a file are its secrets, and a list of accounts parses thousands. Within a
 * JSON string these quotes would stand escaped, so what is found is a member.
 * @returns undefined where the file is not in the form of `textOf`
 */
function withoutSealed(text: string, name: string): SealedFile | undefined {
  const end = text.indexOf(',"nonce":"');
  if (end < 0 || !text.endsWith('"}\n')) return undefined;
  return parse(`${text.slice(0, end)},"nonce":"","sealed":""}`, name);
}

/** JSON and base64 can say the same in many ways; the check below would not see those bytes change. */
function isCanonical(file: SealedFile, text: string): boolean {
  const again = (base64: string): string => Buffer.from(base64, 'base64').toString('base64');
  return textOf({ ...file, nonce: again(file.nonce), sealed: again(file.sealed) }) === text;
}

function additionalData(keyId: string, header: GrantHeader): Buffer {
  return Buffer.from(JSON.stringify([VERSION, keyId, header]));
}

function parse(text: string, name: string): SealedFile {
  let file: Partial<SealedFile> | null;
  try {
    file = JSON.parse(text) as Partial<SealedFile> | null;
  } catch (error) {
    throw damaged(name, 'it is not JSON', error);
  }
  if (typeof file?.version === 'number' && file.version > VERSION) {
    throw new CmsError('config_invalid', `${name} has version ${file.version}; this cms reads up to ${VERSION}`, {
      suggestions: ['npm install -g cms-oauth@latest'],
    });
  }
  const whole =
    typeof file?.key_id === 'string' &&
    typeof file.nonce === 'string' &&
    typeof file.sealed === 'string' &&
    typeof file.header?.address === 'string' &&
    typeof file.header.grant_id === 'string';
  if (!whole) throw damaged(name, 'parts of it are missing');
  return file as SealedFile;
}

function damaged(name: string, why: string, cause?: unknown): CmsError {
  return new CmsError('data_invalid', `the sealed file ${name} is damaged: ${why}`, {
    cause,
    suggestions: ['restore it from a backup, or sign in again: cms account add ADDRESS'],
  });
}
