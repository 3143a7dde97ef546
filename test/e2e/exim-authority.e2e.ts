/** Servers with a private authority, and the real exim: what it is told of, what it is not, and who says so. */
import assert from 'node:assert/strict';
import { chmod, cp, mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { OAuthAccount } from '../../src/lib/accounts/account.ts';
import { enrolOauth } from '../support/enrolled.ts';
import { CMS_PROGRAM, temporaryHome, type TemporaryHome } from '../support/environment.ts';
import { type Finished, PERSON, PrivateExim, requireExim, runAsRoot } from '../support/exim.ts';
import { type RunningProcess, start } from '../support/processes.ts';
import { type EmbeddedProvider, startProvider } from '../support/provider.ts';
import { startSubmission, type SubmissionServer } from '../support/submission.ts';

const JANE = 'jane@example.org';
const BOB = 'bob@example.org';
const DAN = 'dan@example.net';
const CONFIG = '/etc/exim4/exim4.conf';
const LINES = '/etc/exim4/exim-smart-hosts';

interface Check {
  id: string;
  status: string;
  summary: string;
  cause?: string;
  fix?: string[];
}

describe('exim and a private authority', function () {
  this.timeout(60_000);
  let exim: PrivateExim;
  let home: TemporaryHome;
  let provider: EmbeddedProvider;
  let submission: SubmissionServer;
  let ca: string;
  let files: Record<string, OAuthAccount>;
  const cleanups: (() => Promise<unknown>)[] = [];

  before(async function () {
    requireExim(this);
    provider = await startProvider();
    cleanups.push(() => provider.stop());
    submission = await startSubmission({ provider });
    cleanups.push(() => submission.stop());
    const { host, port } = submission;
    home = await temporaryHome();
    cleanups.push(() => runAsRoot(['rm', '-rf', home.path]));
    for (const address of [JANE, BOB]) await enrolOauth(home.env, provider, address, { host, port, tls: 'starttls' });
    ({ accounts: files } = JSON.parse(await readFile(accountsFile(), 'utf8')) as { accounts: typeof files });
    ca = join(home.path, 'organisation.pem');
    await cp(submission.caFile, ca);
    await chmod(ca, 0o644);
    await chmod(home.path, 0o755);
    await runAsRoot(['chown', '-R', PERSON, home.path]);
    exim = await PrivateExim.start('installable');
    cleanups.push(() => exim[Symbol.asyncDispose]());
  });

  after(async () => {
    for (const cleanup of cleanups.reverse()) await cleanup();
  });

  beforeEach(async () => {
    await haveFiles({ [JANE]: ca, [BOB]: ca });
    await root(`rm -f /etc/exim4/* ${join(home.configDir, 'exim.json')}`);
  });

  const accountsFile = (): string => join(home.configDir, 'accounts.json');

  /** Accounts with these files of authorities, and no others. */
  async function haveFiles(wanted: Record<string, string | undefined>): Promise<void> {
    const accounts = Object.entries(wanted).map(([address, file]) => {
      const account = files[address];
      assert.ok(account);
      const { ca_file: _, ...client } = account.client;
      return [address, { ...account, client: { ...client, ...(file !== undefined && { ca_file: file }) } }];
    });
    const { vault_key } = JSON.parse(await readFile(accountsFile(), 'utf8')) as { vault_key?: unknown };
    await writeFile(accountsFile(), JSON.stringify({ version: 1, vault_key, accounts: Object.fromEntries(accounts) }));
  }

  const environment = (): string[] => [
    ...['env', '-i'],
    ...Object.entries(home.env).map(([name, value]) => `${name}=${value ?? ''}`),
  ];
  const cms = (...args: string[]): Promise<Finished> =>
    exim.as(PERSON, [...environment(), process.execPath, CMS_PROGRAM, ...args]);

  async function root(script: string, input = ''): Promise<Finished> {
    const done = await exim.asRoot(['sh', '-ec', script], input);
    assert.equal(done.status, 0, done.stderr);
    return done;
  }

  /** Prints the script, and runs it. */
  async function install(...flags: string[]): Promise<Finished & { said: string }> {
    const printed = await cms('exim-config', '--install', '--default', JANE, ...flags);
    assert.equal(printed.status, 0, printed.stderr);
    return { ...(await exim.asRoot(['sh'], printed.stdout)), said: printed.stderr };
  }

  async function trusted(): Promise<string | undefined> {
    const { stdout } = await exim.asRoot(['exim4', '-bP', 'transport', 'cms_smtp']);
    return /^tls_verify_certificates = (.*)$/m.exec(stdout)?.[1];
  }

  async function serve(): Promise<RunningProcess> {
    const [command = '', ...argv] = exim.commandLine(
      [...environment(), process.execPath, CMS_PROGRAM, 'serve'],
      PERSON,
    );
    const broker = start(command, argv);
    await broker.waitFor(/listening.*exim\.sock/);
    return broker;
  }

  /** As root by sudo, who can become exim's user. */
  async function tryJane(): Promise<Finished> {
    const uid = (await root(`id -u ${PERSON}`)).stdout.trim();
    const argv = [...environment(), `SUDO_UID=${uid}`, process.execPath, CMS_PROGRAM];
    return exim.asRoot([...argv, 'exim-config', '--try', JANE]);
  }

  async function doctor(): Promise<Check | undefined> {
    const { stdout, stderr } = await cms('doctor', '--json');
    assert.notEqual(stdout, '', stderr);
    return (JSON.parse(stdout) as { checks: Check[] }).checks.find(({ id }) => id === 'exim.authority');
  }

  it('takes the file that all accounts have, and sends', async () => {
    const done = await install();
    assert.equal(done.status, 0, done.stderr);
    assert.doesNotMatch(done.said, /will not trust/);
    assert.equal(await trusted(), ca);
    await using _broker = await serve();
    assert.equal((await tryJane()).status, 0);
    await exim.submit(['-f', JANE, 'x@elsewhere.example'], 'Subject: trusted\n\nbody\n');
    assert.equal(submission.messages.length, 1, await exim.log());
    assert.equal((await doctor())?.status, 'ok');
    assert.match((await cms('exim-config', '--section', 'transports')).stdout, new RegExp(`_certificates = ${ca}`));
  });

  it('names the file in doctor and in the trial where exim has only the system', async () => {
    assert.equal((await install('--ca-file', 'system')).status, 0);
    assert.equal(await trusted(), 'system');
    const found = await doctor();
    assert.equal(found?.status, 'failure');
    assert.match(found.summary, /exim does not know the authority/);
    assert.deepEqual(found.fix, [`cms exim-config --install --ca-file ${ca}`]);
    await using _broker = await serve();
    const { status, stdout, stderr } = await tryJane();
    assert.equal(status, 75);
    assert.match(stdout, /^certificate +failed/m);
    assert.ok(stderr.includes(`try: cms exim-config --install --ca-file ${ca}`), stderr);
    assert.equal((await install('--ca-file', ca)).status, 0);
    assert.equal((await doctor())?.status, 'ok');
  });

  it('says whose mail will wait where the accounts have not the same', async () => {
    await haveFiles({ [JANE]: ca, [BOB]: undefined });
    const { status, said } = await install();
    assert.equal(status, 0);
    assert.equal(await trusted(), 'system');
    assert.match(
      said,
      /will not trust .*\(jane@example\.org: it takes one file for all accounts.*\) before the system/,
    );
    assert.match(
      said,
      /^sudo install -m 0644 '.*organisation\.pem' .*organisation\.crt' && sudo update-ca-certificates$/m,
    );
    assert.doesNotMatch(said, /bob@/);
    await using _broker = await serve();
    const check = await cms('exim-config', '--check', '--json');
    const rows = JSON.parse(check.stdout) as { sender: string; ok: boolean; detail: string }[];
    assert.deepEqual(
      rows.map(({ sender, ok }) => [sender, ok]),
      [
        [`<${BOB}>`, true],
        [`<${JANE}>`, false],
        ['<>', false],
      ],
    );
    assert.match(rows[1]?.detail ?? '', /the certificate of 127\.0\.0\.1 is not trusted: it takes one file/);
    const found = await doctor();
    assert.match(found?.summary ?? '', /sends nothing for jane@example\.org/);
    assert.match(found?.fix?.[0] ?? '', /^sudo install .*update-ca-certificates$/);
  });

  it('says so where its user cannot read the file', async () => {
    await root(`install -m 0600 -o ${PERSON} ${ca} ${home.home}/closed.pem`);
    await haveFiles({ [JANE]: join(home.home, 'closed.pem') });
    const { said } = await install();
    assert.equal(await trusted(), 'system');
    assert.match(said, /\(jane@example\.org: its user cannot read \S+closed\.pem\)/);
  });

  it('finds a file that is closed or gone later', async () => {
    await install();
    await root(`chmod 0600 ${ca}`);
    const found = await doctor();
    await root(`chmod 0644 ${ca}`);
    assert.equal(found?.status, 'failure');
    assert.match(found.cause ?? '', /its user cannot read/);
    assert.equal(found.fix?.at(-1), 'cms exim-config --install --ca-file system');
  });

  it('gives the lines of others no other certificates before somebody says so', async () => {
    await root(`cat >${LINES}`, '# BEGIN cms eve\neve@example.net: host=h::587 user=e oauth=/s\n# END cms eve\n');
    const refused = await install();
    assert.equal(refused.status, 1);
    assert.match(refused.stderr, /holds lines that are not yours[^]*nothing was changed[^]*--install --ca-file \//);
    assert.equal((await exim.asRoot(['test', '-e', CONFIG])).status, 1);
    assert.equal((await install('--ca-file', ca)).status, 0);
    assert.equal(await trusted(), ca);
    assert.equal((await install()).stdout, 'cms: exim is up to date\n');
  });

  it('keeps the certificates of another user of this host', async () => {
    await install();
    // Not below the home directory of someone else: cms would not trust it.
    const other = await mkdtemp(join(tmpdir(), 'cms-other-'));
    cleanups.push(() => runAsRoot(['rm', '-rf', other]));
    await mkdir(join(other, '.config', 'cms'), { recursive: true, mode: 0o700 });
    const { [BOB]: bob } = files;
    await writeFile(
      join(other, '.config', 'cms', 'accounts.json'),
      JSON.stringify({ version: 1, accounts: { [DAN]: { ...bob, address: DAN } } }),
    );
    await root(`chown -R daemon ${other}`);
    const argv = ['env', '-i', `PATH=${process.env.PATH ?? ''}`, `HOME=${other}`, process.execPath, CMS_PROGRAM];
    const printed = await exim.as('daemon', [...argv, 'exim-config', '--install']);
    assert.equal(printed.status, 0, printed.stderr);
    const installed = await exim.asRoot(['sh'], printed.stdout);
    assert.equal(installed.status, 0, installed.stderr);
    assert.equal(await trusted(), ca);
    assert.match((await root(`cat ${LINES}`)).stdout, /BEGIN cms daemon/);
  });

  for (const [what, file, words] of [
    ['is not there', '/etc/exim4/none.pem', /cannot read the file of authorities \/etc\/exim4\/none\.pem: ENOENT/],
    ['holds no certificate', '/etc/passwd', /there is no certificate in \/etc\/passwd/],
    ['has a name that is no path', 'ca.pem', /must be an absolute path/],
  ] as const) {
    it(`refuses a file that ${what}`, async () => {
      for (const mode of ['--install', '--check', '--json']) {
        const { status, stderr } = await cms('exim-config', mode, '--ca-file', file);
        assert.equal(status, 78);
        assert.match(stderr, words);
      }
    });
  }

  it('refuses a file that its user could not read', async () => {
    await root(`install -m 0600 -o ${PERSON} ${ca} ${home.path}/mine.pem`);
    const { status, stderr } = await cms('exim-config', '--install', '--ca-file', join(home.path, 'mine.pem'));
    assert.equal(status, 78);
    assert.match(stderr, /exim's user cannot read .*mine\.pem[^]*try: sudo install -m 0644/);
  });
});
