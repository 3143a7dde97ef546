import assert from 'node:assert/strict';
import type { Account } from '../../../../src/lib/accounts/account.ts';
import type { Address } from '../../../../src/lib/accounts/address.ts';
import {
  mayAdminister,
  mayConnect,
  requirePermission,
  type SocketPolicy,
} from '../../../../src/lib/broker/server/policy.ts';
import type { TokenLine } from '../../../../src/lib/broker/wire.ts';

const OWN = 1000;
const peer = (uid: number) => ({ pid: 1, uid, gid: uid });
const open: SocketPolicy = { path: '/run/x.sock', mode: 0o660, passwords: false, private: false };
const own: SocketPolicy = { ...open, mode: 0o600, passwords: true, private: true };

describe('the policy of a socket', () => {
  it('lets only the owner and root into the private socket', () => {
    assert.deepEqual(
      [OWN, 0, 1001].map((uid) => mayConnect(own, peer(uid), OWN)),
      [true, true, false],
    );
  });
  it('lets in whom the mode lets in where no users are named, and only the named ones otherwise', () => {
    assert.equal(mayConnect(open, peer(105), OWN), true);
    assert.equal(mayConnect({ ...open, uids: [105] }, peer(105), OWN), true);
    assert.equal(mayConnect({ ...open, uids: [105] }, peer(106), OWN), false);
    assert.equal(mayConnect({ ...open, uids: [105] }, undefined, OWN), false);
  });
  it('keeps administration to the private socket', () => {
    assert.equal(mayAdminister(own, peer(OWN), OWN), true);
    assert.equal(mayAdminister(open, peer(OWN), OWN), false);
    assert.equal(mayAdminister(own, peer(1001), OWN), false);
  });

  const account = { address: 'jane@example.org', protocols: ['smtp'] } as unknown as Account;
  const line: TokenLine = { kind: 'token', protocol: 'smtp', address: 'jane@example.org' as Address, form: 'xoauth2' };
  it('hands out what nothing forbids', () => assert.doesNotThrow(() => requirePermission(open, line, account)));
  it('keeps to its accounts, its protocols and its word about passwords', () => {
    const denied = { code: 'access_denied' };
    assert.throws(() => requirePermission({ ...open, accounts: ['bob@example.org'] }, line, account), denied);
    assert.throws(() => requirePermission({ ...open, protocols: ['imap'] }, line, account), denied);
    assert.throws(() => requirePermission(open, { ...line, form: 'password' }, account), denied);
    const byPassword = { ...account, kind: 'password' } as Account;
    assert.throws(() => requirePermission(open, { ...line, form: 'ready' }, byPassword), denied);
    assert.doesNotThrow(() => requirePermission(own, { ...line, form: 'ready' }, byPassword));
    assert.doesNotThrow(() => requirePermission(open, { ...line, form: 'ready' }, account));
    assert.throws(() => requirePermission(open, { ...line, protocol: 'imap' }, account), {
      code: 'protocol_not_granted',
    });
  });
  it('gives nothing for a foreign server, but to its owner', () => {
    const server = { host: 'smtp.example.org', port: 587, tls: 'starttls' as const };
    const sending: Account = { ...account, servers: { smtp: server } };
    const named = (host: string) => ({ hosts: [host], ports: ['587'] });
    for (const form of ['xoauth2', 'token', 'json', 'ready', 'refused'] as const) {
      const asked = { ...line, form };
      assert.doesNotThrow(() => requirePermission(open, asked, sending, named('smtp.example.org')));
      assert.throws(() => requirePermission(open, asked, sending, named('smtp.evil.example')), {
        code: 'access_denied',
        message: /is not given for "smtp\.evil\.example:587", which is not its SMTP server \(smtp\.example\.org:587\)/,
      });
      assert.doesNotThrow(() => requirePermission(own, asked, sending, named('smtp.evil.example')));
    }
    assert.throws(() => requirePermission(open, line, { ...account, servers: {} }, named('smtp.example.org')));
  });
});
