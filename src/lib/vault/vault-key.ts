/** The key that seals the vault: its form, its name, and how it is read from a file. Pure. */
import { createHash } from 'node:crypto';
import { CmsError } from '../core/errors.ts';
import { Secret } from '../core/secret.ts';

export const VAULT_KEY_BYTES = 32;
/** The key's text form and some white space fit many times; anything larger is not a key. */
export const MAX_KEY_TEXT_BYTES = 256;

/** Where the vault's key is kept; `id` tells a wrong key from a missing one. */
export interface VaultKeyRecord {
  id: string;
  source: 'keyring' | 'file' | 'credential' | 'key-file';
}

export interface VaultKey {
  /** 32 bytes. */
  key: Secret<Buffer>;
  id: string;
  /** Where it was found, which is not always where the record says. */
  source: VaultKeyRecord['source'];
}

const ID_DOMAIN = 'cms vault key id v1\0';

/** A name for the key that tells nothing about it: 16 hexadecimal digits of a SHA-256 of its own domain. */
export function keyId(key: Uint8Array): string {
  return createHash('sha256').update(ID_DOMAIN).update(key).digest('hex').slice(0, 16);
}

export function vaultKey(key: Buffer, source: VaultKeyRecord['source']): VaultKey {
  return { key: new Secret(key), id: keyId(key), source };
}

/** The form in which a key is stored: base64 and a newline, so that it can be shown, pasted and kept as a backup. */
export function formatKeyText(key: Uint8Array): string {
  return `${Buffer.from(key).toString('base64')}\n`;
}

/**
 * A key as people and secret managers keep it: 32 raw bytes, 64 hexadecimal digits or 44 characters of base64, the
 * texts with or without white space around them.
 * @param where named in the error; what was read never is
 * @throws CmsError `config_invalid`
 */
export function parseKeyText(bytes: Uint8Array, where = 'the vault key'): Buffer {
  if (bytes.length === VAULT_KEY_BYTES) return Buffer.from(bytes);
  const text = Buffer.from(bytes).toString('latin1').trim();
  const key = fromHex(text) ?? fromBase64(text);
  if (key !== undefined) return key;
  throw new CmsError(
    'config_invalid',
    `${where} holds no key: it needs 32 bytes, 64 hexadecimal digits or base64 of 32 bytes, and has ${bytes.length} bytes`,
    { suggestions: ['put the key back from a backup; a new one cannot open what the old one sealed'] },
  );
}

function fromHex(text: string): Buffer | undefined {
  return /^[0-9a-f]{64}$/i.test(text) ? Buffer.from(text, 'hex') : undefined;
}

function fromBase64(text: string): Buffer | undefined {
  if (!/^[A-Za-z0-9+/]{43}=$/.test(text)) return undefined;
  const key = Buffer.from(text, 'base64');
  // The last digit carries two unused bits; set, they would be a typing error that no one notices.
  return key.toString('base64') === text ? key : undefined;
}
