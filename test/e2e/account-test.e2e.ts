/** `cms account test` as users run it: every refusal as servers word it, and what cms makes of it. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createCertificate, untrustedCertificate } from '../support/certificates.ts';
import { ImapServer, startImap } from '../support/imap.ts';
import { type PopServer, startPop } from '../support/pop.ts';
import { startSubmission } from '../support/submission.ts';
import { startWorld, type World } from '../support/world.ts';
import { faults } from '../support/provider.ts';
import { spawnCms } from '../support/environment.ts';

const JANE = 'jane@example.org';
const PAT = 'pat@example.org';

interface Explained {
  id: string;
  class: string;
  who: string;
  fix: string[];
  words: string;
  admin_mail?: { subject: string; body: string };
}
interface Result {
  ok: boolean;
  error?: string;
  explanation?: Explained;
  sent?: { message_id: string };
  protocols: {
    protocol: string;
    ok: boolean;
    error?: string;
    steps: { step: string; ok: boolean }[];
    explanation?: Explained;
  }[];
}

/** Words of the server, what they are explained as, and the exit status. */
type Case = readonly [words: string, id: string, status: number];

const SMTP: readonly Case[] = [
  [
    '535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. Visit https://aka.ms/smtp_auth_disabled for more information. [AM0PR01CA0001.eurprd01.prod.exchangelabs.com]',
    'smtp-auth-off-tenant',
    77,
  ],
  [
    '535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Mailbox. Visit https://aka.ms/smtp_auth_disabled for more information.',
    'smtp-auth-off-mailbox',
    77,
  ],
  [
    "535 5.7.139 Authentication unsuccessful, user is locked by your organization's security defaults policy. Contact your administrator.",
    'smtp-security-defaults',
    77,
  ],
  ['535 5.7.139 Authentication unsuccessful, the user credentials were incorrect.', 'smtp-exchange-credentials', 77],
  ['535 5.7.3 Authentication unsuccessful [AM0PR01CA0001.eurprd01.prod.exchangelabs.com]', 'smtp-exchange-refused', 77],
  ['501 5.5.127 Invalid XOAUTH2 auth data - Token will expire soon', 'smtp-token-expires-soon', 78],
  ['550 5.7.30 Basic authentication is not supported for Client Submission.', 'smtp-basic-off', 78],
  ['534 5.7.9 Application-specific password required.', 'app-password-needed', 78],
  ['534 5.7.14 Please log in via your web browser and then try again.', 'google-web-login', 77],
  ['535 5.7.8 Username and Password not accepted.', 'token-refused', 77],
  ['454 4.7.0 Temporary authentication failure', 'smtp-temporary', 75],
  ['454 4.7.0 Too many login attempts, please try again later.', 'smtp-throttled', 75],
  ['421 4.7.0 Try again later, closing connection.', 'smtp-throttled', 75],
  ['432 4.3.2 Concurrent connections limit exceeded.', 'smtp-exchange-concurrent', 75],
  ['555 5.5.2 Syntax error, command line too long.', 'smtp-line-too-long', 78],
];
const IMAP: readonly Case[] = [
  [ImapServer.NOT_CONNECTED, 'exchange-not-connected', 77],
  ['NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)', 'mailbox-token-refused', 77],
  ['NO AUTHENTICATE failed.', 'mailbox-token-refused', 77],
  ['NO [ALERT] Your account is not enabled for IMAP use. (Failure)', 'gmail-imap-off', 77],
  ['NO [ALERT] Too many simultaneous connections. (Failure)', 'mailbox-too-often', 75],
  ['NO [UNAVAILABLE] Temporary authentication failure', 'mailbox-temporary', 75],
];
const POP: readonly Case[] = [
  ['-ERR User is authenticated but not connected.', 'exchange-not-connected', 77],
  ['-ERR [AUTH] Username and password not accepted.', 'mailbox-token-refused', 77],
  ['-ERR [SYS/PERM] Your account is not enabled for POP access.', 'gmail-pop-off', 77],
  ['-ERR [IN-USE] Unable to lock maildrop', 'mailbox-in-use', 75],
  ['-ERR [SYS/TEMP] Please try again', 'mailbox-temporary', 75],
];

describe('cms account test', function () {
  this.timeout(60_000);
  let world: World;
  let pop: PopServer;

  before(async () => {
    world = await startWorld();
    pop = await startPop({ provider: world.provider, scope: 'mail.imap', passwords: { [PAT]: 'secret' } });
    const added = await world.add(JANE);
    assert.equal(added.status, 0, added.stderr);
    // No flag names a POP server: those come from presets.
    const file = join(world.home.configDir, 'accounts.json');
    const accounts = JSON.parse(readFileSync(file, 'utf8'));
    accounts.accounts[JANE].protocols = ['smtp', 'imap', 'pop'];
    accounts.accounts[JANE].servers.pop = { host: 'localhost', port: pop.port, tls: 'implicit' };
    writeFileSync(file, JSON.stringify(accounts));
  });
  afterEach(() => {
    world.submission.refuse('*', undefined);
    world.submission.refuseMessages(undefined);
    world.imap.refuse(JANE, undefined);
    pop.refuse(JANE, undefined);
  });
  after(async () => {
    await pop.stop();
    await world[Symbol.asyncDispose]();
  });

  async function json(...flags: string[]): Promise<Result & { status: number | null; stderr: string }> {
    const { status, stdout, stderr } = await world.cms('account', 'test', JANE, '--json', ...flags);
    assert.doesNotMatch(stdout, /Bearer [\w-]{8}/);
    return { ...(JSON.parse(stdout) as Result), status, stderr };
  }

  it('shows each step at each server, and ends with 0', async () => {
    const { status, stdout, stderr } = await world.cms('account', 'test', JANE);
    assert.deepEqual([status, stderr], [0, ''], stdout);
    for (const protocol of ['smtp', 'imap', 'pop'])
      assert.match(stdout, new RegExp(`^${protocol} localhost:\\d+ `, 'm'));
    const steps = [...stdout.matchAll(/^ {2}(\w+) +ok +(.+) \(\d+ ms\)$/gm)].map(([, step]) => step);
    const each = ['resolve', 'connect', 'tls', 'login'];
    assert.deepEqual(steps, [...each, ...each, ...each]);
    assert.match(stdout, /TLSv1\.[23], certificate valid until \d{4}-\d\d-\d\d/);
  });

  it('sends one short mail to the account itself', async () => {
    const before = world.submission.messages.length;
    const { status, sent, protocols } = await json('--send', '--protocol', 'smtp');
    assert.equal(status, 0);
    assert.deepEqual(
      protocols.map(({ steps }) => steps.at(-1)?.step),
      ['send'],
    );
    const [message, ...more] = (await world.submission.waitForMessages(before + 1)).slice(before);
    assert.equal(more.length, 0);
    assert.deepEqual([message!.from, message!.to], [JANE, [JANE]]);
    assert.equal(message!.headers.get('message-id'), `<${sent?.message_id ?? ''}>`);
  });

  for (const [protocol, cases] of Object.entries({ smtp: SMTP, imap: IMAP, pop: POP })) {
    for (const [words, id, status] of cases) {
      it(`explains ${words.slice(0, 70)}`, async () => {
        if (protocol === 'smtp') world.submission.refuse('*', words);
        else (protocol === 'imap' ? world.imap : pop).refuse(JANE, words);
        const result = await json('--protocol', protocol);
        const [test] = result.protocols;
        assert.equal(test?.explanation?.id, id, JSON.stringify(test));
        assert.equal(result.status, status);
        assert.deepEqual([result.ok, test.ok, test.steps.at(-1)?.step], [false, false, 'login']);
        // The end of the words, which no code is cut from.
        assert.ok(test.error?.includes(words.slice(-15)), test.error);
        assert.ok(test.explanation.words.includes(words.slice(-15)));
      });
    }
  }

  for (const words of [
    '554 5.2.252 SendAsDenied; jane@example.org not allowed to send as office@example.org; STOREDRV.Submission.Exception:SendAsDeniedException.MapiExceptionSendAsDenied',
    '550 5.7.60 SMTP; Client does not have permissions to send as this sender',
  ]) {
    it(`explains ${words.slice(0, 40)}, which comes to a mail only`, async () => {
      world.submission.refuseMessages(words);
      const { status, protocols, sent } = await json('--send', '--protocol', 'smtp');
      assert.deepEqual([status, sent], [77, undefined]);
      assert.equal(protocols[0]?.explanation?.id, 'smtp-send-as-denied');
      assert.deepEqual(protocols[0].steps.map(({ step, ok }) => [step, ok]).slice(-2), [
        ['login', true],
        ['send', false],
      ]);
    });
  }

  /** The servers of these protocols are elsewhere from now on. @returns what puts them back */
  function moveServers(change: Record<string, { port: number; tls: string }>): () => void {
    const file = join(world.home.configDir, 'accounts.json');
    const text = readFileSync(file, 'utf8');
    const accounts = JSON.parse(text);
    for (const [protocol, server] of Object.entries(change))
      accounts.accounts[JANE].servers[protocol] = { host: 'localhost', ...server };
    writeFileSync(file, JSON.stringify(accounts));
    return () => writeFileSync(file, text);
  }

  const DAY_MS = 86_400_000;
  for (const [what, certificate, id, status] of [
    ['of a stranger', untrustedCertificate, 'certificate-untrusted', 78],
    ['for another name', () => createCertificate({ names: ['mail.example.net'] }), 'certificate-name', 78],
    [
      'that has expired',
      () => createCertificate({ notAfter: new Date(Date.now() - DAY_MS / 2) }),
      'certificate-expired',
      77,
    ],
  ] as const) {
    it(`explains a certificate ${what}, over each protocol, and sends nothing there`, async () => {
      const server = { provider: world.provider, certificate: await certificate() };
      await using submission = await startSubmission(server);
      await using imap = await startImap(server);
      await using pops = await startPop(server);
      const putBack = moveServers({
        smtp: { port: submission.port, tls: 'starttls' },
        imap: { port: imap.port, tls: 'implicit' },
        pop: { port: pops.port, tls: 'implicit' },
      });
      const { NODE_EXTRA_CA_CERTS } = world.env;
      world.env.NODE_EXTRA_CA_CERTS = server.certificate.caFile;
      try {
        const result = await json();
        assert.deepEqual(
          result.protocols.map(({ protocol, steps, explanation }) => [protocol, steps.at(-1)?.step, explanation?.id]),
          ['smtp', 'imap', 'pop'].map((each) => [each, 'tls', id]),
        );
        assert.equal(result.status, status);
        assert.deepEqual([submission.authentications, imap.authentications], [[], []]);
      } finally {
        putBack();
        world.env.NODE_EXTRA_CA_CERTS = NODE_EXTRA_CA_CERTS;
      }
    });
  }

  it('explains a server that takes no token in its last minutes, and takes a fresh one', async () => {
    await using hve = await startSubmission({ provider: world.provider, minValiditySeconds: 600 });
    const putBack = moveServers({ smtp: { port: hve.port, tls: 'starttls' } });
    world.provider.accessTokenTtl = 500;
    try {
      await world.cms('token', JANE, '--force-refresh');
      const { protocols, status } = await json('--protocol', 'smtp');
      assert.deepEqual([status, protocols[0]?.explanation?.id], [78, 'smtp-token-expires-soon']);
      assert.match(protocols[0]?.explanation?.words ?? '', /^501 5\.5\.127 /);
      assert.equal(hve.authentications[0]?.verdict, 'expires_soon');
      world.provider.accessTokenTtl = 3600;
      await world.cms('token', JANE, '--force-refresh');
      assert.equal((await json('--protocol', 'smtp')).status, 0);
    } finally {
      putBack();
      world.provider.accessTokenTtl = 3600;
    }
  });

  it('warns of a token that is longer than any line of exim may be, and tries it all the same', async () => {
    world.provider.setFault(faults.rewrite((answer) => ({ ...answer, access_token: 'a'.repeat(4000) })));
    await world.cms('token', JANE, '--force-refresh');
    world.provider.setFault(undefined);
    const before = world.submission.connections;
    try {
      const { stdout } = await world.cms('account', 'test', JANE, '--protocol', 'smtp');
      assert.match(stdout, /exim \(4096 bytes a line\) would freeze the message/);
      assert.match(stdout, /for fewer groups and claims in the token of cms-test/);
      assert.ok(world.submission.connections > before);
    } finally {
      await world.cms('token', JANE, '--force-refresh');
    }
  });

  it('tells the broker of a token that submission refuses, and of nothing else', async () => {
    const broker = spawnCms(['serve'], { env: world.env });
    try {
      await broker.waitFor(/cms\.sock/);
      const before = world.provider.count('refresh_token');
      world.submission.refuse('*', SMTP[0]![0]);
      world.imap.refuse(JANE, IMAP[1]![0]);
      const { stdout: switched } = await world.cms('account', 'test', JANE);
      assert.doesNotMatch(switched, /the broker was told/);
      assert.equal(world.provider.count('refresh_token'), before);
      world.submission.refuse('*', '535 5.7.8 Username and Password not accepted.');
      const { stdout } = await world.cms('account', 'test', JANE);
      assert.match(stdout, /the broker was told, and asks for a new token/);
      await broker.waitFor(/the mail server refused the token[^]*refreshed/);
      assert.equal(world.provider.count('refresh_token'), before + 1);
    } finally {
      await broker.stop();
    }
  });

  it('tells people what it means, who can mend it and how, beside the words of the server', async () => {
    world.submission.refuse('*', SMTP[0]![0]);
    const { status, stdout } = await world.cms('account', 'test', JANE);
    assert.equal(status, 77);
    assert.match(
      stdout,
      /^ {2}login +failed +localhost:\d+ answered: .*SmtpClientAuthentication is disabled for the Tenant/m,
    );
    assert.match(stdout, /^ {2}sending over SMTP is disabled for the whole organisation/m);
    assert.match(stdout, /^ {2}who can fix it: administrator$/m);
    assert.doesNotMatch(stdout, /\(administrator\)/, 'said once');
    assert.match(stdout, /answered: 535 5\.7\.139 /);
    assert.match(
      stdout,
      /^ {2}do: Set-CASMailbox -Identity jane@example\.org -SmtpClientAuthenticationDisabled \$false$/m,
    );
    assert.match(stdout, /^imap localhost/m, 'goes on with the others');
  });

  it('prints the mail to the administrator, alone on stdout', async () => {
    world.submission.refuse('*', SMTP[1]![0]);
    const { status, stdout, stderr } = await world.cms('account', 'test', JANE, '--admin-mail', '--protocol', 'smtp');
    assert.equal(status, 77);
    assert.match(stdout, /^Subject: Please allow jane@example\.org to send mail over SMTP\n\nHello,\n/);
    assert.match(stdout, /^ {2}Connect-ExchangeOnline\n {2}Set-CASMailbox -Identity jane@example\.org /m);
    assert.match(stdout, /SmtpClientAuthentication is disabled for the Mailbox/);
    assert.match(stderr, /login +failed/);
    const fine = await world.cms('account', 'test', JANE, '--admin-mail', '--protocol', 'imap');
    assert.deepEqual([fine.status, fine.stdout], [0, '']);
    assert.match(fine.stderr, /nothing of this is for an administrator/);
  });

  it('names the way that ends where nobody listens, and the protocol that was never granted', async () => {
    const file = join(world.home.configDir, 'accounts.json');
    const text = readFileSync(file, 'utf8');
    const accounts = JSON.parse(text);
    accounts.accounts[JANE].servers.smtp.port = 1;
    accounts.accounts[JANE].servers.imap.host = 'no-such-host.invalid';
    accounts.accounts[JANE].servers.pop.tls = 'starttls';
    accounts.accounts[JANE].protocols = ['smtp', 'imap', 'pop'];
    writeFileSync(file, JSON.stringify(accounts));
    try {
      const { protocols, status } = await json('--protocol', 'smtp', '--protocol', 'imap');
      assert.equal(protocols[0]?.explanation?.id, 'connection-refused', JSON.stringify(protocols[0]));
      assert.equal(protocols[0].steps.at(-1)?.step, 'connect');
      assert.match(protocols[1]?.explanation?.id ?? '', /^(?:host-unknown|name-service)$/);
      assert.equal(protocols[1]?.steps.at(-1)?.step, 'resolve');
      assert.ok(status === 78 || status === 75);
    } finally {
      writeFileSync(file, text);
    }
  });

  it('tests an app password, and explains its refusal as one', async () => {
    const password = join(world.home.path, 'password');
    writeFileSync(password, 'secret\n');
    const flags = [
      '--password-file',
      password,
      '--smtp-host',
      'localhost',
      '--smtp-port',
      String(world.submission.port),
    ];
    await world.cms(
      'account',
      'add',
      PAT,
      '--provider',
      'custom',
      '--protocol',
      'smtp',
      ...flags,
      '--no-test',
      '--store',
      'file',
    );
    const { status, stdout } = await world.cms('account', 'test', PAT, '--json');
    const [test] = (JSON.parse(stdout) as Result).protocols;
    assert.equal(test?.explanation?.id, 'password-refused', stdout);
    assert.equal(status, 77);
  });

  it('gets the token from the broker where one runs, and explains why there is none', async () => {
    const broker = spawnCms(['serve'], { env: world.env });
    try {
      await broker.waitFor(/cms\.sock/);
      assert.equal((await json()).status, 0);
    } finally {
      await broker.stop();
    }
    world.provider.setFault(faults.rewrite((answer) => ({ ...answer, expires_in: 1 })));
    await world.cms('token', JANE, '--force-refresh');
    world.provider.setFault(() => ({
      status: 400,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        error: 'invalid_grant',
        error_description: 'AADSTS65001: The user or administrator has not consented',
      }),
    }));
    await world.cms('token', JANE, '--force-refresh');
    world.provider.setFault(undefined);
    // A token that still lives would be served: it lives for a second of the wall clock.
    await sleep(1100);
    const { status, error, explanation, protocols } = await json();
    assert.deepEqual([status, error, protocols], [77, 'authorization_required', []]);
    assert.equal(explanation?.id, 'aadsts-65001');
    assert.match(explanation.admin_mail?.body ?? '', /adminconsent\?client_id=/);
    const shown = await world.cms('status');
    assert.match(shown.stdout, /this client is not allowed to use the mailbox yet/);
    assert.match(shown.stdout, /the provider said: invalid_grant: AADSTS65001/);
  });
});
