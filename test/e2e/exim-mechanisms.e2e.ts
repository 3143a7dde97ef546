/** What promises to log in as exim does, and exim itself, at servers that offer other mechanisms than usual. */
import assert from 'node:assert/strict';
import { chmod } from 'node:fs/promises';
import { enrolOauth } from '../support/enrolled.ts';
import { CMS_PROGRAM, temporaryHome, type TemporaryHome } from '../support/environment.ts';
import { type Finished, PERSON, PrivateExim, requireExim, run, runAsRoot } from '../support/exim.ts';
import { startProvider } from '../support/provider.ts';
import { type RunningProcess, start } from '../support/processes.ts';
import { startSubmission, type SubmissionServer } from '../support/submission.ts';

describe('a server that offers other mechanisms', function () {
  this.timeout(30_000);

  let exim: PrivateExim;
  let home: TemporaryHome;
  let submission: SubmissionServer;
  const cleanups: (() => Promise<unknown>)[] = [];

  before(async function () {
    requireExim(this);
    const provider = await startProvider();
    cleanups.push(() => provider.stop());
    submission = await startSubmission({ provider });
    cleanups.push(() => submission.stop());
    const { host, port } = submission;
    home = await temporaryHome();
    cleanups.push(() => runAsRoot(['rm', '-rf', home.path]));
    await enrolOauth(home.env, provider, 'jane@example.org', { host, port, tls: 'starttls' });
    await chmod(home.path, 0o755);
    await runAsRoot(['chown', '-R', PERSON, home.path]);
    exim = await PrivateExim.start('installable');
    cleanups.push(() => exim[Symbol.asyncDispose]());
    const script = await cms('--install', '--ca-file', submission.caFile, '--default', 'jane@example.org');
    const installed = await exim.asRoot(['sh'], script.stdout);
    assert.equal(installed.status, 0, installed.stderr);
    const argv = exim.commandLine([...environment(), process.execPath, CMS_PROGRAM, 'serve'], PERSON);
    const broker: RunningProcess = start(argv[0] ?? '', argv.slice(1));
    cleanups.push(() => broker[Symbol.asyncDispose]());
    await broker.waitFor(/listening.*exim\.sock/);
  });
  after(async () => {
    for (const cleanup of cleanups.reverse()) await cleanup();
  });
  beforeEach(async () => {
    submission.authentications.length = 0;
    submission.messages.length = 0;
    await exim.clearLog();
  });

  const environment = (more: Record<string, string> = {}): string[] => [
    'env',
    '-i',
    ...Object.entries({ ...home.env, ...more }).map(([name, value]) => `${name}=${value ?? ''}`),
  ];

  function cms(...args: string[]): Promise<Finished> {
    return exim.as(PERSON, [...environment(), process.execPath, CMS_PROGRAM, 'exim-config', ...args]);
  }

  /** All that promise to do what exim does, then exim. */
  async function ask(): Promise<{ said: Finished[]; log: string }> {
    const uid = (await run(['id', '-u', PERSON])).stdout.trim();
    const sudo = [...environment({ SUDO_UID: uid }), process.execPath, CMS_PROGRAM, 'exim-config'];
    const trusting = environment({ NODE_EXTRA_CA_CERTS: submission.caFile });
    const said = [
      await exim.asRoot([...sudo, '--try', 'jane@example.org']),
      await cms('--check'),
      await exim.as(PERSON, [
        ...[...trusting, process.execPath, CMS_PROGRAM, 'account', 'test', 'jane@example.org'],
        ...['--protocol', 'smtp'],
      ]),
    ];
    const logins = submission.authentications.length;
    await exim.submit(['-f', 'jane@example.org', 'x@elsewhere.example'], 'Subject: other\n\nbody\n');
    assert.equal(submission.authentications.length - logins, submission.messages.length);
    return { said, log: await exim.log() };
  }

  for (const offered of ['CRAM-MD5', 'PLAIN LOGIN', '']) {
    it(`fails as exim does where it offers ${offered || 'none'}`, async () => {
      submission.offer(...offered.split(' ').filter(Boolean));
      const { said, log } = await ask();
      const theirs = offered === '' ? 'no login' : `logins by ${offered.replace(' ', ', ')}`;
      for (const { status, stdout, stderr } of said) {
        assert.notEqual(status, 0, stdout);
        const sentence = `the server offers ${theirs}; exim uses XOAUTH2 or OAUTHBEARER for a token`;
        assert.ok(`${stdout}${stderr}`.includes(sentence), `${stdout}${stderr}`);
      }
      assert.deepEqual(
        said.map(({ status }) => status),
        [77, 75, 78],
      );
      assert.match(log, /no common mechanisms were found|authentication required but server did not advertise/);
      assert.deepEqual([submission.authentications, submission.messages], [[], []]);
      await exim.emptyQueue();
    });
  }

  it('names the mechanism by which exim sends', async () => {
    submission.offer('PLAIN', 'OAUTHBEARER');
    const { said, log } = await ask();
    const [tried, check, test] = said;
    assert.deepEqual(
      said.map(({ status }) => status),
      [0, 0, 0],
      JSON.stringify(said),
    );
    assert.match(tried?.stdout ?? '', /^login +ok +accepted by OAUTHBEARER$/m);
    assert.match(check?.stdout ?? '', /ok \(cms_smtp\); route only, no login$/m);
    assert.match(test?.stdout ?? '', /login +ok +as jane@example\.org by OAUTHBEARER/);
    assert.deepEqual(
      submission.messages.map(({ mechanism }) => mechanism),
      ['OAUTHBEARER'],
      log,
    );
  });

  it('says of an installed configuration that names no server how it is renewed', async () => {
    const now = (await exim.asRoot(['cat', '/etc/exim4/exim4.conf'])).stdout;
    assert.doesNotMatch((await cms('--check')).stderr, /without naming the mail server/);
    await exim.install('exim4.conf', now.replaceAll('{$r_ask', '{SMTP'), '0644');
    const { status, stderr } = await cms('--check');
    await exim.install('exim4.conf', now, '0644');
    assert.equal(status, 0);
    assert.match(stderr, /exim4\.conf: .* without naming the mail server.*renew it: cms exim-config --install$/m);
  });
});
