import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Account } from '../../../../src/lib/accounts/account.ts';
import { lookupKeys, renderSmartHost, smartHostsOf } from '../../../../src/lib/exim/smart-hosts/smart-hosts.ts';
import {
  entryFor,
  fieldsOf,
  parseEntries,
  renderBlock,
} from '../../../../src/lib/exim/smart-hosts/smart-hosts-file.ts';
import { IMPLICIT, oauthAccount, passwordAccount, STARTTLS } from '../fixtures.ts';

const socket = '/run/cms/jane/exim.sock';

function rendered(accounts: Account[], defaultAddress?: string): string[] {
  const { lines } = smartHostsOf(accounts, { socket, ...(defaultAddress !== undefined && { defaultAddress }) });
  return lines.map(renderSmartHost);
}

describe('lines of the smart-hosts file', () => {
  it('name server, user and socket', () => {
    assert.deepEqual(rendered([oauthAccount('jane@example.org')]), [
      'jane@example.org: host=smtp.example.org::587 user=jane@example.org oauth=/run/cms/jane/exim.sock',
    ]);
  });

  it('say implicit TLS, and app passwords', () => {
    assert.deepEqual(rendered([passwordAccount('bob@example.net', { servers: { smtp: IMPLICIT } })]), [
      'bob@example.net: host=mail.example.net::465 tls=implicit user=bob@example.net ' +
        'oauth=/run/cms/jane/exim.sock auth=password',
    ]);
  });

  it('tell the login from the account where they differ', () => {
    const [line = ''] = rendered([oauthAccount('office@example.org', { smtp_user: 'jane@example.org' })]);
    assert.match(line, / user=jane@example\.org account=office@example\.org /);
  });

  it('are there for each alias, a domain alias under the bare domain', () => {
    const lines = rendered([oauthAccount('jane@example.org', { aliases: ['j@example.org', '@alias.example'] })]);
    assert.deepEqual(
      lines.map((line) => line.split(':')[0]),
      ['jane@example.org', 'j@example.org', 'alias.example'],
    );
    assert.ok(lines.every((line) => line.includes('user=jane@example.org')));
  });

  it('end with * for the default account, which an alias may name', () => {
    const accounts = [
      oauthAccount('jane@example.org', { aliases: ['@alias.example'] }),
      oauthAccount('bob@example.org'),
    ];
    assert.match(rendered(accounts, 'Bob@Example.org').at(-1) ?? '', /^\*: .* user=bob@example\.org /);
    assert.match(rendered(accounts, 'any@alias.example').at(-1) ?? '', /^\*: .* user=jane@example\.org /);
  });

  it('refuse a default that is no account, or that cannot send', () => {
    const mute = oauthAccount('mute@example.org', { protocols: ['imap'] });
    assert.throws(() => rendered([mute], 'nobody@example.org'), { code: 'account_unknown' });
    assert.throws(() => rendered([mute], 'mute@example.org'), { code: 'config_invalid' });
  });

  it('leave out accounts that cannot send, with a remark', () => {
    const accounts = [
      oauthAccount('a@example.org', { protocols: ['imap'] }),
      oauthAccount('b@example.org', { servers: {} }),
      oauthAccount('c@example.org'),
    ];
    const { lines, remarks } = smartHostsOf(accounts, { socket });
    assert.deepEqual(
      lines.map(({ key }) => key),
      ['c@example.org'],
    );
    assert.match(remarks[0] ?? '', /^a@example\.org is left out: it is not for sending/);
    assert.match(remarks[1] ?? '', /^b@example\.org is left out: it has no SMTP server/);
  });

  it('keep an address with its own account when another claims it as alias', () => {
    const accounts = [oauthAccount('a@example.org', { aliases: ['b@example.org'] }), oauthAccount('b@example.org')];
    const { lines, remarks } = smartHostsOf(accounts, { socket });
    assert.equal(lines.find(({ key }) => key === 'b@example.org')?.account, 'b@example.org');
    assert.deepEqual(remarks, ['b@example.org is left to b@example.org, not given to a@example.org']);
  });

  for (const path of [
    'inet:host:25',
    'run/sock',
    '/run/a b',
    '/run/a\nb',
    '/run/$x',
    '/a:b',
    '/',
    `/${'a'.repeat(107)}`,
  ]) {
    it(`refuse the socket ${JSON.stringify(path.slice(0, 20))}`, () => {
      assert.throws(() => smartHostsOf([], { socket: path }), { code: 'config_invalid' });
    });
  }

  const hostile = [
    'a\nbank.com: host=evil',
    'a b',
    ' a',
    '*',
    'a:b',
    '#a',
    'a"b',
    'a\\b',
    '${run{/bin/true}}',
    'a;b',
    'a{b',
    'a}b',
    'a,b',
    'a\0b',
    'a\x7f',
    'a\r',
    'ä',
    'a\u2028b',
  ];
  for (const text of hostile) {
    it(`refuse ${JSON.stringify(text)} in every field`, () => {
      const line = {
        key: 'a@example.org',
        server: STARTTLS,
        user: 'a@example.org',
        account: 'b@example.org',
        oauth: socket,
      };
      const fields = [
        { key: `${text}@example.org` },
        { user: `${text}@example.org` },
        { user: text },
        { account: `${text}@example.org` },
        { server: { ...STARTTLS, host: text === 'ä' ? 'a/b' : text } },
        { oauth: `/${text}` },
      ];
      for (const field of fields) assert.throws(() => renderSmartHost({ ...line, ...field }), { name: 'CmsError' });
    });
  }

  it('refuse a port that is none', () => {
    const line = { key: '*', user: 'a', account: 'b@example.org', oauth: socket };
    for (const port of [0, -1, 65536, 1.5, NaN]) {
      assert.throws(() => renderSmartHost({ ...line, server: { ...STARTTLS, port } }), { code: 'data_invalid' });
    }
  });

  it('are read back as they were meant, whatever the addresses', () => {
    const atom = fc.stringMatching(/^[a-z0-9!%&'+/=?^_`|~-]{1,20}$/);
    fc.assert(
      fc.property(atom, atom, (local, user) => {
        const address = `${local}@example.org`;
        const block = renderBlock('jane', smartHostsOf([oauthAccount(address, { smtp_user: user })], { socket }).lines);
        const entry = entryFor(parseEntries(block), address);
        assert.ok(entry);
        assert.deepEqual(Object.fromEntries(fieldsOf(entry)), {
          host: 'smtp.example.org::587',
          user,
          account: address,
          oauth: socket,
        });
      }),
    );
  });

  it('are looked up by address, then domain, then *', () => {
    assert.deepEqual(lookupKeys('Jane@Example.org'), ['jane@example.org', 'example.org', '*']);
    assert.deepEqual(lookupKeys('Bob+a+b@Example.org'), ['bob+a+b@example.org', 'bob@example.org', 'example.org', '*']);
    assert.deepEqual(lookupKeys(''), ['*']);
  });
});
