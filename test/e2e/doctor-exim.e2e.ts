/** The last links of `cms doctor`, with a real exim: its user at the socket, its configuration, its lines. */
import assert from 'node:assert/strict';
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { enrolOauth } from '../support/enrolled.ts';
import { CMS_PROGRAM, temporaryHome, type TemporaryHome } from '../support/environment.ts';
import { type Finished, PERSON, PrivateExim, requireExim, run, runAsRoot } from '../support/exim.ts';
import { type RunningProcess, start } from '../support/processes.ts';
import { type EmbeddedProvider, startProvider } from '../support/provider.ts';
import { startSubmission, type SubmissionServer } from '../support/submission.ts';

const JANE = 'jane@example.org';
const CONFIG = '/etc/exim4/exim4.conf';

interface Check {
  id: string;
  subject: string;
  status: string;
  summary: string;
  fix?: string[];
  who?: string;
}

describe('cms doctor and exim', function () {
  this.timeout(60_000);
  let exim: PrivateExim;
  let home: TemporaryHome;
  let provider: EmbeddedProvider;
  let submission: SubmissionServer;
  let broker: RunningProcess;
  const cleanups: (() => Promise<unknown>)[] = [];

  before(async function () {
    requireExim(this);
    provider = await startProvider();
    cleanups.push(() => provider.stop());
    submission = await startSubmission({ provider });
    cleanups.push(() => submission.stop());
    const { host, port, caFile } = submission;
    home = await temporaryHome({ caFile });
    cleanups.push(() => runAsRoot(['rm', '-rf', home.path]));
    await enrolOauth(home.env, provider, JANE, { host, port, tls: 'starttls' });
    await chmod(home.path, 0o755);
    await runAsRoot(['chown', '-R', PERSON, home.path]);
    exim = await PrivateExim.start('installable');
    cleanups.push(() => exim[Symbol.asyncDispose]());
    const { stdout } = await cms('exim-config', '--install', '--default', JANE, '--ca-file', caFile);
    assert.equal((await exim.asRoot(['sh'], stdout)).status, 0);
    broker = await serve();
    cleanups.push(() => broker.stop());
  });
  after(async () => {
    for (const cleanup of cleanups.reverse()) await cleanup();
  });

  const environment = (more: Record<string, string> = {}): string[] => [
    'env',
    '-i',
    ...Object.entries({ ...home.env, ...more }).map(([name, value]) => `${name}=${value ?? ''}`),
  ];
  const cms = (...args: string[]): Promise<Finished> =>
    exim.as(PERSON, [...environment(), process.execPath, CMS_PROGRAM, ...args]);

  async function serve(): Promise<RunningProcess> {
    const [file = '', ...argv] = exim.commandLine([...environment(), process.execPath, CMS_PROGRAM, 'serve'], PERSON);
    const begun = start(file, argv);
    await begun.waitFor(/listening.*exim\.sock/);
    return begun;
  }

  async function doctor(): Promise<{ checks: Check[]; status: number | null }> {
    const { stdout, stderr, status } = await cms('doctor', '--json');
    assert.notEqual(stdout, '', stderr);
    return { ...(JSON.parse(stdout) as { checks: Check[] }), status };
  }

  /** As root by sudo: the accounts are still those of the person. */
  async function doctorOfRoot(): Promise<{ checks: Check[]; status: number | null }> {
    const uid = (await run(['id', '-u', PERSON])).stdout.trim();
    const gid = (await run(['id', '-g', PERSON])).stdout.trim();
    const sudo = { SUDO_UID: uid, SUDO_GID: gid, SUDO_USER: PERSON };
    const { stdout, stderr, status } = await exim.asRoot([
      ...environment(sudo),
      ...[process.execPath, CMS_PROGRAM, 'doctor', '--json'],
    ]);
    assert.notEqual(stdout, '', stderr);
    return { ...(JSON.parse(stdout) as { checks: Check[] }), status };
  }

  const bad = (checks: readonly Check[]): string[] =>
    checks.filter(({ status }) => status === 'failure' || status === 'warning').map(({ id }) => id);

  /** Does `harm` as root, looks, and undoes it. */
  async function broken(harm: string, undo: string): Promise<Check[]> {
    const done = await exim.asRoot(['sh', '-ec', harm]);
    assert.equal(done.status, 0, done.stderr);
    try {
      return (await doctor()).checks;
    } finally {
      await exim.asRoot(['sh', '-ec', undo]);
    }
  }

  it('finds nothing wrong, and says through which account each sender goes', async () => {
    const { checks, status } = await doctor();
    assert.deepEqual([bad(checks), status], [[], 0], JSON.stringify(checks, null, 1));
    const senders = checks.filter(({ id }) => id === 'exim.sender');
    assert.deepEqual(
      senders.map(({ subject, status: state }) => [subject, state]),
      [
        ['<jane@example.org>', 'ok'],
        ['<>', 'ok'],
      ],
    );
    assert.match(senders[0]?.summary ?? '', /through jane@example\.org at 127\.0\.0\.1:\d+/);
    const mta = checks.find(({ id }) => id === 'mta');
    // Root without a password is at hand on some machines.
    assert.match(mta?.summary ?? '', /opened it|not tried as Debian-exim, which takes root/);
    if (mta?.status !== 'ok') assert.ok(mta?.fix?.some((line) => line.startsWith('sudo ')));
  });

  it("tries exim's user at the socket when root asks, on the accounts of the person", async () => {
    const { checks } = await doctorOfRoot();
    assert.deepEqual(bad(checks), [], JSON.stringify(checks, null, 1));
    assert.equal(checks.find(({ id }) => id === 'mta')?.summary, 'opened it');
    assert.ok(checks.some(({ id, subject }) => id === 'token' && subject === JANE));
  });

  it('tells of frozen mail, and status where exim shows its queue; else doctor says how to look', async () => {
    const before = await doctorOfRoot();
    assert.match(before.checks.find(({ id }) => id === 'exim.queue')?.summary ?? '', /^no mail is frozen$/);
    // The server takes neither the mail nor what exim reports of it.
    submission.refuseSender(JANE, '550 5.7.60 SendAsDenied');
    await exim.submit(['-f', JANE, 'x@elsewhere.example'], 'Subject: denied\n\nbody\n');
    submission.refuseSender(JANE, undefined);
    try {
      assert.match(await exim.log(), /Frozen/);
      const words = /^1 frozen message in exim's queue, for 0m$/;
      const { checks, status } = await doctorOfRoot();
      const queue = checks.find(({ id }) => id === 'exim.queue');
      assert.deepEqual([queue?.status, queue?.who, status], ['warning', 'root', 0]);
      assert.match(queue?.summary ?? '', words);
      assert.ok(queue?.fix?.some((line) => line.startsWith('sudo exim4 -Mvl ')));
      const mine = (await doctor()).checks.find(({ id }) => id === 'exim.queue');
      assert.match(`${mine?.status} ${mine?.summary}`, /^warning 1 frozen|^skipped exim shows its queue to root/);
      assert.ok(mine?.fix?.some((line) => line.startsWith('sudo exim4 -bp ')));
      const ids = (await run(['sh', '-c', `id -u ${PERSON}; id -g ${PERSON}`])).stdout.trim().split('\n');
      const member = ['setpriv', `--reuid=${ids[0]}`, `--regid=${ids[1]}`, '--groups=Debian-exim', '--'];
      const statusOf = (...flags: string[]) =>
        exim.asRoot([...member, ...environment(), process.execPath, CMS_PROGRAM, 'status', ...flags]);
      const { frozen } = JSON.parse((await statusOf('--json')).stdout) as { frozen: unknown };
      assert.deepEqual(frozen, { count: 1, oldest: '0m' });
      assert.match(
        (await statusOf()).stdout,
        /^1 frozen message in exim's queue, for 0m: exim4 -bp lists them, exim4/m,
      );
      assert.equal('frozen' in (JSON.parse((await cms('status', '--json')).stdout) as object), false);
    } finally {
      await exim.emptyQueue();
      await exim.clearLog();
    }
  });

  it("names a folder that keeps exim's user out", async () => {
    await exim.asRoot(['chmod', '2700', `/run/cms/${PERSON}`]);
    const { checks, status } = await doctorOfRoot();
    await exim.asRoot(['chmod', '2750', `/run/cms/${PERSON}`]);
    assert.deepEqual(bad(checks), ['mta'], JSON.stringify(checks, null, 1));
    assert.equal(status, 77);
    assert.match(checks.find(({ id }) => id === 'mta')?.summary ?? '', /Debian-exim cannot open it: EACCES/);
  });

  for (const [what, harm, id, words] of [
    ['a configuration of somebody else', `echo "keep_environment =" >${CONFIG}`, 'exim.config', /it is not ours/],
    ['one of an older cms', `echo "# changed" >>${CONFIG}`, 'exim.config', /not as it would be written now/],
    ['one that exim refuses', `sed -i "s/^never_users/no_such_option/" ${CONFIG}`, 'exim.judged', /no_such_option/],
    ['lines that are gone', `: >/etc/exim4/exim-smart-hosts`, 'exim.sender', /would not send now/],
  ] as const) {
    it(`names ${what}`, async () => {
      const keep = 'cd /etc/exim4; mkdir -p /run/kept; cp -p exim4.conf exim-smart-hosts /run/kept';
      const checks = await broken(`${keep}; ${harm}`, 'cp -p /run/kept/* /etc/exim4');
      // Each sender is a link of its own.
      assert.deepEqual([...new Set(bad(checks))], [id], JSON.stringify(checks, null, 1));
      const named = checks.find((check) => check.id === id && check.status !== 'ok');
      assert.match(named?.summary ?? '', words);
      assert.ok((named?.fix ?? []).length > 0);
    });
  }

  it('names lines that are behind the accounts', async () => {
    const file = join(home.configDir, 'accounts.json');
    const text = await readFile(file, 'utf8');
    const more = text.replace('"aliases": []', '"aliases": ["j@example.org"]');
    assert.notEqual(more, text);
    await writeFile(file, more);
    const { checks, status } = await doctor();
    await writeFile(file, text);
    assert.deepEqual([bad(checks), status], [['exim.accounts'], 78], JSON.stringify(checks, null, 1));
  });

  it('names the broker alone when it does not run', async () => {
    await broker.stop();
    const { checks, status } = await doctor();
    assert.deepEqual([bad(checks), status], [['broker'], 69], JSON.stringify(checks, null, 1));
    broker = await serve();
  });
});
