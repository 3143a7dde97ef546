/** The longest line that exim sends, measured at a real exim: what `cms account test` warns of is what exim chokes on. */
import assert from 'node:assert/strict';
import type { Account } from '../../src/lib/accounts/account.ts';
import { planExim } from '../../src/lib/exim/install/plan.ts';
import { tokenWarning } from '../../src/lib/account-test/account-test.ts';
import { xoauth2 } from '../../src/lib/core/sasl.ts';
import { Secret } from '../../src/lib/core/secret.ts';
import { PrivateExim, requireExim } from '../support/exim.ts';
import { type EmbeddedProvider, startProvider } from '../support/provider.ts';
import { StubBroker } from '../support/stub-broker.ts';
import { startSubmission, type SubmissionServer } from '../support/submission.ts';

/** So long that the line ends before the token does: 3000 bytes are its own limit. */
const USER = `${'jane.'.repeat(12)}doe@example.org`;
const LONGEST = 3069;
/** What stands in the configuration against a longer one. */
const GUARD = `{1,${LONGEST}}`;

describe("exim's longest line", function () {
  this.timeout(30_000);
  let exim: PrivateExim;
  let provider: EmbeddedProvider;
  let submission: SubmissionServer;
  let broker: StubBroker;
  let config: string;
  const cleanups: (() => Promise<unknown>)[] = [];

  before(async function () {
    requireExim(this);
    exim = await PrivateExim.start();
    cleanups.push(() => exim[Symbol.asyncDispose]());
    provider = await startProvider();
    cleanups.push(() => provider.stop());
    submission = await startSubmission({ provider });
    cleanups.push(() => submission.stop());
    submission.refuse('*', '454 4.7.0 Temporary authentication failure');
    broker = new StubBroker(exim.socket);
    await broker.start();
    cleanups.push(() => broker.stop());
    const facts = { user: 'jane', hostName: 'laptop', accounts: [], installed: undefined };
    ({ config } = planExim({ socket: exim.socket, caFile: submission.caFile }, facts));
    const line = `${USER}: host=127.0.0.1::${submission.port} user=${USER} oauth=${exim.socket}\n`;
    await exim.install('exim-smart-hosts', line, '0640');
  });
  after(async () => {
    for (const cleanup of cleanups.reverse()) await cleanup();
  });

  const tokenFor = (bytes: number): string => 'a'.repeat(bytes - xoauth2(USER, 'a').length + 1);

  /** Sends with a token that makes SASL's string so long. @returns what exim made of it */
  async function send(bytes: number): Promise<{ tried: number; log: string; panic: string }> {
    await exim.emptyQueue();
    await exim.clearLog();
    // What was refused before is not to be waited for.
    await exim.asRoot(['sh', '-c', 'rm -f /var/spool/exim4/db/*']);
    submission.authentications.length = 0;
    broker.answers.set(`SMTP,host=127.0.0.1,port=${submission.port} ${USER}`, xoauth2(USER, tokenFor(bytes)));
    await exim.submit(['-f', USER, 'x@elsewhere.example'], `From: ${USER}\nSubject: a line\n\nx\n`);
    const [log, panic] = await Promise.all([exim.log(), exim.log('paniclog')]);
    return { tried: submission.authentications.length, log, panic };
  }

  it('is base64 of 3069 bytes: one byte more and exim panics and freezes the message', async () => {
    assert.ok(config.includes(GUARD));
    await exim.install('exim4.conf', config.replace(GUARD, '{1,9999}'), '0644');
    const fits = await send(LONGEST);
    assert.deepEqual([fits.tried, fits.panic], [1, ''], fits.log);
    const over = await send(LONGEST + 1);
    assert.equal(over.tried, 0);
    assert.match(`${over.log}${over.panic}`, /Frozen/);
    assert.notEqual(over.panic, '');
  });

  it('is kept by the configuration of cms: the mail waits, and nothing panics', async () => {
    await exim.install('exim4.conf', config, '0644');
    assert.equal((await send(LONGEST)).tried, 1);
    const { tried, log, panic } = await send(LONGEST + 1);
    assert.deepEqual([tried, panic, await exim.queueSize()], [0, '', 1]);
    assert.doesNotMatch(log, /Frozen/);
  });

  it('is what cms account test warns of', () => {
    const account = { kind: 'oauth', address: USER, smtp_user: USER, client: { client_id: 'c' } } as unknown as Account;
    const warning = (bytes: number) => tokenWarning(account, { accessToken: new Secret(tokenFor(bytes)) });
    assert.equal(warning(LONGEST), undefined);
    assert.equal(warning(LONGEST + 1)?.id, 'token-too-long');
  });
});
