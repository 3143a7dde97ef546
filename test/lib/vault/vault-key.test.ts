import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { formatKeyText, keyId, parseKeyText } from '../../../src/lib/vault/vault-key.ts';

describe('the form of the vault key', () => {
  const key = randomBytes(32);

  it('is read from 32 bytes, hexadecimal digits and base64, with and without white space around the texts', () => {
    const hex = key.toString('hex');
    const texts = [hex, `${hex}\n`, hex.toUpperCase(), formatKeyText(key), `  ${key.toString('base64')}\r\n`];
    assert.deepEqual(parseKeyText(key), key);
    for (const text of texts) assert.deepEqual(parseKeyText(Buffer.from(text)), key, text);
  });

  it('is refused when it is anything else, without showing what it was', () => {
    const base64 = key.toString('base64');
    const wrong = ['', 'secret', key.toString('hex').slice(1), base64.slice(1), `${base64}A`, `${'A'.repeat(42)}B=`];
    for (const text of wrong) {
      assert.throws(
        () => parseKeyText(Buffer.from(text), '/some/file'),
        (error: Error & { code?: string }) =>
          error.code === 'config_invalid' &&
          error.message.startsWith('/some/file holds no key') &&
          (text === '' || !error.message.includes(text)),
        text,
      );
    }
  });

  it('has an id of 16 hexadecimal digits, the same for the same key only', () => {
    assert.match(keyId(key), /^[0-9a-f]{16}$/);
    assert.equal(keyId(key), keyId(Buffer.from(key)));
    assert.notEqual(keyId(key), keyId(randomBytes(32)));
    // Recorded in accounts.json of every installation: it must never change.
    assert.equal(keyId(Buffer.alloc(32)), '700a50b3293d5d63');
  });
});
