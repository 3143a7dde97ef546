import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { CmsError } from '../../../src/lib/core/errors.ts';
import type { LoginOptions } from '../../../src/lib/mail/login.ts';
import { smtpLogin, smtpSend } from '../../../src/lib/mail/smtp.ts';
import { trustedCertificate, untrustedCertificate } from '../../support/certificates.ts';
import { startProvider } from '../../support/provider.ts';
import type { EmbeddedProvider } from '../../support/provider.ts';
import { startSubmission } from '../../support/submission.ts';
import type { SubmissionOptions, SubmissionServer } from '../../support/submission.ts';
import { obtainTokens } from '../../support/tokens.ts';
import type { Script } from './scripted-server.ts';
import { failure, ScriptedServer } from './scripted-server.ts';

const JANE = 'jane@example.org';
const TOKEN = 'ya29.token-of-jane_1';
const base64 = (text: string) => Buffer.from(text).toString('base64');

describe('smtpLogin at a submission server', () => {
  let provider: EmbeddedProvider;
  let token: string;
  let submission: SubmissionServer | undefined;

  before(async () => {
    provider = await startProvider();
    token = (await obtainTokens(provider, JANE)).access_token;
  });
  after(() => provider.stop());
  afterEach(async () => {
    await submission?.stop();
    submission = undefined;
  });

  async function start(options: Partial<SubmissionOptions> = {}): Promise<LoginOptions> {
    submission = await startSubmission({ provider, ...options });
    const { host, port } = submission;
    const server = { host, port, tls: options.tls ?? 'starttls' };
    return { server, user: JANE, accessToken: token, ca: submission.certificate.ca, timeoutMs: 5000 };
  }

  for (const tls of ['starttls', 'implicit'] as const) {
    it(`logs in with a token over ${tls}`, async () => {
      const options = await start({ tls });
      assert.deepEqual(await smtpLogin(options), { ok: true, user: JANE, mechanism: 'XOAUTH2' });
      assert.deepEqual(
        submission?.authentications.map(({ user, mechanism, accepted }) => [user, mechanism, accepted]),
        [[JANE, 'XOAUTH2', true]],
      );
    });
  }

  it('sends the token on a line of its own, where servers refuse long AUTH lines', async () => {
    const options = await start({ longestAuthLine: 60 });
    assert.deepEqual(await smtpLogin(options), { ok: true, user: JANE, mechanism: 'XOAUTH2' });
    assert.equal(submission?.authentications[0]?.initialResponse, false);
  });

  it("reports Gmail's refusal with its code and the challenge in clear", async () => {
    const options = await start();
    const result = failure(await smtpLogin({ ...options, user: 'john@example.org' }));
    assert.deepEqual([result.kind, result.code], ['refused', '535 5.7.8']);
    assert.match(result.reply ?? '', /^535 5\.7\.8 Username and Password not accepted.* gsmtp \{"status":"401"/);
    assert.doesNotMatch(result.reply ?? '', /[\r\n]/);
    assert.match(result.detail, /^127\.0\.0\.1:\d+ answered: 535 5\.7\.8/);
  });

  it('tells a mailbox without SMTP AUTH by the code', async () => {
    const options = await start();
    submission?.refuse(JANE, '535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled');
    const result = failure(await smtpLogin(options));
    assert.deepEqual([result.kind, result.code], ['refused', '535 5.7.139']);
    assert.match(result.reply ?? '', /SmtpClientAuthentication is disabled/);
  });

  it('holds a temporary refusal for no judgement', async () => {
    const options = await start();
    submission?.refuse(JANE, '454 4.7.0 Temporary authentication failure');
    const result = failure(await smtpLogin(options));
    assert.deepEqual([result.kind, result.code], ['unreachable', '454 4.7.0']);
  });

  it('logs in with a password, and reports a wrong one without repeating it', async () => {
    const { accessToken: _token, ...rest } = await start({ passwords: { [JANE]: 'app-secret' } });
    assert.deepEqual(await smtpLogin({ ...rest, password: 'app-secret' }), {
      ...{ ok: true, user: JANE, mechanism: 'PLAIN' },
    });
    const result = failure(await smtpLogin({ ...rest, password: 'wrong-secret' }));
    assert.deepEqual([result.kind, result.code], ['refused', '535 5.7.8']);
    assert.doesNotMatch(JSON.stringify(result), /wrong-secret/);
  });

  for (const tls of ['starttls', 'implicit'] as const) {
    it(`sends nothing to a server with a stranger's certificate over ${tls}`, async () => {
      const options = await start({ tls, certificate: await untrustedCertificate() });
      const result = failure(await smtpLogin({ ...options, ca: (await trustedCertificate()).ca }));
      assert.equal(result.kind, 'certificate');
      assert.equal(submission?.authentications.length, 0);
    });
  }

  it('sends a message', async () => {
    const options = await start();
    const raw = `From: ${JANE}\r\nTo: ${JANE}\r\nSubject: a test\r\n\r\nhello\r\n`;
    assert.deepEqual(await smtpSend(options, { from: JANE, to: JANE, raw }), {
      ...{ ok: true, user: JANE, mechanism: 'XOAUTH2' },
    });
    const [message] = (await submission?.waitForMessages()) ?? [];
    assert.deepEqual([message?.from, message?.to, message?.headers.get('subject')], [JANE, [JANE], 'a test']);
  });
});

describe('smtpLogin at a scripted server', () => {
  async function play(script: Script, options: Partial<LoginOptions> = {}, tls: 'starttls' | 'implicit' = 'implicit') {
    await using scripted = await ScriptedServer.start('220 mx.test ESMTP', script, tls);
    const { ca } = await trustedCertificate();
    const all = { server: scripted.server(tls), user: JANE, accessToken: TOKEN, ca, timeoutMs: 3000, ...options };
    const result = await smtpLogin(all as LoginOptions);
    return { result, heard: scripted.heard };
  }

  const ehlo = (line: string, mechanisms: string) =>
    line.startsWith('EHLO') ? `250-mx.test\r\n250-SIZE 1000\r\n250 AUTH ${mechanisms}` : undefined;

  it('uses OAUTHBEARER where XOAUTH2 is not offered', async () => {
    const { result, heard } = await play((line) => {
      if (line === 'AUTH OAUTHBEARER') return '334 ';
      return ehlo(line, 'PLAIN OAUTHBEARER') ?? '235 2.7.0 ok';
    });
    assert.equal(result.ok, true);
    assert.equal(heard.at(-1), 'QUIT');
    const sent = Buffer.from(heard[2] ?? '', 'base64').toString();
    assert.match(
      sent,
      /^n,a=jane@example\.org,\x01host=127\.0\.0\.1\x01port=\d+\x01auth=Bearer ya29\.token-of-jane_1\x01\x01$/,
    );
  });

  it('answers the challenge of OAUTHBEARER with one %x01', async () => {
    const { result, heard } = await play((line) => {
      if (line === 'AUTH OAUTHBEARER') return '334 ';
      if (line === 'AQ==') return '535 5.7.1 no';
      return ehlo(line, 'OAUTHBEARER') ?? `334 ${base64('{"status":"invalid_token"}')}`;
    });
    assert.match(failure(result).reply ?? '', /^535 5\.7\.1 no \{"status":"invalid_token"\}$/);
    assert.equal(heard[3], 'AQ==');
  });

  const NO_TOKENS = 'exim uses XOAUTH2 or OAUTHBEARER for a token';
  const NO_PASSWORDS = 'exim uses PLAIN or LOGIN for a password';
  const foreign: [string, string, Partial<LoginOptions>, string][] = [
    ['passwords only', 'AUTH PLAIN LOGIN', {}, `logins by PLAIN, LOGIN; ${NO_TOKENS}`],
    ['nothing', 'SIZE 1000', {}, `no login; ${NO_TOKENS}`],
    ['a challenge for passwords', 'AUTH CRAM-MD5', { password: 'xyz' }, `logins by CRAM-MD5; ${NO_PASSWORDS}`],
    ['several of them', 'AUTH CRAM-MD5 SCRAM-SHA-256', { password: 'xyz' }, `CRAM-MD5, SCRAM-SHA-256; ${NO_PASSWORDS}`],
    ['tokens only', 'AUTH XOAUTH2', { password: 'xyz' }, `logins by XOAUTH2; ${NO_PASSWORDS}`],
    ['PLAIN, for a password that exim cannot send so', 'AUTH PLAIN', { password: '^xyz' }, 'exim uses LOGIN for a'],
    ['it in a way that exim does not read', 'AUTH=PLAIN LOGIN', { password: 'xyz' }, `no login; ${NO_PASSWORDS}`],
  ];
  for (const [what, line, credential, expected] of foreign) {
    it(`sends nothing to a server that offers ${what}, and names what both sides speak`, async () => {
      const token = credential.password === undefined ? {} : { accessToken: undefined };
      const { result, heard } = await play(
        (said) => (said.startsWith('EHLO') ? `250-mx.test\r\n250 ${line}` : '504 5.5.4 Unrecognized'),
        { ...token, ...credential } as Partial<LoginOptions>,
      );
      const { kind, detail } = failure(result);
      assert.equal(kind, 'protocol');
      assert.match(detail, /^127\.0\.0\.1:\d+: no common login mechanism: the server offers /);
      assert.ok(detail.includes(expected), detail);
      assert.deepEqual(
        heard.map((each) => each.split(' ')[0]),
        ['EHLO'],
      );
    });
  }

  it('logs in by PLAIN where CRAM-MD5 is offered before it, and by LOGIN without it, in steps as exim does', async () => {
    const password = { accessToken: undefined, password: 's€cret' } as unknown as Partial<LoginOptions>;
    for (const [offer, mechanism, said] of [
      ['CRAM-MD5 PLAIN LOGIN', 'PLAIN', ['AUTH PLAIN', base64(`\0${JANE}\0s€cret`)]],
      ['CRAM-MD5 LOGIN', 'LOGIN', ['AUTH LOGIN', base64(JANE), base64('s€cret')]],
    ] as const) {
      const { result, heard } = await play((line) => {
        if (line.startsWith('AUTH ') || line === base64(JANE)) return '334 ';
        return ehlo(line, offer) ?? '235 2.7.0 ok';
      }, password);
      assert.deepEqual(result, { ok: true, user: JANE, mechanism });
      assert.deepEqual(heard.slice(1, -1), said);
    }
  });

  it('goes on to the next mechanism where the server refuses to begin with one that it offers', async () => {
    const { result } = await play((line) => {
      if (line === 'AUTH XOAUTH2') return '504 5.5.4 Unrecognized authentication type';
      if (line === 'AUTH OAUTHBEARER') return '334 ';
      return ehlo(line, 'XOAUTH2 OAUTHBEARER') ?? '235 2.7.0 ok';
    });
    assert.deepEqual(result, { ok: true, user: JANE, mechanism: 'OAUTHBEARER' });
  });

  it('reports a server that refuses to begin with all that it offers', async () => {
    const { result } = await play((line) => ehlo(line, 'XOAUTH2') ?? '504 5.5.4 Unrecognized authentication type');
    assert.deepEqual([failure(result).kind, failure(result).code], ['protocol', '504 5.5.4']);
  });

  it('never goes on without TLS', async () => {
    const { result, heard } = await play(
      (line) => (line === 'STARTTLS' ? '454 4.7.0 TLS not available' : ehlo(line, 'XOAUTH2')),
      {},
      'starttls',
    );
    assert.equal(result.ok, false);
    assert.deepEqual(
      heard.map((line) => line.split(' ')[0]),
      ['*EHLO', '*STARTTLS'],
    );
  });

  it('cuts what it sent out of an answer that repeats it', async () => {
    const { result } = await play((line) => {
      if (line === 'AUTH XOAUTH2') return '334 ';
      return ehlo(line, 'XOAUTH2') ?? `535 5.7.8 got ${line} that is ${TOKEN}`;
    });
    const text = JSON.stringify(failure(result));
    assert.doesNotMatch(text, /ya29/);
    assert.ok(!text.includes(base64(`user=${JANE}\x01auth=Bearer ${TOKEN}\x01\x01`)));
  });

  it('strips control characters and bounds the length of an answer', async () => {
    const { result } = await play((line) => {
      if (line === 'AUTH XOAUTH2') return `535 5.7.8 a\x1b[31mb\x07 ${'x'.repeat(900)}`;
      return ehlo(line, 'XOAUTH2');
    });
    const { reply = '' } = failure(result);
    assert.match(reply, /^535 5\.7\.8 a \[31mb x+…$/);
    assert.equal(reply.length, 501);
  });

  it('waits for a silent server no longer than it was told', async () => {
    const { result } = await play((line) => ehlo(line, 'XOAUTH2'), { timeoutMs: 200 });
    assert.deepEqual([failure(result).kind, failure(result).detail.includes('within 200 ms')], ['unreachable', true]);
  });

  it('notices a port where nobody listens', async () => {
    const free = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => free.once('listening', resolve));
    const { port } = free.address() as AddressInfo;
    await new Promise((resolve) => free.close(resolve));
    const server = { host: '127.0.0.1', port, tls: 'implicit' } as const;
    const result = failure(await smtpLogin({ server, user: JANE, accessToken: TOKEN, timeoutMs: 3000 }));
    assert.equal(result.kind, 'unreachable');
    assert.match(result.detail, /ECONNREFUSED/);
    assert.equal(result.reply, undefined);
  });

  it('recognizes a server without TLS behind a port that should have it', async () => {
    await using scripted = await ScriptedServer.start('220 mx.test ESMTP', () => '500 what?', 'starttls');
    const server = scripted.server('implicit');
    const result = failure(await smtpLogin({ server, user: JANE, accessToken: TOKEN, timeoutMs: 3000 }));
    assert.equal(result.kind, 'protocol');
  });

  it('sends no token that is none', async () => {
    await assert.rejects(
      play((line) => ehlo(line, 'XOAUTH2') ?? '334 ', { accessToken: 'a\x01b' }),
      (error) => error instanceof CmsError && error.code === 'protocol_error',
    );
  });
});
