import assert from 'node:assert/strict';
import type { Account } from '../../../src/lib/accounts/account.ts';
import type { ExplanationClass } from '../../../src/lib/explain/entry.ts';
import { explain } from '../../../src/lib/explain/explain.ts';
import { type ProtocolTest, protocolsToTest, tokenWarning } from '../../../src/lib/account-test/account-test.ts';
import { testMessage } from '../../../src/lib/account-test/message.ts';
import { exitStatusOf } from '../../../src/lib/account-test/verdict.ts';
import { Secret } from '../../../src/lib/core/secret.ts';

const server = { host: 'mail.example.org', port: 465, tls: 'implicit' } as const;
const account: Account = {
  kind: 'password',
  address: 'jane@example.org',
  provider: 'custom',
  login: 'jane@example.org',
  smtp_user: 'jane@example.org',
  imap_user: 'jane@example.org',
  aliases: [],
  protocols: ['smtp', 'imap'],
  servers: { smtp: server },
  created_at: '2026-01-01T00:00:00.000Z',
};

function failed(kind: ExplanationClass): ProtocolTest {
  const explanation = { ...explain({ source: 'smtp', text: '?' }), class: kind };
  return { protocol: 'smtp', ...server, steps: [], ok: false, explanation };
}

describe('what an account test comes to', () => {
  it('is the gravest of what failed', () => {
    const fine: ProtocolTest = { protocol: 'imap', ...server, steps: [], ok: true };
    assert.equal(exitStatusOf([fine]), 0);
    assert.equal(exitStatusOf([fine, failed('back off')]), 75);
    assert.equal(exitStatusOf([failed('transient'), failed('client configuration')]), 78);
    assert.equal(exitStatusOf([failed('client configuration'), failed('administrator')]), 77);
    assert.equal(exitStatusOf([failed('unknown')]), 77);
  });

  it('leaves out what has no server, but not when it was asked for by name', () => {
    assert.deepEqual(protocolsToTest(account, undefined), ['smtp']);
    assert.throws(() => protocolsToTest(account, ['smtp', 'imap']), /no IMAP server is known/);
    assert.throws(() => protocolsToTest({ ...account, servers: {} }, undefined), /no SMTP server is known/);
  });

  it('warns of a token that exim could not send, by the user name as well', () => {
    const warns = (length: number, user: string) =>
      tokenWarning({ ...account, smtp_user: user }, { accessToken: new Secret('t'.repeat(length)) })?.id;
    // Measured with exim 4.96: 20 + user + token may be 3069 at most.
    assert.equal(warns(3000, 'u'.repeat(49)), undefined);
    assert.equal(warns(3000, 'u'.repeat(50)), 'token-too-long');
    assert.equal(warns(3001, 'u'), 'token-too-long');
    assert.equal(tokenWarning(account, { password: new Secret('p'.repeat(5000)) }), undefined);
  });

  it('is sent as a mail that no vacation program answers', () => {
    const { raw, from, to } = testMessage({ address: 'jane@example.org', messageId: 'x@example.org', now: 0 });
    assert.deepEqual([from, to], ['jane@example.org', 'jane@example.org']);
    assert.match(raw, /^Date: Thu, 01 Jan 1970 00:00:00 \+0000\r\nMessage-ID: <x@example\.org>\r\nAuto-Submitted: /m);
  });
});
