/** `cms doctor` where exim keeps Debian's split configuration: the sections as the page says, one link broken at a time. */
import assert from 'node:assert/strict';
import { chmod, cp, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { enrolOauth } from '../support/enrolled.ts';
import { CMS_PROGRAM, temporaryHome, type TemporaryHome } from '../support/environment.ts';
import { type Finished, PERSON, PrivateExim, requireExim, runAsRoot } from '../support/exim.ts';
import { type RunningProcess, start } from '../support/processes.ts';
import { type EmbeddedProvider, startProvider } from '../support/provider.ts';
import { requires } from '../support/requirements.ts';
import { startSubmission, type SubmissionServer } from '../support/submission.ts';

const JANE = 'jane@example.org';
const SETTINGS = `dc_eximconfig_configtype='smarthost'
dc_use_split_config='true'
dc_smarthost=''
dc_other_hostnames='host.example'
dc_local_interfaces='127.0.0.1'
dc_localdelivery='mail_spool'
CFILEMODE='644'
`;
const FILES = {
  routers: 'router/190_cms',
  transports: 'transport/40_cms',
  retry: 'retry/20_cms',
  authenticators: 'auth/30_exim4-config_examples.rul',
  rewrite: 'rewrite/40_cms',
} as const;
const LINES = '/etc/exim4/exim-smart-hosts';

interface Check {
  id: string;
  subject: string;
  status: string;
  summary: string;
  fix?: string[];
  who?: string;
}

describe("cms doctor and Debian's split configuration", function () {
  this.timeout(60_000);
  let exim: PrivateExim;
  let home: TemporaryHome;
  let provider: EmbeddedProvider;
  let submission: SubmissionServer;
  let broker: RunningProcess;
  const cleanups: (() => Promise<unknown>)[] = [];

  before(async function () {
    requireExim(this);
    requires(this, 'exim4-config');
    provider = await startProvider();
    cleanups.push(() => provider.stop());
    submission = await startSubmission({ provider });
    cleanups.push(() => submission.stop());
    const { host, port, caFile } = submission;
    home = await temporaryHome({ caFile });
    cleanups.push(() => runAsRoot(['rm', '-rf', home.path]));
    await enrolOauth(home.env, provider, JANE, { host, port, tls: 'starttls' });
    await mkdir(home.configDir, { recursive: true });
    const skeleton = join(home.path, 'conf.d');
    await cp('/etc/exim4/conf.d', skeleton, { recursive: true });
    exim = await PrivateExim.start('installable');
    cleanups.push(() => exim[Symbol.asyncDispose]());
    const socket = `/run/cms/${PERSON}/exim.sock`;
    await writeFile(
      join(home.configDir, 'config.toml'),
      `[[socket]]\npath = "${socket}"\nmode = "0660"\ngroup = "Debian-exim"\nprotocols = ["smtp"]\n`,
      { mode: 0o600 },
    );
    await chmod(home.path, 0o755);
    await runAsRoot(['chown', '-R', PERSON, home.path]);
    await root(
      `mkdir -p ${exim.folder}/lib && mount --bind ${exim.folder}/lib /var/lib/exim4
      cp -r ${skeleton} /etc/exim4/ && cat >/etc/exim4/update-exim4.conf.conf
      install -d -m 0755 /run/cms && install -d -m 2750 -o ${PERSON} -g Debian-exim /run/cms/${PERSON}`,
      SETTINGS,
    );
    for (const [section, file] of Object.entries(FILES)) {
      const { stdout } = await cms(
        'exim-config',
        '--section',
        section,
        '--split',
        '--ca-file',
        caFile,
        '--helo',
        'mail.example.org',
      );
      await root(`cat >/etc/exim4/conf.d/${file}`, stdout);
    }
    const { stdout } = await cms('exim-config', '--section', 'smart-hosts', '--default', JANE);
    await root(`cat >${LINES} && update-exim4.conf`, stdout);
    const argv = exim.commandLine([...environment(), process.execPath, CMS_PROGRAM, 'serve'], PERSON);
    broker = start(argv[0] ?? '', argv.slice(1));
    cleanups.push(() => broker.stop());
    await broker.waitFor(/listening.*exim\.sock/);
  });
  after(async () => {
    for (const cleanup of cleanups.reverse()) await cleanup();
  });

  const environment = (): string[] => [
    'env',
    '-i',
    ...Object.entries(home.env).map(([name, value]) => `${name}=${value ?? ''}`),
  ];
  const cms = (...args: string[]): Promise<Finished> =>
    exim.as(PERSON, [...environment(), process.execPath, CMS_PROGRAM, ...args]);

  async function root(script: string, input = ''): Promise<void> {
    const { status, stderr } = await exim.asRoot(['sh', '-ec', script], input);
    assert.equal(status, 0, stderr);
  }

  async function doctor(): Promise<Check[]> {
    const { stdout, stderr } = await cms('doctor', '--json');
    assert.notEqual(stdout, '', stderr);
    return (JSON.parse(stdout) as { checks: Check[] }).checks;
  }

  const bad = (checks: readonly Check[]): Check[] =>
    checks.filter(({ status }) => status === 'failure' || status === 'warning');

  it('finds our sections and names them, and the account of each sender', async () => {
    const checks = await doctor();
    assert.deepEqual(bad(checks), [], JSON.stringify(checks, null, 1));
    const config = checks.find(({ id }) => id === 'exim.config');
    assert.equal(config?.subject, '/etc/exim4/conf.d');
    assert.match(config.summary, /split configuration: routers, transports, retry, authenticators, rewrite$/);
    assert.deepEqual(
      checks.filter(({ id, status }) => id === 'exim.sender' && status === 'ok').map(({ subject }) => subject),
      ['<jane@example.org>', '<>'],
    );
  });

  for (const [what, harm, undo, id, words] of [
    [
      'a configuration that takes its place',
      'cp /var/lib/exim4/config.autogenerated /etc/exim4/exim4.conf',
      'rm /etc/exim4/exim4.conf',
      'exim.config',
      /exim4\.conf is there, so exim does not read the split configuration/,
    ],
    [
      'the split configuration, switched off',
      'sed -i s/true/false/ /etc/exim4/update-exim4.conf.conf',
      'sed -i s/false/true/ /etc/exim4/update-exim4.conf.conf',
      'exim.config',
      /is switched off/,
    ],
    [
      'a section that is missing',
      `mv /etc/exim4/conf.d/${FILES.transports} /run/kept`,
      `mv /run/kept /etc/exim4/conf.d/${FILES.transports}`,
      'exim.config',
      /lacks sections of ours: transports$/,
    ],
    [
      'a section that exim has not read yet',
      `sed -i 's/^  host_find_failed = defer/  host_find_failed = freeze/' /etc/exim4/conf.d/${FILES.routers}`,
      `sed -i 's/^  host_find_failed = freeze/  host_find_failed = defer/' /etc/exim4/conf.d/${FILES.routers}`,
      'exim.config',
      /exim does not know routers yet/,
    ],
    [
      'a section of an older cms',
      `sed -i 's/{1,3069}/{1,3000}/' /etc/exim4/conf.d/${FILES.authenticators}; update-exim4.conf`,
      `sed -i 's/{1,3000}/{1,3069}/' /etc/exim4/conf.d/${FILES.authenticators}; update-exim4.conf`,
      'exim.config',
      /not as they would be written now: authenticators$/,
    ],
    [
      'routers of an older cms',
      `sed -i 's/{20s}/{10s}/' /etc/exim4/conf.d/${FILES.routers}; update-exim4.conf`,
      `sed -i 's/{10s}/{20s}/' /etc/exim4/conf.d/${FILES.routers}; update-exim4.conf`,
      'exim.config',
      /not as they would be written now: routers$/,
    ],
    [
      'routers that have a line more than now',
      `sed -i 's/^  self = send/&\\n  pass_on_timeout/' /etc/exim4/conf.d/${FILES.routers}; update-exim4.conf`,
      `sed -i '/pass_on_timeout/d' /etc/exim4/conf.d/${FILES.routers}; update-exim4.conf`,
      'exim.config',
      /not as they would be written now: routers$/,
    ],
    [
      'transports that lack a line of now',
      `cp -p /etc/exim4/conf.d/${FILES.transports} /run/kept; sed -i /tls_sni/d /etc/exim4/conf.d/${FILES.transports}; update-exim4.conf`,
      `mv /run/kept /etc/exim4/conf.d/${FILES.transports}; update-exim4.conf`,
      'exim.config',
      /not as they would be written now: transports$/,
    ],
    [
      'transports with a macro of an older cms',
      `sed -i 's/refused \$r_account}{2s}/refused $r_account}{3s}/' /etc/exim4/conf.d/${FILES.transports}; update-exim4.conf`,
      `sed -i 's/refused \$r_account}{3s}/refused $r_account}{2s}/' /etc/exim4/conf.d/${FILES.transports}; update-exim4.conf`,
      'exim.config',
      /not as they would be written now: transports$/,
    ],
    [
      'a rewriting of an older cms',
      `sed -i 's/}fail}" frs$/}fail}" fr/' /etc/exim4/conf.d/${FILES.rewrite}; update-exim4.conf`,
      `sed -i 's/}fail}" fr$/}fail}" frs/' /etc/exim4/conf.d/${FILES.rewrite}; update-exim4.conf`,
      'exim.config',
      /not as they would be written now: rewrite$/,
    ],
    [
      'a rewriting that exim has not read yet',
      `cp -p /etc/exim4/conf.d/${FILES.rewrite} /run/kept; sed -i 's/}fail}" frs$/}fail}" fr/' /etc/exim4/conf.d/${FILES.rewrite}`,
      `mv /run/kept /etc/exim4/conf.d/${FILES.rewrite}`,
      'exim.config',
      /exim does not know rewrite yet/,
    ],
    [
      'what exim refuses',
      'sed -i "s/^never_users/no_such_option/" /var/lib/exim4/config.autogenerated; echo no_such >>/var/lib/exim4/config.autogenerated',
      'update-exim4.conf',
      'exim.judged',
      /exim refuses its configuration/,
    ],
    [
      'lines that are gone',
      `mv ${LINES} /run/lines; : >${LINES}`,
      `mv /run/lines ${LINES}`,
      'exim.accounts',
      /our lines are not in it/,
    ],
    [
      'lines that are behind the accounts',
      `cp -p ${LINES} /run/lines; sed -i 's/127.0.0.1::[0-9]*/127.0.0.1::25/' ${LINES}`,
      `mv /run/lines ${LINES}`,
      'exim.accounts',
      /do not say what the accounts say now/,
    ],
  ] as const) {
    it(`names ${what}`, async () => {
      await root(harm);
      try {
        const found = bad(await doctor());
        assert.deepEqual(
          found.map((check) => check.id),
          [id],
          JSON.stringify(found, null, 1),
        );
        assert.match(found[0]?.summary ?? '', words);
        assert.ok((found[0]?.fix ?? []).length > 0);
      } finally {
        await root(undo);
      }
    });
  }

  it('proposes commands that mend the transports, with the options that they were written with', async () => {
    const path = `/etc/exim4/conf.d/${FILES.transports}`;
    await root(`sed -i 's/^  connection_max_messages = 1/  connection_max_messages = 2/' ${path}; update-exim4.conf`);
    const { fix = [] } = (await doctor()).find(({ id }) => id === 'exim.config') ?? {};
    assert.equal(fix.length, 2);
    const [words = ''] = (fix[0] ?? '').split('   #');
    const { stdout } = await cms(...words.split(' ').slice(1));
    await root(`cat >${path} && update-exim4.conf`, stdout);
    assert.deepEqual(bad(await doctor()), []);
  });

  it('lets a file hold other drivers and settings besides ours', async () => {
    const path = `/etc/exim4/conf.d/${FILES.transports}`;
    await root(
      `cp -p ${path} /run/kept; printf '\\nOWN = x\\n\\nown_transport:\\n  driver = smtp\\n' >>${path}; update-exim4.conf`,
    );
    assert.deepEqual(bad(await doctor()), []);
    await root(`mv /run/kept ${path}; update-exim4.conf`);
  });

  it('does without the rewriting, which is a matter of taste', async () => {
    const path = `/etc/exim4/conf.d/${FILES.rewrite}`;
    await root(`mv ${path} /run/kept; update-exim4.conf`);
    assert.deepEqual(bad(await doctor()), []);
    await root(`mv /run/kept ${path}; update-exim4.conf`);
  });

  it('proposes a command that mends the lines', async () => {
    await root(`mv ${LINES} /run/lines; : >${LINES}`);
    const fix = (await doctor()).find(({ id }) => id === 'exim.accounts')?.fix?.[0] ?? '';
    assert.match(fix, /^cms exim-config --section smart-hosts.* \| sudo install .* \/etc\/exim4\/exim-smart-hosts$/);
    await root(`mv /run/lines ${LINES}`);
  });
});
