import assert from 'node:assert/strict';
import { domainToASCII } from 'node:url';
import fc from 'fast-check';
import { CmsError } from '../../../src/lib/core/errors.ts';
import {
  parseAddress,
  parseAlias,
  parseDomain,
  parseLoginName,
  printable,
  tryParseAddress,
} from '../../../src/lib/accounts/address.ts';

describe('an address', () => {
  it('has the domain that the URL standard makes of it, however plain it is', () => {
    const label = fc.stringMatching(/^[a-zA-Z0-9_-]{1,8}$/);
    const last = fc.oneof(label, fc.constantFrom('org', '0x7f', '127', 'xn--p1ai', 'XN--p1ai', '1a'));
    fc.assert(
      fc.property(fc.array(label, { maxLength: 3 }), last, (labels, end) => {
        const domain = [...labels, end].join('.');
        const expected = tryParseAddress(`a@${domainToASCII(domain)}`);
        assert.equal(tryParseAddress(`a@${domain}`), expected);
      }),
      { numRuns: 2000 },
    );
  });

  for (const [text, expected] of [
    ['Jane.Doe@Example.ORG', 'jane.doe@example.org'],
    ['jane+list@example.org', 'jane+list@example.org'],
    ["o'neil!%&=?^_`|~-/@x.org", "o'neil!%&=?^_`|~-/@x.org"],
    ['jane@bücher.example', 'jane@xn--bcher-kva.example'],
    ['jane@BÜCHER.example', 'jane@xn--bcher-kva.example'],
    ['root@localhost', 'root@localhost'],
  ] as const) {
    it(`${text} becomes ${expected}`, () => {
      assert.equal(parseAddress(text), expected);
      assert.equal(parseAddress(expected), expected, 'and stays so');
    });
  }

  for (const text of [
    '',
    '@',
    'jane',
    'jane@',
    '@example.org',
    'a@b@c.org',
    '.a@x.org',
    'a..b@x.org',
    'a.@x.org',
    'a b@x.org',
    'a@x org',
    ' a@x.org',
    'a@x.org ',
    'a@x.org\n',
    'a\0@x.org',
    'a\x7f@x.org',
    '"a"@x.org',
    'a\\b@x.org',
    ...['$', '{', '}', ':', ';', '#', '*', ','].map((character) => `a${character}b@x.org`),
    'ü@x.org',
    '\u212a@x.org',
    'a@-x.org',
    'a@x-.org',
    'a@x..org',
    'a@.org',
    'a@x.org.',
    'a@[127.0.0.1]',
    'a@x.org:25',
    'a@x%2eorg',
    'a@x\u2028.org',
    `${'a'.repeat(65)}@x.org`,
    `a@${'x'.repeat(64)}.org`,
    `a@${'x.'.repeat(127)}org`,
  ]) {
    it(`${JSON.stringify(text.slice(0, 30))} is refused`, () => {
      assert.throws(() => parseAddress(text), { code: 'data_invalid' });
      assert.equal(tryParseAddress(text), undefined);
    });
  }

  it('never holds a character that means something to exim, and is stable', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.emailAddress()), (text) => {
        const address = tryParseAddress(text);
        if (address === undefined) return;
        assert.doesNotMatch(address, /[^\x21-\x7e]|[A-Z"\\${}:;#*,]/);
        assert.ok(address.length <= 320);
        assert.equal(parseAddress(address), address);
      }),
    );
  });

  it('that is refused stands in the message in printable ASCII only', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        assert.match(printable(text), /^"[\x20-\x7e\u2026]*"$/);
        try {
          parseAddress(text);
        } catch (error) {
          assert.ok(error instanceof CmsError);
          assert.match(error.message, /^[\x20-\x7e\u2026]+$/);
        }
      }),
    );
  });
});

describe('other names', () => {
  it('an alias is an address or a whole domain', () => {
    assert.equal(parseAlias('@Example.org'), '@example.org');
    assert.equal(parseAlias('Info@Example.org'), 'info@example.org');
    for (const text of ['@', '@a b', '*@x.org', 'x.org', '@x.org,y.org'])
      assert.throws(() => parseAlias(text), { code: 'data_invalid' });
  });

  it('a login is an address or a bare name', () => {
    assert.equal(parseLoginName('Jane@X.org'), 'jane@x.org');
    assert.equal(parseLoginName('Jane'), 'Jane');
    for (const text of ['', 'a b', '$x', 'a:b', 'DOMAIN\\jane', '@x.org'])
      assert.throws(() => parseLoginName(text), { code: 'data_invalid' });
  });

  it('a domain is a host name, nothing else', () => {
    assert.equal(parseDomain('Mail.Example.org'), 'mail.example.org');
    for (const text of ['', 'a b', 'a/b', 'a:1', 'http://a', '[::1]', 'a@b', '..', 'a?b'])
      assert.throws(() => parseDomain(text), { code: 'data_invalid' });
  });
});
