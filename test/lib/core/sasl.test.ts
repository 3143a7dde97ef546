import assert from 'node:assert/strict';
import fc from 'fast-check';
import { CmsError } from '../../../src/lib/core/errors.ts';
import { base64, isBearerToken, oauthbearer, xoauth2 } from '../../../src/lib/core/sasl.ts';
import { parseOauthbearer, parseXoauth2 } from '../../support/sasl.ts';

const B64TOKEN = 'A B C x y z 0 1 9 - . _ ~ + /'.split(' ');
const token = fc
  .tuple(fc.array(fc.constantFrom(...B64TOKEN), { minLength: 1, maxLength: 80 }), fc.constantFrom('', '=', '=='))
  .map(([characters, padding]) => characters.join('') + padding);
const user = fc
  .array(fc.constantFrom(...'a b c X Y Z 0 9 @ . , = + - _ % / !'.split(' ')), { minLength: 1, maxLength: 40 })
  .map((characters) => characters.join(''));

describe('the XOAUTH2 string', () => {
  it('is that of the published example', () => {
    const text = xoauth2('someuser@example.com', 'ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg');
    assert.equal(
      base64(text),
      'dXNlcj1zb21ldXNlckBleGFtcGxlLmNvbQFhdXRoPUJlYXJlciB5YTI5LnZGOWRmdDRxbVRjMk52YjNSbGNrQmhkSFJoZG1semRHRXVZMjl0Q2cBAQ==',
    );
  });

  it('reads back as what it was made from', () => {
    fc.assert(
      fc.property(user, token, (name, bearer) => {
        const text = xoauth2(name, bearer);
        assert.deepEqual(parseXoauth2(text), { user: name, token: bearer });
        assert.match(text, /^user=[^\x00-\x20\x7f]+\x01auth=Bearer [A-Za-z0-9\-._~+/]+=*\x01\x01$/);
      }),
    );
  });

  it('is exact or is not made at all, whatever comes in', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (name, bearer) => {
        try {
          assert.match(xoauth2(name, bearer), /^user=[^\x00-\x20\x7f]+\x01auth=Bearer [A-Za-z0-9\-._~+/]+=*\x01\x01$/);
        } catch (error) {
          assert.ok(error instanceof CmsError);
          assert.equal(error.code, 'protocol_error');
        }
      }),
    );
  });

  it('is not parsed from anything else', () => {
    const text = xoauth2('a@b.c', 'token');
    for (const wrong of [
      '',
      text.slice(0, -1),
      `${text}\x01`,
      text.replace('user=', 'usr='),
      text.replace('Bearer', 'MAC'),
    ])
      assert.equal(parseXoauth2(wrong), undefined, JSON.stringify(wrong));
  });
});

describe('the OAUTHBEARER string', () => {
  it('is that of RFC 7628 section 4.1', () => {
    const text = oauthbearer('user@example.com', 'vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==', {
      host: 'server.example.com',
      port: 143,
    });
    assert.equal(
      base64(text),
      'bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29tAXBvcnQ9MTQzAWF1dGg9QmVhcmVyIHZGOWRmdDRxbVRjMk52YjNSbGNrQmhiSFJoZG1semRHRXVZMjl0Q2c9PQEB',
    );
  });

  it('is that of RFC 7628 section 4.3, without host and port', () => {
    const text = oauthbearer('user@example.com', 'vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==');
    assert.equal(text, 'n,a=user@example.com,\x01auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\x01\x01');
  });

  it('escapes comma and equals sign of the user, in that order and back', () => {
    assert.match(oauthbearer('a=2C,b@c', 't'), /^n,a=a=3D2C=2Cb@c,\x01/);
    const target = fc.record(
      { host: fc.constantFrom('a.example', '127.0.0.1'), port: fc.integer({ min: 1, max: 65_535 }) },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(user, token, target, (name, bearer, place) => {
        assert.deepEqual(parseOauthbearer(oauthbearer(name, bearer, place)), { user: name, token: bearer, ...place });
      }),
    );
  });
});

describe('what may stand in a SASL string', () => {
  for (const bad of ['', ' ', 'a b', 'a\x01b', 'a\0', 'a\r\nb', 'a"b', 'a\\b', 'ü@x.org', 'x'.repeat(321)]) {
    it(`refuses the user ${JSON.stringify(bad.slice(0, 12))}`, () => {
      for (const make of [xoauth2, oauthbearer]) {
        assert.throws(() => make(bad, 'token'), { code: 'protocol_error' });
      }
    });
  }

  for (const bad of ['', '^', 'a^^b', 'a b', 'a=b', '==', 'a\x01', 'a\n', 'tøken', 'a,b', 'a"']) {
    it(`refuses the token ${JSON.stringify(bad)}, and does not repeat it`, () => {
      assert.equal(isBearerToken(bad), false);
      const secret = `${bad}SECRET `;
      assert.throws(
        () => xoauth2('a@b.c', secret),
        (error: CmsError) => error.code === 'protocol_error' && !error.message.includes('SECRET'),
      );
    });
  }
});
