import assert from 'node:assert/strict';
import type { Account } from '../../../src/lib/accounts/account.ts';
import { explainFailure } from '../../../src/lib/account-test/login.ts';

const ACCOUNT: Account = {
  kind: 'oauth',
  address: 'jane@example.org',
  provider: 'custom',
  login: 'jane@example.org',
  smtp_user: 'jane@example.org',
  imap_user: 'jane@example.org',
  aliases: [],
  protocols: ['smtp', 'imap'],
  servers: { smtp: { host: 'smtp.example.org', port: 587, tls: 'starttls' } },
  created_at: '2026-01-01T00:00:00Z',
  client: {
    client_id: 'mailer',
    token_endpoint: 'https://login.example.org/token',
    token_endpoint_auth_method: 'none',
    scope: 'openid offline_access mail.imap',
    authorization_params: {},
    redirect: { host: '127.0.0.1', path: '/' },
  },
};

const refused = (protocol: 'smtp' | 'imap', challenge: object, granted?: string) => {
  const code = protocol === 'smtp' ? '535 5.7.8' : 'AUTHENTICATIONFAILED';
  const words = protocol === 'smtp' ? '535 5.7.8 Authentication failed' : 'NO [AUTHENTICATIONFAILED] no';
  const reply = `${words} ${JSON.stringify(challenge)}`;
  return explainFailure(ACCOUNT, protocol, { ok: false, kind: 'refused', detail: reply, reply, code }, granted);
};

describe('a refusal that names a scope', () => {
  for (const protocol of ['smtp', 'imap'] as const) {
    it(`of ${protocol} is explained by it where the token lacks it, with the command that asks for it`, () => {
      for (const status of ['401', '400', 'invalid_token', 'insufficient_scope']) {
        const { id, sentence, fix } = refused(protocol, { status, schemes: 'bearer', scope: 'mail.smtp' });
        assert.equal(id, 'scope-missing');
        assert.match(sentence, /lacks the scope that the server requires \(mail\.smtp\)$/);
        assert.match(
          fix[0] ?? '',
          /^cms account add jane@example\.org --scope "openid offline_access mail\.imap mail\.smtp" /,
        );
      }
    });

    it(`of ${protocol} is another one where the token has it`, () => {
      for (const scope of ['mail.imap', 'MAIL.IMAP', 'mail.imap/', 'openid  mail.imap', '', '"; rm -rf /'])
        assert.notEqual(refused(protocol, { status: '401', scope }).id, 'scope-missing', scope);
      assert.notEqual(
        refused(protocol, { status: '401', scope: 'mail.smtp' }, 'mail.smtp mail.imap').id,
        'scope-missing',
      );
      assert.notEqual(refused(protocol, { status: '401', scope: 7 }).id, 'scope-missing');
    });
  }

  it('is not that of Google at another provider: its challenge is copied', () => {
    assert.notEqual(refused('smtp', { status: '401', scope: 'https://mail.google.com/' }).id, 'scope-missing');
  });

  it('goes by what was granted, not by what was asked for', () => {
    assert.equal(refused('smtp', { status: '401', scope: 'mail.imap' }, 'openid').id, 'scope-missing');
    const { sentence } = refused('smtp', { status: '401', scope: 'mail.imap mail.smtp mail.pop' }, 'mail.smtp');
    assert.match(sentence, /\(mail\.imap mail\.pop\)/);
  });
});
