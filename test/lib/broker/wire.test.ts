import assert from 'node:assert/strict';
import fc from 'fast-check';
import { tryParseAddress, type Address } from '../../../src/lib/accounts/address.ts';
import {
  formatRequest,
  parseRequest,
  reasonLine,
  renderFailure,
  renderPassword,
  renderToken,
  type TokenLine,
} from '../../../src/lib/broker/wire.ts';
import { CmsError } from '../../../src/lib/core/errors.ts';
import { Secret } from '../../../src/lib/core/secret.ts';

const JANE = 'jane@example.org' as Address;
const line = (more: Partial<TokenLine> = {}): TokenLine => ({
  kind: 'token',
  protocol: 'smtp',
  address: JANE,
  form: 'xoauth2',
  ...more,
});

describe('the request grammar', () => {
  const understood: [string, TokenLine][] = [
    ['SMTP jane@example.org', line()],
    ['IMAP jane@example.org', line({ protocol: 'imap' })],
    ['POP jane@example.org', line({ protocol: 'pop' })],
    ['SMTP Jane@Example.ORG', line()],
    ['SMTP,token jane@example.org', line({ form: 'token' })],
    ['SMTP,token,xoauth2-b64 jane@example.org', line({ form: 'xoauth2-b64' })],
    ['SMTP,json,minvalid=900,wait=7 jane@example.org', line({ form: 'json', minValiditySeconds: 900, waitSeconds: 7 })],
    [
      'SMTP,oauthbearer,host=h.example,port=587 jane@example.org',
      line({ form: 'oauthbearer', host: 'h.example', port: 587 }),
    ],
    ['SMTP,whatever,x=1 jane@example.org', line()],
    ['SMTP,wait=99 jane@example.org', line({ waitSeconds: 20 })],
    ['SMTP,minvalid=-1,wait=1.5,port=99999,host=a/b jane@example.org', line()],
    ['SMTP,minvalid=,wait jane@example.org', line()],
  ];
  for (const [text, expected] of understood) {
    it(`understands ${text}`, () => assert.deepEqual(parseRequest(text), expected));
  }

  const strange = [
    '',
    ' ',
    'SMTP',
    'SMTP ',
    'smtp jane@example.org',
    'SMTP  jane@example.org',
    'SMTP jane@example.org ',
    ' SMTP jane@example.org',
    'SMTP jane@example.org x',
    'SMTP\tjane@example.org',
    'SMTP jane',
    'SMTP jane@example.org\r',
    'SMTP jane@example.org\x00',
    'SMTP ja$ne@example.org',
    'SMTPS jane@example.org',
    'constructor jane@example.org',
    'STATUS x',
    'status',
    'REFRESH',
    'REFRESH,now jane@example.org',
    'GET / HTTP/1.1',
  ];
  for (const text of strange) {
    it(`has no ${JSON.stringify(text)}`, () => assert.equal(parseRequest(text), undefined));
  }

  it('parses what it formats', () => {
    const requests = fc.record(
      {
        protocol: fc.constantFrom('smtp' as const, 'imap' as const, 'pop' as const),
        form: fc.constantFrom(
          'xoauth2' as const,
          'token' as const,
          'json' as const,
          'ready' as const,
          'password' as const,
        ),
        minValiditySeconds: fc.nat(999_999),
        waitSeconds: fc.nat(20),
        host: fc.domain(),
        port: fc.nat(65_535),
        address: fc
          .emailAddress()
          .map(tryParseAddress)
          .filter((address) => address !== undefined),
      },
      { requiredKeys: ['protocol', 'form', 'address'] },
    );
    fc.assert(
      fc.property(requests, (request) => {
        assert.deepEqual(parseRequest(formatRequest({ kind: 'token', ...request })), { kind: 'token', ...request });
      }),
    );
  });

  it('never throws, whatever comes', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.string({ unit: 'binary' })), (text) => {
        parseRequest(text);
        parseRequest(`SMTP,${text} jane@example.org`);
        parseRequest(`SMTP ${text}`);
      }),
    );
  });
});

describe('the answer', () => {
  const answer = {
    user: 'jane@example.org',
    access_token: new Secret('ya29.a-b_c~d+e/f=='),
    expires_at: 1_700_000_000_999,
  };
  it('is the plain XOAUTH2 string without a newline by default', () => {
    assert.equal(renderToken(line(), answer), 'user=jane@example.org\x01auth=Bearer ya29.a-b_c~d+e/f==\x01\x01');
  });
  it('is JSON with seconds', () => {
    assert.deepEqual(JSON.parse(renderToken(line({ form: 'json' }), answer)), {
      access_token: 'ya29.a-b_c~d+e/f==',
      token_type: 'Bearer',
      expires_at: 1_700_000_000,
      user: 'jane@example.org',
    });
  });
  it('is nothing to ready and refused', () => {
    assert.equal(renderToken(line({ form: 'ready' }), answer), '');
    assert.equal(renderToken(line({ form: 'refused' }), answer), '');
  });
  for (const token of ['a b', 'a\nb', 'a\x01b', 'a^b', '', 'tökén', '='.repeat(4), 'x'.repeat(3001)]) {
    it(`is refused for the token ${JSON.stringify(token.slice(0, 10))} of ${token.length} characters`, () => {
      assert.throws(() => renderToken(line({ form: 'token' }), { ...answer, access_token: new Secret(token) }), {
        code: 'protocol_error',
      });
    });
  }
  it('is empty for a failure, but for json and ready', () => {
    const failure = new CmsError('store_locked', 'the keyring is locked', { suggestions: ['cms unlock   # asks you'] });
    assert.equal(renderFailure('xoauth2', failure), '');
    assert.equal(renderFailure('password', failure), '');
    const json = JSON.parse(renderFailure('json', failure)) as Record<string, unknown>;
    assert.equal(json.error, 'store_locked');
    assert.equal(json.retryable, true);
    assert.equal(renderFailure('ready', failure), 'store locked: the keyring is locked; run cms unlock');
  });
  it('keeps a reason to one line of printable ASCII', () => {
    const reason = reasonLine(new CmsError('temporarily_unavailable', `ein Übel\r\n${'x'.repeat(500)}`));
    assert.match(reason, /^[\x20-\x7e]{1,300}$/);
  });
  it('does not send a password that would end a line', () => {
    assert.equal(renderPassword(new Secret('abcd efgh')), 'abcd efgh');
    assert.equal(renderPassword(new Secret('abcd\nefgh')), '');
    assert.equal(renderPassword(new Secret('')), '');
  });
});
