import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { CmsError } from '../../../src/lib/core/errors.ts';
import type { GrantRecord } from '../../../src/lib/vault/grant.ts';
import { NONCE_BYTES, seal, unseal, unsealedHeader } from '../../../src/lib/vault/seal.ts';
import { Secret } from '../../../src/lib/core/secret.ts';
import { grantSecrets, revealed } from '../../support/secrets.ts';

const key = { key: new Secret(createHash('sha256').update('a key').digest()), id: 'key-1' };
const record: GrantRecord = {
  address: 'jane@example.org',
  grant_id: 'grant-1',
  state: 'active',
  signed_in_at: 1,
  secrets: grantSecrets({ refresh_token: 'CANARY-refresh', access_token: 'CANARY-access' }),
};
const sealed = seal(record, key, randomBytes(NONCE_BYTES));

const codeOf = (work: () => unknown): string | undefined => {
  try {
    work();
    return undefined;
  } catch (error) {
    assert.ok(error instanceof CmsError, String(error));
    assert.doesNotMatch(JSON.stringify(error), /CANARY/);
    return error.code;
  }
};

describe('a sealed file', () => {
  it('gives back what was sealed, whatever that was', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.dictionary(fc.string(), fc.string()), (text, more) => {
        const each = {
          ...record,
          identity: text,
          secrets: { ...record.secrets, ...more, ...grantSecrets({ password: text }) },
        };
        const whole = seal(each, key, randomBytes(NONCE_BYTES));
        const again = unseal(whole, key, 'x');
        assert.deepEqual(revealed(again), JSON.parse(JSON.stringify(revealed(each))));
        const { secrets: _, ...header } = again;
        assert.deepEqual(unsealedHeader(whole, 'x'), header);
      }),
      { numRuns: 50 },
    );
  });

  it('shows its state without the key, and no secret', () => {
    assert.deepEqual(unsealedHeader(sealed, 'x'), {
      address: 'jane@example.org',
      grant_id: 'grant-1',
      state: 'active',
      signed_in_at: 1,
    });
    const text =
      Buffer.from(sealed).toString('latin1') +
      Buffer.from((JSON.parse(sealed) as { sealed: string }).sealed, 'base64').toString('latin1');
    assert.doesNotMatch(text, /CANARY/);
    assert.ok(!sealed.includes(Buffer.from('CANARY').toString('base64').slice(0, 7)));
  });

  it('is refused when any byte is another', () => {
    const bytes = Buffer.from(sealed);
    for (let at = 0; at < bytes.length; at++) {
      for (const change of [0x01, 0x20, 0x80]) {
        const changed = Buffer.from(bytes);
        changed[at] = changed[at]! ^ change;
        const code = codeOf(() => unseal(changed.toString('utf8'), key, 'x'));
        assert.ok(
          code === 'data_invalid' || code === 'store_unavailable' || code === 'config_invalid',
          `byte ${at}: ${code}`,
        );
      }
    }
  });

  it('is refused when it is cut short anywhere, or has more than it should', () => {
    for (let at = 0; at < sealed.length; at++) {
      const cut = sealed.slice(0, at);
      assert.equal(
        codeOf(() => unseal(cut, key, 'x')),
        'data_invalid',
      );
      // Nothing is missing but the end of the line.
      if (at === sealed.length - 1) continue;
      assert.equal(
        codeOf(() => unsealedHeader(cut, 'x')),
        'data_invalid',
      );
    }
    for (const more of ['\n', ' ', sealed])
      assert.equal(
        codeOf(() => unseal(sealed + more, key, 'x')),
        'data_invalid',
      );
  });

  it('is refused with parts of another', () => {
    const other = seal({ ...record, address: 'eve@example.org' }, key, randomBytes(NONCE_BYTES));
    const [ours, theirs] = [sealed, other].map((text) => JSON.parse(text) as Record<string, unknown>);
    for (const part of ['header', 'nonce', 'sealed']) {
      const mixed = `${JSON.stringify({ ...ours, [part]: theirs![part] })}\n`;
      assert.equal(
        codeOf(() => unseal(mixed, key, 'x')),
        'data_invalid',
        part,
      );
    }
  });

  it('tells another key from a damaged file', () => {
    assert.equal(
      codeOf(() => unseal(sealed, { ...key, id: 'key-2' }, 'x')),
      'store_unavailable',
    );
    assert.equal(
      codeOf(() => unseal(sealed, { ...key, key: new Secret(randomBytes(32)) }, 'x')),
      'data_invalid',
    );
  });

  it('of a newer version is left to a newer cms', () => {
    const newer = sealed.replace('"version":1', '"version":2');
    assert.equal(
      codeOf(() => unseal(newer, key, 'x')),
      'config_invalid',
    );
    for (const text of ['null', '[]', '"x"', '{}', '{"version":1}', ''])
      assert.equal(
        codeOf(() => unsealedHeader(text, 'x')),
        'data_invalid',
      );
  });
});
