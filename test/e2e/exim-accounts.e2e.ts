/**
 * One exim, many accounts: whose mail a message is, what one account's trouble does to the others, and what exim says
 * to the broker. Mail is submitted by an ordinary user, as programs do it.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { openContext } from '../../src/lib/context.ts';
import { planExim } from '../../src/lib/exim/install/plan.ts';
import { xoauth2 } from '../../src/lib/core/sasl.ts';
import { enrolOauth, enrolPassword } from '../support/enrolled.ts';
import { spawnCms, temporaryHome, type TemporaryHome } from '../support/environment.ts';
import { PERSON, PrivateExim, requireExim, SENDMAIL } from '../support/exim.ts';
import type { RunningProcess } from '../support/processes.ts';
import { type EmbeddedProvider, startProvider } from '../support/provider.ts';
import { StubBroker } from '../support/stub-broker.ts';
import { startSubmission, type SubmissionServer } from '../support/submission.ts';

const JANE = 'jane@example.org';
const BOB = 'bob@example.org';
const DEFAULT = 'office@example.org';
const EVE = 'eve@evil.example';
const REFUSED = 'refused@example.org';
const TO = 'x@elsewhere.example';

describe('the accounts of one exim', function () {
  this.timeout(60_000);
  let exim: PrivateExim;
  let provider: EmbeddedProvider;
  let home: TemporaryHome;
  let submission: SubmissionServer;
  let bearerOnly: SubmissionServer;
  let broker: RunningProcess;
  const cleanups: (() => Promise<unknown>)[] = [];

  before(async function () {
    requireExim(this);
    exim = await PrivateExim.start();
    cleanups.push(() => exim[Symbol.asyncDispose]());
    provider = await startProvider();
    cleanups.push(() => provider.stop());
    const passwords = { 'pw@example.org': 'right' };
    submission = await startSubmission({ provider, passwords });
    bearerOnly = await startSubmission({ provider, mechanisms: ['OAUTHBEARER'] });
    cleanups.push(
      () => submission.stop(),
      () => bearerOnly.stop(),
    );
    home = await temporaryHome();
    cleanups.push(() => home.remove());
    const at = ({ host, port }: SubmissionServer) => ({ host, port, tls: 'starttls' as const });
    for (const address of [JANE, BOB, DEFAULT, EVE, REFUSED])
      await enrolOauth(home.env, provider, address, at(submission));
    await enrolOauth(home.env, provider, 'bearer@example.org', at(bearerOnly));
    await enrolPassword(home.env, 'pw@example.org', at(submission), 'wrong');
    const flags = ['--mode', '0660', '--group', 'Debian-exim', '--protocol', 'smtp', '--passwords'];
    broker = spawnCms(['serve', '--socket', exim.socket, ...flags], { env: home.env });
    cleanups.push(() => broker.stop());
    await broker.waitFor(/listening.*exim\.sock/);
  });

  after(async () => {
    for (const cleanup of cleanups.reverse()) await cleanup();
  });

  beforeEach(async () => {
    await installFiles();
    await exim.emptyQueue();
    await exim.clearLog();
    for (const server of [submission, bearerOnly]) {
      server.messages.length = 0;
      server.authentications.length = 0;
    }
  });

  async function installFiles(byHand = ''): Promise<void> {
    const request = { socket: exim.socket, caFile: submission.caFile, defaultAddress: DEFAULT };
    const accounts = await openContext(home.env).accounts.list();
    const { config, block } = planExim(request, { user: 'jane', hostName: 'laptop', accounts, installed: undefined });
    await exim.install('exim4.conf', config, '0644');
    await exim.install('exim-smart-hosts', `${byHand}${block}`, '0640');
  }

  const message = (...headers: string[]): string =>
    [...headers, `To: ${TO}`, 'Subject: test', '', 'body', ''].join('\n');
  const mailOf = (from: string): string => message(`From: ${from}`);
  const users = (): string[] => submission.messages.map(({ user }) => user).sort();

  async function enqueue(from: string, to = TO): Promise<void> {
    await exim.enqueue(['-f', from, to], mailOf(from));
  }

  describe('is chosen by the header where a program names no sender', () => {
    /** A display name as an encoded word (RFC 2047). */
    const encoded = (name: string): string =>
      `=?UTF-8?Q?${[...Buffer.from(name)].map((byte) => `=${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('')}?=`;

    const cases: [string, string[], string][] = [
      ['an encoded comma', [`From: ${encoded('Müller, Bob')} <${BOB}>`], BOB],
      ['an encoded colon and semicolon', [`From: ${encoded('Sales: Bob;')} <${BOB}>`], BOB],
      ['an encoded bracket', [`From: ${encoded('Bob (Sales')} <${BOB}>`], BOB],
      ['an encoded quote', [`From: ${encoded('Bob "B. Müller')} <${BOB}>`], BOB],
      ['an encoded @', [`From: ${encoded('bob@home')} <${BOB}>`], BOB],
      ['an encoded backslash', [`From: ${encoded('Bob\\')} <${BOB}>`], BOB],
      ['an address as an encoded name', [`From: ${encoded(`${EVE}, `)} <${BOB}>`], BOB],
      ['an encoded address in brackets', [`From: ${encoded(`x <${EVE}>, y`)} <${BOB}>`], BOB],
      ['two encoded words', [`From: ${encoded(`<${EVE}>,`)} ${encoded('(')} <${BOB}>`], BOB],
      ['an address in quotes', [`From: "${EVE}, x" <${BOB}>`], BOB],
      ['an address in a comment', [`From: ${BOB} (${EVE}, <${EVE}>)`], BOB],
      ['a folded header', ['From: Bob', `\t<${BOB}>`], BOB],
      ['capitals', ['From: <BOB@EXAMPLE.ORG>'], BOB],
      ['a name that should be in quotes', [`From: ${EVE} [x]; y <${BOB}>`], BOB],
      ['a group', [`From: sales: ${BOB};`], BOB],
      ['two authors and a sender', [`From: ${JANE}, ${EVE}`, `Sender: Bob <${BOB}>`], BOB],
      [
        'two authors, the sender with an encoded name',
        [`From: ${JANE}, ${EVE}`, `Sender: ${encoded('B, b')} <${BOB}>`],
        BOB,
      ],
      ['two authors without a sender', [`From: ${BOB}, ${EVE}`], BOB],
      ['one author and another sender', [`From: ${BOB}`, `Sender: ${EVE}`], BOB],
      ['two From: and a Sender:', [`From: ${JANE}`, `From: ${EVE}`, `Sender: ${BOB}`], BOB],
      ['a mail that is sent on', [`From: ${EVE}`, `Resent-From: Bob <${BOB}>`, `Resent-To: ${TO}`], BOB],
      ['an address that is encoded as a whole', [`From: ${encoded(EVE)}`], DEFAULT],
      ['an encoded word as local part', [`From: <${encoded('eve')}@evil.example>`], DEFAULT],
      ['a quoted local part', [`From: "${EVE}"@nowhere.example`], DEFAULT],
      ['an empty header', ['From:'], DEFAULT],
      ['no header', [], DEFAULT],
      ['expansions', ['From: ${lookup{x}} $h_to: <$sender_address>'], DEFAULT],
    ];
    for (const [what, headers, account] of cases) {
      it(`with ${what}`, async () => {
        await exim.submit(['-t'], message(...headers));
        assert.deepEqual(users(), [account], await exim.log());
      });
    }
  });

  it('is bob for whatever follows a plus, a VERP address as well', async () => {
    for (const from of ['bob+list@example.org', 'bob+user=remote.example@example.org', 'BOB+a+b@example.org']) {
      await exim.submit(['-f', from, TO], mailOf(from));
    }
    await exim.submit([TO], mailOf('Bob <bob+news@example.org>'));
    assert.deepEqual(users(), [BOB, BOB, BOB, BOB]);
    assert.equal(submission.messages[1]?.from, 'bob+user=remote.example@example.org');
  });

  it('has a line of its own for a plus address before that', async () => {
    await installFiles(`bob+list@example.org: host=127.0.0.1::${submission.port} user=${JANE} oauth=${exim.socket}\n`);
    await exim.submit(['-f', 'bob+list@example.org', TO], mailOf('bob+list@example.org'));
    assert.deepEqual(users(), [JANE]);
  });

  for (const reply of ['454 4.7.0 Temporary authentication failure', '421 4.7.0 Try again later', '535 5.7.8 no']) {
    for (const flag of ['-q', '-qq']) {
      it(`leaves in the first queue run (${flag}) while another is answered ${reply.slice(0, 3)}`, async () => {
        submission.refuse(REFUSED, reply);
        try {
          for (const number of [1, 2, 3, 4]) await enqueue(REFUSED, `b${number}@elsewhere.example`);
          await enqueue(JANE);
          for (const number of [5, 6, 7, 8]) await enqueue(REFUSED, `b${number}@elsewhere.example`);
          await exim.runQueue(flag);
          assert.deepEqual(users(), [JANE], await exim.log());
          assert.equal(await exim.queueSize(), 8);
          await enqueue(JANE);
          await exim.runQueue(flag);
          assert.deepEqual(users(), [JANE, JANE], await exim.log());
          assert.doesNotMatch(await exim.log(), / \*\* |Frozen/);
        } finally {
          submission.refuse(REFUSED, undefined);
        }
        // What is refused for good has been told to the broker, which waits for somebody.
        if (reply.startsWith('535')) return;
        await exim.runQueue(flag);
        assert.equal(await exim.queueSize(), 0, await exim.log());
      });
    }
  }

  it('leaves while the app password of another is wrong', async () => {
    for (const number of [1, 2, 3]) await enqueue('pw@example.org', `p${number}@elsewhere.example`);
    await enqueue(JANE);
    await exim.runQueue('-q');
    assert.deepEqual(users(), [JANE], await exim.log());
    assert.equal(await exim.queueSize(), 3);
  });

  it('leaves while the broker of another has no token after all, or is gone', async () => {
    const socket = join(exim.folder, 'run', 'other.sock');
    await using stub = new StubBroker(socket);
    await stub.start();
    await installFiles(`${BOB}: host=127.0.0.1::${submission.port} user=${BOB} oauth=${socket}\n`);
    for (const number of [1, 2, 3]) await enqueue(BOB, `b${number}@elsewhere.example`);
    await enqueue(JANE);
    await exim.runQueue('-q');
    assert.deepEqual(users(), [JANE], await exim.log());
    assert.deepEqual(
      submission.authentications.map(({ user }) => user),
      [JANE],
    );
    const at = `SMTP,host=127.0.0.1,port=${submission.port}`;
    assert.deepEqual([...new Set(stub.requests)].sort(), [`${at} ${BOB}`, `${at},ready ${BOB}`].sort(), 'none refused');
    await stub.stop();
    await enqueue(JANE);
    await exim.runQueue('-q');
    assert.deepEqual(users(), [JANE, JANE], await exim.log());
  });

  it('sends by OAUTHBEARER where the server knows nothing else', async () => {
    await exim.submit(['-f', 'bearer@example.org', TO], mailOf('bearer@example.org'));
    assert.deepEqual(
      bearerOnly.messages.map(({ user, mechanism }) => [user, mechanism]),
      [['bearer@example.org', 'OAUTHBEARER']],
      await exim.log(),
    );
    bearerOnly.refuse('bearer@example.org', '535 5.7.8 no');
    await exim.submit(['-f', 'bearer@example.org', TO], mailOf('bearer@example.org'));
    bearerOnly.refuse('bearer@example.org', undefined);
    assert.match(await exim.log(), /cms_oauthbearer authenticator failed .* 535 5\.7\.8 no/);
    await broker.waitFor(/bearer@example\.org.*refused the token|refused the token.*bearer@example\.org/s);
  });

  it('logs in once where the server knows both and refuses', async () => {
    const both = await startSubmission({ provider, mechanisms: ['OAUTHBEARER', 'XOAUTH2', 'PLAIN', 'LOGIN'] });
    try {
      both.refuse('*', '535 5.7.8 no');
      await installFiles(
        `${JANE}: host=127.0.0.1::${both.port} user=${JANE} oauth=${join(exim.folder, 'run', 's.sock')}\n`,
      );
      await using stub = new StubBroker(join(exim.folder, 'run', 's.sock'));
      await stub.start();
      const at = `SMTP,host=127.0.0.1,port=${both.port}`;
      stub.answers.set(`${at} ${JANE}`, xoauth2(JANE, 'token'));
      await exim.submit(['-f', JANE, TO], mailOf(JANE));
      assert.deepEqual(
        both.authentications.map(({ mechanism }) => mechanism),
        ['XOAUTH2'],
      );
      assert.deepEqual(stub.requests, [`${at},ready ${JANE}`, `${at} ${JANE}`, `${at},refused ${JANE}`]);
    } finally {
      await both.stop();
    }
  });

  it('asks the broker for nothing where the line does not name one host', async () => {
    await using stub = new StubBroker(join(exim.folder, 'run', 's.sock'));
    await stub.start();
    const fields = `user=${JANE} oauth=${join(exim.folder, 'run', 's.sock')}`;
    for (const host of ['"127.0.0.1 : 127.0.0.2"', '127.0.0.1,port=1::25', '127.0.0.1/mx', '"127.0.0.1 byname"']) {
      await installFiles(`${JANE}: host=${host} ${fields}\n`);
      await exim.submit(['-f', JANE, TO], mailOf(JANE));
    }
    assert.deepEqual(stub.requests, []);
    assert.match(await exim.log(), /R=cms_fields defer.*the line of jane@example\.org has no host=NAME::PORT/);
    assert.equal(await exim.queueSize(), 4);
  });

  describe('that a local user may not use', () => {
    beforeEach(async () => {
      await installFiles(
        `${JANE}: host=127.0.0.1::${submission.port} user=${JANE} oauth=${exim.socket} users=root,other\n`,
      );
      await exim.asRoot(['sh', '-c', 'rm -f /var/mail/*']);
    });

    for (const [how, args] of [
      ['by its envelope sender', ['-f', JANE, TO]],
      ['by From:', ['-t']],
    ] as const) {
      it(`gives the mail back to that user, and tells its owner nothing (${how})`, async () => {
        await exim.submit(args, mailOf(JANE));
        await exim.runQueue();
        assert.deepEqual([submission.messages, await exim.queueSize()], [[], 0], await exim.log());
        const mailbox = await exim.mailbox();
        assert.match(mailbox, /^Subject: Not sent \(this local user may not send as jane@example\.org\): test$/m);
        assert.match(mailbox, /^body$/m);
        assert.equal(mailbox.match(/^Subject:/gm)?.length, 1);
      });
    }

    it('is refused at once to a program that speaks SMTP', async () => {
      const dialogue = [
        'EHLO x',
        `MAIL FROM:<${JANE}>`,
        `RCPT TO:<${TO}>`,
        'DATA',
        'Subject: bs',
        '',
        'x',
        '.',
        'QUIT',
        '',
      ];
      const { stdout } = await exim.as(PERSON, [SENDMAIL, '-bs', '-odf'], dialogue.join('\r\n'));
      assert.match(stdout, /^550 this local user may not send as jane@example\.org/m);
      assert.deepEqual([submission.messages, await exim.queueSize()], [[], 0]);
    });

    it('serves the users of the line', async () => {
      await exim.submit(['-f', JANE, TO], mailOf(JANE), 'root');
      assert.deepEqual(users(), [JANE]);
    });
  });

  it('never goes to the server of another user, whose socket leads to this broker', async () => {
    await using theirs = await startSubmission({ provider });
    const folder = join(exim.folder, 'games');
    await exim.asRoot(['install', '-d', '-m', '2750', '-o', 'games', '-g', 'Debian-exim', folder]);
    const link = await exim.as('games', ['ln', '-s', exim.socket, join(folder, 'exim.sock')]);
    assert.equal(link.status, 0, link.stderr);
    const line = `host=127.0.0.1::${theirs.port} user=games account=${BOB} oauth=${join(folder, 'exim.sock')}`;
    for (const more of ['', ' auth=password', ' tls=implicit']) {
      await installFiles(`alias@games.example: ${line}${more}\n`);
      await exim.submit(['-f', 'alias@games.example', TO], mailOf('alias@games.example'), 'games');
    }
    assert.deepEqual([theirs.authentications, theirs.messages], [[], []]);
    assert.match(await exim.log(), /R=cms_ready defer.*not given for "127\.0\.0\.1:\d+", which is not its SMTP server/);
    assert.equal(await exim.queueSize(), 3);
  });

  it('tells the owner of a refused sender although the server takes no empty one', async () => {
    submission.refuseSender('', '550 5.7.60 SMTP; Client does not have permissions to send as this sender');
    submission.refuseSender('bob+odd@example.org', '554 5.2.252 SendAsDenied');
    try {
      await exim.submit(['-f', 'bob+odd@example.org', TO], mailOf('bob+odd@example.org'));
      const [bounce] = await submission.waitForMessages(1);
      assert.deepEqual([bounce?.user, bounce?.from, bounce?.to], [DEFAULT, DEFAULT, ['bob+odd@example.org']]);
      assert.match(bounce?.body ?? '', /SendAsDenied/);
      assert.match(bounce?.headers.get('auto-submitted') ?? '', /auto-replied/);
      await exim.runQueue();
      assert.equal(await exim.queueSize(), 0, await exim.log());
    } finally {
      submission.refuseSender('', undefined);
      submission.refuseSender('bob+odd@example.org', undefined);
    }
  });

  it('leaves nothing in the panic log', async () => {
    assert.equal(await exim.log('paniclog'), '');
  });
});
