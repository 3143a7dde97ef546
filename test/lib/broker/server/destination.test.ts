import assert from 'node:assert/strict';
import type { Account } from '../../../../src/lib/accounts/account.ts';
import { canonicalHost, destinationOf, requireOwnServer } from '../../../../src/lib/broker/server/destination.ts';

describe('the server that a request names', () => {
  const account = {
    address: 'jane@example.org',
    servers: {
      smtp: { host: 'smtp.bücher.example', port: 587, tls: 'starttls' },
      imap: { host: '::1', port: 993, tls: 'implicit' },
    },
  } as unknown as Account;
  const given = (options: string, protocol: 'smtp' | 'imap' | 'pop' = 'smtp'): boolean => {
    try {
      requireOwnServer(destinationOf(`SMTP${options} jane@example.org`), account, protocol);
      return true;
    } catch (error) {
      assert.equal((error as { code?: string }).code, 'access_denied');
      return false;
    }
  };

  for (const options of [
    '',
    ',token',
    ',host=smtp.xn--bcher-kva.example',
    ',host=SMTP.XN--Bcher-KVA.Example.,port=587',
    ',host=smtp.bücher.example',
    ',host=smtp.BÜCHER.example.',
    ',port=587',
    ',port=0587',
    ',host=smtp.bücher.example,host=smtp.xn--bcher-kva.example',
    ',hostess=evil.example',
  ]) {
    it(`is the account's own in ${JSON.stringify(options)}`, () => assert.equal(given(options), true));
  }

  for (const options of [
    ',host=evil.example',
    ',host=smtp.xn--bcher-kva.example.evil.example',
    ',host=xn--bcher-kva.example',
    ',host=smtp.xn--bcher-kva.example,port=588',
    ',host=smtp.xn--bcher-kva.example,port=',
    ',host=smtp.xn--bcher-kva.example,port=587x',
    ',host=smtp.xn--bcher-kva.example,port=-587',
    ',port=25',
    ',host=',
    ',host',
    ',HOST=evil.example',
    ',host=evil_host.example',
    ',host=evil/x',
    ',host=smtp.xn--bcher-kva.example..',
    ',host=smtp.b%C3%BCcher.example',
    ',host=ｓmtp.bücher.example',
    ',host=smtp。bücher。example',
    ',host=smtp.xn--bcher-kva.example,host=evil.example',
    ',host=evil.example,host=smtp.xn--bcher-kva.example',
    ',host=::1',
  ]) {
    it(`is another one in ${JSON.stringify(options)}`, () => assert.equal(given(options), false));
  }

  it('is that of the protocol', () => {
    assert.equal(given(',host=[0:0:0:0:0:0:0:1],port=993', 'imap'), true);
    assert.equal(given(',host=::1', 'imap'), true);
    assert.equal(given(',host=smtp.bücher.example', 'imap'), false);
    assert.equal(given(',host=smtp.bücher.example', 'pop'), false);
    assert.equal(given('', 'pop'), true);
  });

  it('has one form', () => {
    assert.equal(canonicalHost('127.0.0.1'), '127.0.0.1');
    assert.equal(canonicalHost('[::ffff:127.0.0.1]'), canonicalHost('::ffff:7f00:1'));
    assert.equal(canonicalHost('a:b:c::x'), undefined);
    assert.equal(canonicalHost('\u212a.example'), undefined, 'the sign for kelvin');
  });
});
