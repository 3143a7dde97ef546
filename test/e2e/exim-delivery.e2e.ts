/**
 * Mail through a real exim with the generated files, submitted by an ordinary user, with tokens from a real `cms serve`
 * and against a submission server that asks the provider about every token.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { type AddressInfo, connect, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { planExim } from '../../src/lib/exim/install/plan.ts';
import { openContext } from '../../src/lib/context.ts';
import { type ServerCertificate, untrustedCertificate } from '../support/certificates.ts';
import { enrolOauth, enrolPassword, enrolRevoked } from '../support/enrolled.ts';
import { spawnCms, temporaryHome, type TemporaryHome } from '../support/environment.ts';
import { PERSON, PrivateExim, requireExim, SENDMAIL } from '../support/exim.ts';
import type { RunningProcess } from '../support/processes.ts';
import { type EmbeddedProvider, startProvider } from '../support/provider.ts';
import { startSubmission, type SubmissionOptions, type SubmissionServer } from '../support/submission.ts';

const PASSWORD = 'a^b:;c$d\\e}^^{"f g';
/** Everything that an address may have here and that might mean something to exim. */
const ODD = "o'b^r=i|e+n/x%y!z&`q`?~@example.net";

describe('mail through exim', function () {
  this.timeout(30_000);

  let exim: PrivateExim;
  let provider: EmbeddedProvider;
  let home: TemporaryHome;
  const cleanups: (() => Promise<unknown>)[] = [];
  let broker: RunningProcess | undefined;
  let submission: SubmissionServer;
  let implicit: SubmissionServer;
  let stranger: SubmissionServer;
  let loginOnly: SubmissionServer;
  let tokensOnly: SubmissionServer;
  const servers: SubmissionServer[] = [];

  async function server(options: Omit<SubmissionOptions, 'provider'> = {}): Promise<SubmissionServer> {
    const started = await startSubmission({
      provider,
      passwords: { 'pw@example.net': PASSWORD, 'hand@example.net': 'hand^made', [ODD]: '^odd' },
      delegates: { 'jane@example.org': ['office@example.org'] },
      ...options,
    });
    servers.push(started);
    return started;
  }

  const at = ({ host, port }: SubmissionServer, tls: 'starttls' | 'implicit' = 'starttls') => ({ host, port, tls });

  before(async function () {
    requireExim(this);
    exim = await PrivateExim.start();
    cleanups.push(() => exim[Symbol.asyncDispose]());
    provider = await startProvider();
    cleanups.push(() => provider.stop());
    const foreign: ServerCertificate = await untrustedCertificate();
    [submission, implicit, stranger, loginOnly, tokensOnly] = await Promise.all([
      server(),
      server({ tls: 'implicit' }),
      server({ certificate: foreign }),
      server({ mechanisms: ['LOGIN'] }),
      server({ mechanisms: ['XOAUTH2'] }),
    ]);
    home = await temporaryHome();
    cleanups.push(() => home.remove());
    await enrolOauth(home.env, provider, 'jane@example.org', at(submission), { aliases: ['@alias.example'] });
    await enrolOauth(home.env, provider, 'bob@example.org', at(submission));
    await enrolOauth(home.env, provider, 'carol@example.net', at(implicit, 'implicit'));
    await enrolOauth(home.env, provider, 'office@example.org', at(submission), { smtp_user: 'jane@example.org' });
    await enrolRevoked(home.env, provider, 'gone@example.org', at(submission));
    await enrolOauth(home.env, provider, 'foreign@example.org', at(stranger));
    await enrolOauth(home.env, provider, 'only@example.org', at(tokensOnly));
    await enrolPassword(home.env, 'pw@example.net', at(submission), PASSWORD);
    await enrolPassword(home.env, ODD, at(submission), '^odd');
    await startBroker();
  });

  after(async () => {
    await broker?.stop();
    for (const one of servers) await one.stop();
    for (const cleanup of cleanups.reverse()) await cleanup();
  });

  beforeEach(async () => {
    await installFiles({ defaultAddress: 'bob@example.org' });
    await exim.emptyQueue();
    await exim.clearLog();
    for (const one of servers) {
      one.messages.length = 0;
      one.authentications.length = 0;
    }
  });

  /** The two generated files, with lines written by hand in front of ours. */
  async function installFiles({ defaultAddress }: { defaultAddress?: string } = {}, byHand = ''): Promise<void> {
    const plan = planExim(
      { socket: exim.socket, caFile: submission.caFile, defaultAddress },
      {
        user: 'jane',
        hostName: 'laptop',
        accounts: await openContext(home.env).accounts.list(),
        installed: undefined,
      },
    );
    await exim.install('exim4.conf', plan.config, '0644');
    await exim.install('exim-smart-hosts', `${byHand}${plan.block}`, '0640');
  }

  async function startBroker(): Promise<void> {
    const flags = ['--mode', '0660', '--group', 'Debian-exim', '--protocol', 'smtp', '--passwords'];
    broker = spawnCms(['serve', '--socket', exim.socket, ...flags], { env: home.env });
    await broker.waitFor(/listening.*exim\.sock/);
  }

  async function stopBroker(): Promise<void> {
    await broker?.stop();
    broker = undefined;
  }

  const mail = (from: string, to = 'x@elsewhere.example') => `From: ${from}\nTo: ${to}\nSubject: test\n\nbody\n`;

  async function send(from: string, ...more: string[]): Promise<void> {
    const { status, stderr } = await exim.submit(['-f', from, 'x@elsewhere.example', ...more], mail(from));
    assert.deepEqual([status, stderr], [0, '']);
  }

  const summary = (one: SubmissionServer) => one.messages.map(({ user, from }) => `${from} as ${user}`).sort();

  it('gives each message its own login, also where many leave for one host in one queue run', async () => {
    const senders = ['jane@example.org', 'bob@example.org', 'jane@example.org', 'bob@example.org', 'carol@example.net'];
    for (const from of senders) await exim.enqueue(['-f', from, 'x@elsewhere.example'], mail(from));
    await exim.runQueue();
    assert.deepEqual(summary(submission), [
      'bob@example.org as bob@example.org',
      'bob@example.org as bob@example.org',
      'jane@example.org as jane@example.org',
      'jane@example.org as jane@example.org',
    ]);
    assert.deepEqual(summary(implicit), ['carol@example.net as carol@example.net']);
    assert.equal(submission.authentications.length, 4, 'a login for each message');
    assert.ok(
      submission.authentications.every(({ initialResponse }) => !initialResponse),
      'in two steps',
    );
  });

  it('finds the account by alias domain, and logs in as the user that the account says', async () => {
    await send('anybody@alias.example');
    await send('office@example.org');
    assert.deepEqual(summary(submission), [
      'anybody@alias.example as jane@example.org',
      'office@example.org as jane@example.org',
    ]);
  });

  it('holds back an account that has to sign in, says so in the log, and sends the others', async () => {
    for (const from of ['gone@example.org', 'jane@example.org', 'gone@example.org', 'bob@example.org']) {
      await exim.enqueue(['-f', from, `${from.split('@')[0] ?? ''}@elsewhere.example`], mail(from));
    }
    await exim.runQueue('-qq');
    assert.deepEqual(summary(submission), [
      'bob@example.org as bob@example.org',
      'jane@example.org as jane@example.org',
    ]);
    assert.match(
      await exim.log(),
      /gone@elsewhere\.example R=cms_ready defer.*authorization required.*cms account add gone@/,
    );
    assert.equal(await exim.queueSize(), 2);
    assert.ok(submission.authentications.every(({ user }) => user !== 'gone@example.org'));
  });

  it('does not make others wait for minutes whose mail goes to the same recipient', async () => {
    await send('gone@example.org');
    await exim.emptyQueue();
    await sleep(1100);
    await exim.enqueue(['-f', 'jane@example.org', 'x@elsewhere.example'], mail('jane@example.org'));
    await exim.runQueue('-qq');
    assert.deepEqual(summary(submission), ['jane@example.org as jane@example.org']);
  });

  it('sends the others when the server refuses one account, and tells the broker', async () => {
    submission.refuse('bob@example.org', '535 5.7.139 Authentication unsuccessful, SMTP is disabled for the mailbox');
    try {
      const senders = [
        'bob@example.org',
        'jane@example.org',
        'bob@example.org',
        'jane@example.org',
        'jane@example.org',
      ];
      for (const from of senders) {
        await exim.enqueue(['-f', from, `${from.split('@')[0] ?? ''}@elsewhere.example`], mail(from));
      }
      await exim.runQueue('-qq');
      assert.deepEqual(summary(submission), Array(3).fill('jane@example.org as jane@example.org'));
      assert.match(await exim.log(), /cms_xoauth2 authenticator failed .* 535 5\.7\.139 Authentication unsuccessful/);
      assert.equal(await exim.queueSize(), 2);
      await broker?.waitFor(/refused the token.*bob@example\.org|bob@example\.org.*refused the token/s);
    } finally {
      submission.refuse('bob@example.org', undefined);
    }
    await exim.runQueue();
    assert.equal(await exim.queueSize(), 0);
  });

  it('logs what the server said after its challenge', async () => {
    await installFiles(
      {},
      `jane@example.org: host=127.0.0.1::${submission.port} user=wrong@example.org account=jane@example.org oauth=${exim.socket}\n`,
    );
    await send('jane@example.org');
    assert.match(
      await exim.log(),
      /cms_xoauth2 authenticator failed .*535.*5\.7\.8 Username and Password not accepted/,
    );
    assert.equal(await exim.queueSize(), 1);
  });

  it('sends nothing to a server whose certificate is not trusted', async () => {
    await send('foreign@example.org');
    assert.match(await exim.log(), /defer .*certificate verification failed/);
    assert.deepEqual([stranger.authentications.length, stranger.messages.length], [0, 0]);
    assert.equal(await exim.queueSize(), 1);
  });

  it('sends nothing to a server whose certificate is for another name', async () => {
    // The same server under an address that its certificate does not have.
    const alias = createServer((from) => {
      const to = connect(submission.port, submission.host);
      from.on('error', () => to.destroy()).pipe(to);
      to.on('error', () => from.destroy()).pipe(from);
    });
    alias.listen(0, '127.0.0.2');
    await once(alias, 'listening');
    const { port } = alias.address() as AddressInfo;
    await stopBroker();
    await enrolOauth(home.env, provider, 'named@example.org', { host: '127.0.0.2', port, tls: 'starttls' });
    await startBroker();
    await installFiles();
    await send('named@example.org');
    alias.close();
    assert.match(await exim.log(), /H=127\.0\.0\.2 .*certificate/);
    assert.deepEqual([submission.authentications.length, submission.messages.length], [0, 0]);
  });

  it('tells the broker of a refusal also where tokens are all that the server takes', async () => {
    tokensOnly.refuse('only@example.org', '535 5.7.8 no');
    await send('only@example.org');
    await broker?.waitFor(/only@example\.org.*refused the token|refused the token.*only@example\.org/s);
    assert.match(await exim.log(), /cms_xoauth2 authenticator failed .* 535 5\.7\.8 no/);
    tokensOnly.refuse('only@example.org', undefined);
    await exim.runQueue();
    assert.deepEqual(summary(tokensOnly), ['only@example.org as only@example.org']);
  });

  it('waits while the broker is down, says so, and sends when it is back', async () => {
    await stopBroker();
    await send('jane@example.org');
    assert.match(await exim.log(), /R=cms_ready defer.*the broker is not running: cms serve/);
    assert.equal(await exim.queueSize(), 1);
    await startBroker();
    await exim.runQueue();
    assert.deepEqual(summary(submission), ['jane@example.org as jane@example.org']);
    assert.equal(await exim.queueSize(), 0);
  });

  it('sends the mail of cron to the default account, from its address', async () => {
    const cron = 'From: root (Cron Daemon)\nTo: root\nSubject: Cron <root@laptop> true\n\noutput\n';
    await exim.submit(['-FCronDaemon', '-i', '-B8BITMIME', '-oem', 'root'], cron, 'root');
    const [message] = submission.messages;
    assert.deepEqual(
      [message?.user, message?.from, message?.to],
      ['bob@example.org', 'bob@example.org', ['bob@example.org']],
    );
    assert.match(message?.headers.get('from') ?? '', /bob@example\.org/);
    assert.doesNotMatch(message?.headers.get('from') ?? '', /root@/);
  });

  it('goes by From: where a program gives no sender', async () => {
    await exim.submit(['x@elsewhere.example'], mail('Jane <Jane@example.org>'));
    await exim.submit(['-t'], mail('bob@example.org'));
    assert.deepEqual(summary(submission), [
      'bob@example.org as bob@example.org',
      'jane@example.org as jane@example.org',
    ]);
    assert.equal(submission.messages[0]?.headers.get('sender'), undefined);
  });

  it('sends what has neither sender nor From:, and what has very long lines', async () => {
    await exim.submit(['x@elsewhere.example'], `Subject: bare\n\n${'long '.repeat(500)}\n`);
    const [message] = submission.messages;
    assert.deepEqual([message?.user, message?.from], ['bob@example.org', 'bob@example.org']);
    assert.match(message?.headers.get('from') ?? '', /bob@example\.org/);
    assert.equal(message?.body.trim(), 'long '.repeat(500).trim());
  });

  it('takes mail from a program that speaks SMTP to sendmail -bs', async () => {
    const dialogue = ['EHLO x', 'MAIL FROM:<jane@example.org>', 'RCPT TO:<x@elsewhere.example>', 'DATA'];
    const input = [...dialogue, 'Subject: bs', '', 'body', '.', 'QUIT', ''].join('\r\n');
    const { stdout } = await exim.as(PERSON, [SENDMAIL, '-bs', '-odf'], input);
    assert.match(stdout, /^250 OK id=/m);
    await submission.waitForMessages();
    assert.deepEqual(summary(submission), ['jane@example.org as jane@example.org']);
  });

  it('sends what has an unknown sender, or none, through the default account', async () => {
    await send('who@nowhere.example');
    await exim.submit(['-f', '<>', 'x@elsewhere.example'], mail('Mailer-Daemon'));
    assert.deepEqual(summary(submission), [' as bob@example.org', 'who@nowhere.example as bob@example.org']);
  });

  it('keeps all of that in the queue, unbounced, without a default account', async () => {
    await installFiles();
    await send('who@nowhere.example');
    await exim.submit(['-f', '<>', 'x@elsewhere.example'], mail('Mailer-Daemon'));
    await exim.submit(['root'], mail('root', 'root'), 'root');
    const log = await exim.log();
    assert.match(log, /R=cms_line defer.*no line for <who@nowhere\.example> and no \* line/);
    assert.match(log, /R=cms_local defer.*no \* line/);
    assert.doesNotMatch(log, / \*\* |Frozen/);
    assert.equal(await exim.queueSize(), 3);
    await installFiles({ defaultAddress: 'bob@example.org' });
    await exim.runQueue();
    assert.equal(await exim.queueSize(), 0);
  });

  it('takes an app password from the broker, whatever characters it has', async () => {
    await send('pw@example.net');
    assert.deepEqual(summary(submission), ['pw@example.net as pw@example.net']);
    assert.equal(submission.messages[0]?.mechanism, 'PLAIN');
  });

  it('takes odd characters of an address and of a password for what they are', async () => {
    await send(ODD);
    assert.deepEqual(summary(submission), [`${ODD} as ${ODD}`]);
    const tried = submission.authentications.map(({ mechanism, accepted }) => [mechanism, accepted]);
    assert.deepEqual(tried, [['LOGIN', true]], 'PLAIN cannot carry a caret at the beginning');
  });

  it('works with lines written by hand, by domain and by address', async () => {
    const lines = [
      `hand.example: host=127.0.0.1::${submission.port} helo=cms user=jane@example.org oauth=${exim.socket}`,
      `hand@example.net: host=127.0.0.1::${submission.port} helo=cms user=hand@example.net password=hand^made`,
      `login@example.net: host=127.0.0.1::${loginOnly.port} user=hand@example.net password=hand^made`,
      '',
    ].join('\n');
    await installFiles({}, lines);
    for (const from of ['any@hand.example', 'hand@example.net', 'login@example.net']) await send(from);
    assert.deepEqual(summary(submission), [
      'any@hand.example as jane@example.org',
      'hand@example.net as hand@example.net',
    ]);
    assert.deepEqual(summary(loginOnly), ['login@example.net as hand@example.net']);
    assert.match(submission.messages[0]?.raw ?? '', /^Received:/m);
  });

  it('speaks TLS from the first byte to port 465 without being told', async () => {
    await installFiles({}, 'old@example.net: host=127.0.0.1::465 user=hand@example.net password=x\n');
    const { stdout } = await exim.asRoot(['exim4', '-f', 'old@example.net', '-bt', 'x@elsewhere.example']);
    assert.match(stdout, /transport = cms_smtps/);
  });

  it('lets only the users of a line send as it', async () => {
    const line = (users: string) =>
      `few@example.org: host=127.0.0.1::${submission.port} user=jane@example.org oauth=${exim.socket} users=${users}\n`;
    await installFiles({ defaultAddress: 'bob@example.org' }, line('nobody,root'));
    await exim.submit(['-f', 'few@example.org', 'x@elsewhere.example'], mail('few@example.org'), 'root');
    await send('few@example.org');
    assert.match(
      await exim.mailbox(),
      /^Subject: Not sent \(this local user may not send as jane@example\.org\): test$/m,
    );
    assert.doesNotMatch(await exim.log(), / \*\* /);
    const sent = submission.messages.filter(({ from }) => from === 'few@example.org');
    assert.equal(sent.length, 1);
  });

  it('sends nothing that a broker babbles', async () => {
    const { StubBroker } = await import('../support/stub-broker.ts');
    await stopBroker();
    await rm(exim.socket, { force: true });
    await using stub = new StubBroker(exim.socket);
    await stub.start();
    const answers = [
      '',
      'hello',
      'user=jane@example.org\x01auth=Bearer \x01\x01',
      'user=jane@example.org\x01auth=Bearer a b\x01\x01',
      'user=jane@example.org\x01auth=Bearer a^b\x01\x01',
      'user=jane@example.org\x01auth=Bearer abc\x01\x01\n250 OK',
      `user=jane@example.org\x01auth=Bearer ${'a'.repeat(5000)}\x01\x01`,
    ];
    for (const answer of answers) {
      stub.answers.set(`SMTP,host=127.0.0.1,port=${submission.port} jane@example.org`, answer);
      await send('jane@example.org');
    }
    assert.deepEqual(submission.authentications, []);
    assert.equal(await exim.queueSize(), answers.length);
    assert.doesNotMatch(await exim.log(), /Frozen/);
    await stub.stop();
    await startBroker();
    await exim.runQueue();
    assert.equal(await exim.queueSize(), 0);
  });

  it('leaves nothing in the panic log', async () => {
    await send('jane@example.org');
    assert.equal(await exim.log('paniclog'), '');
  });
});
