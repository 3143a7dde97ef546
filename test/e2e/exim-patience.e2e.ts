/** How long exim keeps mail that cannot leave: what waits for a person, what a server keeps, and what comes after it. */
import assert from 'node:assert/strict';
import { planExim } from '../../src/lib/exim/install/plan.ts';
import { xoauth2 } from '../../src/lib/core/sasl.ts';
import { EXIM, PrivateExim, requireExim } from '../support/exim.ts';
import { startProvider } from '../support/provider.ts';
import { StubBroker } from '../support/stub-broker.ts';
import { startSubmission, type SubmissionServer } from '../support/submission.ts';

const JANE = 'jane@example.org';
const HAND = 'hand@example.org';
const OFFICE = 'office@example.org';
const GONE = 'gone@example.org';
const DAY = 24 * 60 * 60;
const TO = 'x@elsewhere.example';

describe('the patience of exim', function () {
  this.timeout(60_000);
  let exim: PrivateExim;
  let submission: SubmissionServer;
  let broker: StubBroker;
  let config: string;
  let ready: string;
  const cleanups: (() => Promise<unknown>)[] = [];

  before(async function () {
    requireExim(this);
    exim = await PrivateExim.start();
    cleanups.push(() => exim[Symbol.asyncDispose]());
    const provider = await startProvider();
    cleanups.push(() => provider.stop());
    const passwords = { [OFFICE]: 'secret', [HAND]: 'wrong' };
    submission = await startSubmission({ provider, passwords });
    cleanups.push(() => submission.stop());
    broker = new StubBroker(exim.socket);
    await broker.start();
    cleanups.push(() => broker.stop());
    const facts = { user: 'jane', hostName: 'laptop', accounts: [], installed: undefined };
    ({ config } = planExim({ socket: exim.socket, caFile: submission.caFile }, facts));
    const host = `host=127.0.0.1::${submission.port}`;
    ready = `SMTP,host=127.0.0.1,port=${submission.port},ready ${JANE}`;
    broker.answers.set(`SMTP,host=127.0.0.1,port=${submission.port} ${JANE}`, xoauth2(JANE, 'not-a-token'));
    const lines = [
      `${JANE}: ${host} user=${JANE} oauth=${exim.socket}`,
      `${HAND}: ${host} user=${HAND} password=wrong`,
      // Nobody listens there.
      `${GONE}: host=127.0.0.1::1 user=${GONE} password=x`,
      `*: ${host} user=${OFFICE} password=secret`,
    ];
    await exim.install('exim-smart-hosts', `${lines.join('\n')}\n`, '0640');
  });
  after(async () => {
    for (const cleanup of cleanups.reverse()) await cleanup();
  });
  beforeEach(async () => {
    await exim.install('exim4.conf', config, '0644');
    await exim.emptyQueue();
    await exim.clearLog();
    await exim.asRoot(['sh', '-c', 'rm -f /var/spool/exim4/db/*']);
    broker.answers.delete(ready);
    submission.messages.length = 0;
    submission.authentications.length = 0;
    for (const user of [JANE, HAND]) submission.refuse(user, undefined);
  });

  /** The rules end after a second in place of four days. */
  const impatient = () => exim.install('exim4.conf', config.replaceAll('F,4d,', 'F,1s,'), '0644');

  /** A mail that came in so many days ago, without an attempt. @returns its id */
  async function mailOf(sender: string, days: number): Promise<string> {
    const before = await ids();
    await exim.enqueue(['-f', sender, TO], `From: ${sender}\nTo: ${TO}\nSubject: waits\n\nbody\n`);
    const [id = ''] = (await ids()).filter((each) => !before.includes(each));
    const received = Math.floor(Date.now() / 1000 - days * DAY);
    const spool = `$(find /var/spool/exim4/input -name ${id}-H)`;
    const aged = await exim.asRoot(['sh', '-ec', `sed -i '4s/^[0-9]* /${received} /' ${spool}`]);
    assert.equal(aged.status, 0, aged.stderr);
    return id;
  }

  async function ids(): Promise<string[]> {
    const { stdout } = await exim.asRoot([EXIM, '-bpr']);
    return [...stdout.matchAll(/\b\w{6}-\w{6,11}-\w{2,4}\b/g)].map(([id]) => id);
  }

  const run = () => exim.asRoot([EXIM, '-qff']);

  /** Queue runs until the mail has left the queue. */
  async function untilGone(id: string): Promise<void> {
    while ((await ids()).includes(id)) await run();
  }

  const returned = (reason: RegExp, subject = /^Mail delivery failed/) => {
    const reports = submission.messages.filter(({ user }) => user === OFFICE);
    const bounces = reports.filter(({ headers }) => subject.test(headers.get('subject') ?? ''));
    return bounces.filter(({ raw }) => reason.test(raw)).map(({ to }) => to);
  };

  it('keeps what waits for a sign-in for 14 days, then returns it, by its own age and with the reason', async () => {
    broker.answers.set(ready, 'authorization required: run cms account add');
    const [older, younger] = [await mailOf(JANE, 15), await mailOf(JANE, 13)];
    await run();
    assert.deepEqual(await ids(), [younger]);
    assert.deepEqual(returned(/authorization required: run cms account add/), [[JANE]]);
    assert.match(await exim.log(), new RegExp(`${older} \\*\\* ${TO} .*R=cms_ready.*authorization required`));
    broker.answers.delete(ready);
    assert.ok(!submission.authentications.some(({ user }) => user === JANE));
  });

  it('returns nothing early, however long mail to the same recipient has waited', async () => {
    await impatient();
    broker.answers.set(ready, 'authorization required');
    const first = await mailOf(JANE, 0);
    await run();
    // Its rule ends after a second for whoever fails at the same time.
    const clock = await mailOf(GONE, 5);
    await untilGone(clock);
    const next = await mailOf(JANE, 0);
    await run();
    assert.deepEqual((await ids()).sort(), [first, next].sort());
    assert.deepEqual(returned(/authorization required/), []);
  });

  it('returns what a server keeps from being sent after the four days of Debian', async () => {
    await impatient();
    const old = await mailOf(GONE, 5);
    await untilGone(old);
    assert.match(await exim.log(), new RegExp(`${old} \\*\\* ${TO}.*(?:Connection refused|retry timeout exceeded)`));
    assert.deepEqual(returned(/Connection refused|retry timeout/), [[GONE]]);
  });

  for (const [what, sender, each] of [
    ['a token', JANE, 1],
    // By PLAIN, then by LOGIN.
    ['a password', HAND, 2],
  ] as const) {
    it(`tries mail whose login by ${what} is refused for 14 days and once more, then returns it`, async () => {
      submission.refuse(sender, '535 5.7.8 no');
      const [older, younger] = [await mailOf(sender, 15), await mailOf(sender, 13)];
      const logins = () => submission.authentications.filter(({ user }) => user === sender).length;
      await run();
      assert.deepEqual((await ids()).sort(), [older, younger].sort(), await exim.log());
      assert.equal(logins(), 2 * each);
      await run();
      assert.deepEqual(await ids(), [younger]);
      assert.equal(logins(), 3 * each, 'that of the younger one');
      assert.deepEqual(returned(/could not be sent for 14 days/), [[sender]]);
      assert.doesNotMatch(await exim.log('paniclog'), /./);
    });
  }

  it('tries mail that has become old while the host was off, before it is returned', async () => {
    submission.refuse(HAND, '535 5.7.8 no');
    const old = await mailOf(HAND, 30);
    submission.refuse(HAND, undefined);
    await run();
    assert.equal((await ids()).includes(old), false);
    assert.deepEqual(
      submission.messages.map(({ user, to }) => [user, to]),
      [[HAND, [TO]]],
    );
  });

  it('warns the sender each day', async () => {
    broker.answers.set(ready, 'authorization required');
    const id = await mailOf(JANE, 1.5);
    await run();
    assert.deepEqual(returned(/authorization required/, /^Warning: message .* delayed/), [[JANE]]);
    await run();
    assert.equal(submission.messages.length, 1, 'not more often');
    const spool = `$(find /var/spool/exim4/input -name ${id}-H)`;
    await exim.asRoot(['sh', '-ec', `sed -i "4s/^[0-9]* /${Math.floor(Date.now() / 1000 - 2.5 * DAY)} /" ${spool}`]);
    await run();
    assert.equal(submission.messages.length, 2);
  });
});
