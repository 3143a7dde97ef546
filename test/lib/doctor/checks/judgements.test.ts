import assert from 'node:assert/strict';
import type { OAuthAccount } from '../../../../src/lib/accounts/account.ts';
import { judgeBroker } from '../../../../src/lib/doctor/checks/broker.ts';
import { judgeInstalledConfig } from '../../../../src/lib/doctor/checks/exim.ts';
import { judgeFolder } from '../../../../src/lib/doctor/checks/files.ts';
import { createMask } from '../../../../src/lib/doctor/report/mask.ts';
import { judgeProbe } from '../../../../src/lib/doctor/checks/mta.ts';
import { judgeAttempts, judgeClock } from '../../../../src/lib/doctor/checks/provider.ts';
import { judgeAudience, missingScopes } from '../../../../src/lib/doctor/checks/scopes.ts';
import { judgeLinger, judgeUnits } from '../../../../src/lib/doctor/checks/service.ts';
import { renderConfig } from '../../../../src/lib/exim/render/config.ts';
import { DEFAULT_OPTIONS } from '../../../../src/lib/exim/render/options.ts';
import { harmlessLines } from '../../../../src/lib/doctor/report/surroundings.ts';

const account = (scope: string, change: object = {}): OAuthAccount =>
  ({
    address: 'jane@example.org',
    provider: 'custom',
    protocols: ['smtp', 'imap'],
    client: { scope, token_endpoint: 'https://login.microsoftonline.com/common/oauth2/v2.0/token' },
    ...change,
  }) as unknown as OAuthAccount;

const MICROSOFT =
  'https://outlook.office.com/SMTP.Send https://outlook.office.com/IMAP.AccessAsUser.All offline_access';
const jwt = (claims: object): string => `e30.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.c2ln`;

describe('what the checks make of facts', () => {
  it('a scope that is missing is told for the protocol that needs it', () => {
    const granted = 'https://outlook.office.com/smtp.send';
    assert.deepEqual(missingScopes(account(MICROSOFT), granted), [
      { scope: 'https://outlook.office.com/IMAP.AccessAsUser.All', protocols: ['imap'] },
    ]);
    assert.deepEqual(missingScopes(account(MICROSOFT), undefined), []);
    const google = account('openid email https://mail.google.com/', { provider: 'google' });
    assert.deepEqual(missingScopes(google, 'https://mail.google.com/ openid'), []);
    assert.deepEqual(missingScopes(google, 'openid')[0]?.protocols, ['smtp', 'imap']);
  });

  it("a token of Microsoft's has to be made for the mail servers", () => {
    const judge = (aud: unknown): string => judgeAudience(account(MICROSOFT), jwt({ aud })).status;
    assert.equal(judge('https://outlook.office.com'), 'ok');
    assert.equal(judge('00000002-0000-0ff1-ce00-000000000000'), 'ok');
    assert.equal(judge('00000003-0000-0000-c000-000000000000'), 'failure');
    assert.equal(judge('https://graph.microsoft.com'), 'failure');
    assert.equal(judge('api://mine'), 'warning');
    assert.equal(judgeAudience(account(MICROSOFT), 'EwB4A8l6BAAU-opaque').status, 'skipped');
    assert.ok(!JSON.stringify(judgeAudience(account(MICROSOFT), jwt({ aud: 'api://mine' }))).includes('api://mine'));
  });

  it('a family of addresses that is silent is told, one that is absent is not', () => {
    const v4 = { address: '192.0.2.1', family: 4, ms: 10 };
    const v6 = { address: '2001:db8::1', family: 6, ms: 4000 };
    const judge = (error: string, first: number) =>
      judgeAttempts([v4, { ...v6, error }], { host: 'login.example.org', first });
    assert.equal(judge('ENETUNREACH', 6).status, 'ok');
    assert.match(judge('ETIMEDOUT', 6).summary, /^IPv6 leads nowhere/);
    assert.equal(judge('ETIMEDOUT', 4).status, 'ok', 'nobody waits for what comes second');
    const alone = judgeAttempts([{ ...v4, error: 'ECONNREFUSED' }], { host: 'login.example.org', first: 4 });
    assert.equal(alone.status, 'failure');
  });

  it('a clock is judged by how far it is off, in either direction', () => {
    assert.deepEqual(
      [0, 59, -61, 299, -301, undefined].map((ahead) => judgeClock(ahead).status),
      ['ok', 'ok', 'warning', 'warning', 'failure', 'skipped'],
    );
    assert.match(judgeClock(-301).summary, /301 s behind/);
  });

  it('a broker that nobody needs may be absent', () => {
    const look = {
      answer: undefined,
      version: '1',
      privateSocket: '/s',
      sockets: [],
      start: 'a',
      restart: 'b',
      reload: 'c',
      uid: 1,
    };
    assert.equal(judgeBroker({ ...look, reliedOnBy: [] }).status, 'warning');
    assert.equal(judgeBroker({ ...look, reliedOnBy: ['exim'] }).status, 'failure');
    const status = { version: 1, broker: { pid: 7, cms: '0' }, sockets: [], accounts: [] } as never;
    assert.equal(judgeBroker({ ...look, answer: { status }, reliedOnBy: [] }).status, 'warning', 'another version');
  });

  it('folders, probes, configurations and units have their verdicts', () => {
    assert.equal(judgeFolder('/x', { uid: 1, mode: 0o770, folder: true }, 1).status, 'failure');
    assert.equal(judgeFolder('/x', { uid: 2, mode: 0o700, folder: true }, 1).who, 'root');
    assert.equal(judgeProbe('Debian-exim', '/s', 'ECONNREFUSED').status, 'failure');
    assert.equal(judgeProbe('Debian-exim', '/s', undefined).status, 'skipped');
    assert.equal(judgeInstalledConfig(undefined, 'x').status, 'failure');
    assert.equal(judgeInstalledConfig('# Made by "cms exim-config"', 'x').status, 'warning');
    const now = `${renderConfig(DEFAULT_OPTIONS)}\n`;
    assert.match(judgeInstalledConfig(now, 'x').cause ?? '', /or changed since$/);
    for (const asked of ['$r_ask $r_account', '$r_ask,refused $r_account']) {
      const old = now.replace(asked, asked.replace('$r_ask', 'SMTP'));
      assert.notEqual(old, now);
      const { status, cause, fix } = judgeInstalledConfig(old, 'x');
      assert.deepEqual([status, fix], ['warning', ['cms exim-config --install']]);
      assert.match(cause ?? '', /it asks the broker without naming the mail server/);
    }
    const facts = { units: [], state: undefined, lingering: false, stale: ['cms.socket is missing'], alone: true };
    assert.deepEqual([judgeUnits(facts).status, judgeLinger(facts, 'jane').status], ['warning', 'warning']);
  });
});

describe('the mask of a report', () => {
  const facts = {
    users: ['jdoe', 'root', 'node'],
    locals: ['jane'],
    hostNames: ['workstation7', 'debian'],
    hosts: ['example.org', 'mail.example.md'],
    clients: ['client-abc', 'mail', 'x'],
    folders: [['/home/jdoe', '~']] as const,
    words: ['login.smtp'],
  };

  for (const [text, masked] of [
    ['jane@example.org at imap.example.org', 'user1@domain1 at host1'],
    ['JANE@Example.ORG, jane, example.org', 'user1@domain1, user1, domain1'],
    ['bob%40example.org', 'user1@domain1'],
    ['mail.example.md and accounts.json', 'host1 and accounts.json'],
    ['smtp.gmail.com is known, contoso.onmicrosoft.com is not', 'smtp.gmail.com is known, host1 is not'],
    ['login.smtp on workstation7 by jdoe, jdoe-hook of root', 'login.smtp on this-host by user1, user1-hook of root'],
    ['/home/jdoe/x /home/other/y', '~/x ~/y'],
    ['client-abc 6f1c2b3a-0d4e-4f5a-8b6c-7d8e9fa0b1c2', 'client1 id1'],
    ['[198.51.100.7] 127.0.0.1 2001:db8::7 at 12:34:56', '[ip1] 127.0.0.1 ip2 at 12:34:56'],
    ['a mail server for my-client-abc and client-abc', 'a mail server for my-client-abc and client1'],
    [
      'nodes of Debian GNU/Linux, node v24, node@debian.example.org',
      'nodes of Debian GNU/Linux, node v24, user1@domain1',
    ],
    [`x ${'A1b2'.repeat(12)} y`, 'x [opaque] y'],
  ] as const) {
    it(`turns ${text} into ${masked}`, () => assert.equal(createMask(facts)(text), masked));
  }

  it('shows of config.toml tables, keys, and the values of harmless keys', () => {
    const toml =
      '# mine\n[hooks]\nrefreshed = ["/x", "s"]\ntimeout = 3\n[[socket]]\nmode = "0660" # s\npath = "/run/x"\nsecret\n';
    assert.deepEqual(harmlessLines(toml), [
      ...['[hooks]', 'refreshed = (set)', 'timeout = 3', '[[socket]]', 'mode = (set)', 'path = "/run/x"'],
    ]);
  });
});
