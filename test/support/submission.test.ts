import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { connect } from 'node:tls';
import { createTransport } from 'nodemailer';
import { trustedCertificate, untrustedCertificate } from './certificates.ts';
import { startProvider } from './provider.ts';
import type { EmbeddedProvider } from './provider.ts';
import { startSubmission } from './submission.ts';
import type { SubmissionOptions, SubmissionServer } from './submission.ts';
import { obtainTokens, refreshTokens } from './tokens.ts';

const JANE = 'jane@example.org';
const TEAM = 'team@example.org';

type Credentials = { type: 'OAuth2'; user: string; accessToken: string } | { user: string; pass: string };

describe('the submission server', () => {
  let provider: EmbeddedProvider;
  let submission: SubmissionServer | undefined;

  before(async () => {
    provider = await startProvider();
  });
  after(() => provider.stop());
  afterEach(async () => {
    await submission?.stop();
    submission = undefined;
  });

  async function start(options: Partial<SubmissionOptions> = {}): Promise<SubmissionServer> {
    submission = await startSubmission({ provider, ...options });
    return submission;
  }

  async function send(server: SubmissionServer, auth: Credentials, secure = false, ca = server.certificate.ca) {
    const { host, port } = server;
    const transport = createTransport({ host, port, secure, requireTLS: !secure, tls: { ca }, auth });
    try {
      return await transport.sendMail({ from: JANE, to: 'john@example.com', subject: 'a subject', text: 'a body' });
    } finally {
      transport.close();
    }
  }

  const bearer = (user: string, accessToken: string): Credentials => ({ type: 'OAuth2', user, accessToken });

  for (const tls of ['starttls', 'implicit'] as const) {
    it(`takes a message for the active token of that user over ${tls}`, async () => {
      const server = await start({ tls });
      const { access_token } = await obtainTokens(provider, JANE);
      await send(server, bearer(JANE, access_token), tls === 'implicit');
      const [message] = await server.waitForMessages();
      assert.deepEqual([message?.user, message?.mechanism, message?.from], [JANE, 'XOAUTH2', JANE]);
      assert.deepEqual(message?.to, ['john@example.com']);
      assert.deepEqual([message.headers.get('subject'), message.body.trim()], ['a subject', 'a body']);
      assert.equal(server.connections, 1);
    });
  }

  it('refuses a token of somebody else, one without the scope, a revoked one and a made-up one', async () => {
    const server = await start();
    const john = await obtainTokens(provider, 'john@example.org');
    const narrow = await obtainTokens(provider, JANE, 'openid email offline_access mail.imap');
    const revoked = await obtainTokens(provider, 'gone@example.org');
    await refreshTokens(provider, revoked.refresh_token);
    provider.revokeGrants('gone@example.org');
    const attempts = [
      [JANE, john.access_token],
      [JANE, narrow.access_token],
      ['gone@example.org', revoked.access_token],
      [JANE, 'made-up'],
    ] as const;
    for (const [user, token] of attempts) {
      await assert.rejects(send(server, bearer(user, token)), { responseCode: 535 });
    }
    const verdicts = server.authentications.map(({ verdict }) => verdict);
    assert.deepEqual([...new Set(verdicts)], ['not_the_mailbox', 'insufficient_scope', 'invalid_token']);
    assert.ok(server.authentications.every(({ accepted }) => !accepted));
    assert.equal(server.messages.length, 0);
  });

  it('lets a delegate into the mailbox of another', async () => {
    const server = await start({ delegates: { [TEAM]: [JANE] } });
    const { access_token } = await obtainTokens(provider, JANE);
    await send(server, bearer(TEAM, access_token));
    assert.equal(server.messages[0]?.user, TEAM);
  });

  it('refuses as Gmail does: a challenge in base64, then 535 in two lines', async () => {
    const server = await start({ tls: 'implicit' });
    const lines = await converse(server, ['EHLO client', `AUTH XOAUTH2 ${xoauth2(JANE, 'made-up')}`, '']);
    const challenge = /^334 (.*)$/.exec(lines.find((line) => line.startsWith('334')) ?? '')?.[1] ?? '';
    const said = JSON.parse(Buffer.from(challenge, 'base64').toString()) as unknown;
    assert.deepEqual(said, { status: '401', schemes: 'bearer mac', scope: 'https://mail.google.com/' });
    const [first, second] = lines.slice(-2);
    assert.match(first ?? '', /^535-5\.7\.8 Username and Password not accepted/);
    assert.match(second ?? '', /^535 5\.7\.8 /);
  });

  it('takes the token in a step of its own and sees the difference', async () => {
    const server = await start({ tls: 'implicit' });
    const { access_token } = await obtainTokens(provider, JANE);
    const lines = await converse(server, ['EHLO client', 'AUTH XOAUTH2', xoauth2(JANE, access_token)]);
    assert.match(lines.at(-1) ?? '', /^235 /);
    await converse(server, ['EHLO client', `AUTH XOAUTH2 ${xoauth2(JANE, access_token)}`]);
    assert.deepEqual(
      server.authentications.map(({ initialResponse }) => initialResponse),
      [false, true],
    );
  });

  it('refuses a long AUTH command where it was told to', async () => {
    const server = await start({ tls: 'implicit', longestAuthLine: 60 });
    const lines = await converse(server, ['EHLO client', `AUTH XOAUTH2 ${xoauth2(JANE, 'x'.repeat(60))}`]);
    assert.match(lines.at(-1) ?? '', /^555 5\.5\.2 /);
  });

  it('refuses a user with the words that a test asks for, until it is told to stop', async () => {
    const server = await start();
    const { access_token } = await obtainTokens(provider, JANE);
    for (const reply of ['535 5.7.139 Authentication unsuccessful, disabled', '454 4.7.0 Temporary failure']) {
      server.refuse(JANE, reply);
      const expected = { responseCode: Number(reply.slice(0, 3)), response: reply };
      await assert.rejects(send(server, bearer(JANE, access_token)), expected);
    }
    server.refuse(JANE, undefined);
    await send(server, bearer(JANE, access_token));
  });

  it('takes an app password that it knows and no other', async () => {
    const server = await start({ passwords: { [JANE]: 'app password' } });
    await send(server, { user: JANE, pass: 'app password' });
    assert.equal(server.messages[0]?.mechanism, 'PLAIN');
    await assert.rejects(send(server, { user: JANE, pass: 'another' }), { responseCode: 535 });
  });

  it('takes no mail without AUTH and no AUTH without TLS', async () => {
    const server = await start({ tls: 'implicit' });
    const lines = await converse(server, ['EHLO client', `MAIL FROM:<${JANE}>`]);
    assert.match(lines.at(-1) ?? '', /^530 /);
    await server.stop();
    const plain = await start();
    const { host, port } = plain;
    const transport = createTransport({ host, port, ignoreTLS: true, auth: { user: JANE, pass: 'any' } });
    await assert.rejects(transport.verify(), { responseCode: 538 });
  });

  it('does not convince a client that trusts another authority', async () => {
    const server = await start({ certificate: await untrustedCertificate() });
    const { ca } = await trustedCertificate();
    await assert.rejects(send(server, bearer(JANE, 'any'), false, ca), /certificate/);
    assert.equal(server.authentications.length, 0);
  });
});

function xoauth2(user: string, token: string): string {
  return Buffer.from(`user=${user}\x01auth=Bearer ${token}\x01\x01`).toString('base64');
}

/** Sends each line once the reply to the one before it is complete; returns all lines of all replies. */
async function converse({ host, port, certificate }: SubmissionServer, commands: string[]): Promise<string[]> {
  const socket = connect({ host, port, ca: certificate.ca, servername: 'localhost' });
  await once(socket, 'secureConnect');
  const lines: string[] = [];
  const queue = [...commands];
  for await (const line of createInterface(socket)) {
    lines.push(line);
    if (line[3] === '-') continue;
    const command = queue.shift();
    if (command === undefined) break;
    socket.write(`${command}\r\n`);
  }
  socket.destroy();
  return lines;
}
