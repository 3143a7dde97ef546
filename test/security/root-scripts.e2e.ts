/** What the scripts that root runs read, write and start, where two other users have a hand in it. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import { AS_USER } from '../../src/lib/os/shell.ts';
import { renderSystemInstall } from '../../src/lib/service/system-script.ts';
import { letWrite } from '../support/acl.ts';
import { enrolOauth } from '../support/enrolled.ts';
import { CMS_PROGRAM, temporaryHome, type TemporaryHome } from '../support/environment.ts';
import { type Finished, PERSON, PrivateExim, requireExim, runAsRoot } from '../support/exim.ts';
import { run } from '../support/processes.ts';
import { type EmbeddedProvider, startProvider } from '../support/provider.ts';
import { runInTerminal } from '../support/pty.ts';
import { asRoot, requires, requiresRoot } from '../support/requirements.ts';
import { startSubmission, type SubmissionServer } from '../support/submission.ts';
import { asOther, OTHER_USER } from './second-user.ts';

const CONF = '/etc/exim4/exim4.conf';
const LINES = '/etc/exim4/exim-smart-hosts';
/** No script takes longer, and one that waits for a FIFO takes for ever. */
const PATIENCE = ['timeout', '20'];

describe('a script that root runs', function () {
  this.timeout(60_000);
  let theirs: string;

  before(async function () {
    requires(this, 'sudo');
    requiresRoot(this);
    theirs = (await asOther(['mktemp', '-d', '/tmp/cms-other-XXXXXX'])).stdout.trim();
    await asOther(['chmod', '0755', theirs]);
  });
  after(() => asOther(['rm', '-rf', theirs]));

  const must = async (...argv: string[]): Promise<string> => {
    const { status, stdout, stderr } = await runAsRoot(argv);
    assert.equal(status, 0, `${argv.join(' ')}: ${stderr}`);
    return stdout;
  };

  describe('to install the configuration of exim', () => {
    let exim: PrivateExim;
    let home: TemporaryHome;
    let provider: EmbeddedProvider;
    let submission: SubmissionServer;
    const cleanups: (() => Promise<unknown>)[] = [];

    before(async function () {
      requireExim(this);
      provider = await startProvider();
      cleanups.push(() => provider.stop());
      submission = await startSubmission({ provider });
      cleanups.push(() => submission.stop());
      home = await temporaryHome();
      cleanups.push(() => runAsRoot(['rm', '-rf', home.path]));
      const { host, port } = submission;
      await enrolOauth(home.env, provider, 'jane@example.org', { host, port, tls: 'starttls' });
      await chmod(home.path, 0o755);
      await runAsRoot(['chown', '-R', PERSON, home.path]);
      exim = await PrivateExim.start('installable');
      cleanups.push(() => exim[Symbol.asyncDispose]());
    });
    after(async () => {
      for (const cleanup of cleanups.reverse()) await cleanup();
    });

    const environment = (more: Record<string, string> = {}): string[] => [
      'env',
      '-i',
      ...Object.entries({ ...home.env, ...more }).map(([name, value]) => `${name}=${value ?? ''}`),
    ];
    const install = [process.execPath, CMS_PROGRAM, 'exim-config', '--install'];

    async function script(...flags: string[]): Promise<string> {
      const { status, stdout, stderr } = await exim.as(PERSON, [
        ...environment(),
        ...install,
        '--ca-file',
        submission.caFile,
        ...flags,
      ]);
      assert.equal(status, 0, stderr);
      return stdout;
    }

    const asRootIn = (text: string): Promise<Finished> => exim.asRoot([...PATIENCE, 'sh'], text);
    const sh = async (text: string): Promise<string> => {
      const { status, stdout, stderr } = await exim.asRoot([...PATIENCE, 'sh', '-c', `set -e; ${text}`]);
      assert.equal(status, 0, stderr);
      return stdout;
    };
    const clean = (): Promise<string> =>
      sh(`rm -rf ${CONF} ${CONF}.before-cms ${LINES} /etc/tmpfiles.d/cms-* /run/cms; \
        rm -f ${home.configDir}/config.toml ${home.configDir}/exim.json ${home.configDir}/exim.json.new`);
    afterEach(clean);

    async function isRefused(text: string, reason: RegExp): Promise<void> {
      const { status, stdout, stderr } = await asRootIn(text);
      assert.equal(status, 1, `${stdout}${stderr}`);
      assert.match(stderr, reason);
      assert.doesNotMatch(stdout + stderr, /root's own words/);
      assert.equal(await sh(`ls -A /etc/exim4 | grep -v '^kept$' || :`), '', 'nothing was written');
    }

    it('reads no lines through a link, waits for no FIFO, and believes no folder of a user', async () => {
      const secret = '/etc/exim4/kept';
      await sh(`mkdir ${secret}; echo "root's own words" >${secret}/secret; chmod 0600 ${secret}/secret`);
      try {
        const before = await sh(`stat -c '%a %U %G %s' ${secret}/secret`);
        for (const [make, file, reason] of [
          [`ln -s ${secret}/secret`, `${secret}/lines`, /lines is not a regular file/],
          [`ln -s nowhere`, `${secret}/lines`, /lines is not a regular file/],
          ['mkfifo', `${secret}/lines`, /lines is not a regular file/],
          ['mkdir', `${secret}/lines`, /lines is not a regular file/],
        ] as const) {
          await sh(`${make} ${file}`);
          await isRefused(await script('--smart-hosts-file', file), reason);
          await sh(`rm -rf ${file}`);
        }
        await asOther(['ln', '-sfn', `${secret}/secret`, join(theirs, 'lines')]);
        for (const file of [join(theirs, 'lines'), join(theirs, 'none'), join(home.path, 'lines')])
          await isRefused(await script('--smart-hosts-file', file), /cannot trust \S+: \S+ belongs to /);
        await sh(`ln -s ${theirs} ${secret}/folder`);
        await isRefused(
          await script('--smart-hosts-file', `${secret}/folder/lines`),
          /cannot trust \S+: \S+ belongs to/,
        );
        assert.equal(await sh(`stat -c '%a %U %G %s' ${secret}/secret`), before);
      } finally {
        await sh(`rm -rf ${secret}`);
      }
    });

    it('shows what a note of the user steers it to, and goes there no more than by a flag', async () => {
      const done = await asRootIn(await script());
      assert.equal(done.status, 0, done.stderr);
      const note = join(home.configDir, 'exim.json');
      await sh(
        `sed -i 's#"smartHostsFile": "[^"]*"#"smartHostsFile": "${theirs}/lines"#' ${note}; rm ${CONF} ${LINES}`,
      );
      const uid = (await run('id', ['-u', PERSON])).stdout.trim();
      const argv = [...environment({ SUDO_UID: uid }), ...install, '--yes', '--ca-file', submission.caFile];
      const { status, stderr } = await exim.asRoot([...PATIENCE, ...argv]);
      assert.equal(status, 74, stderr);
      assert.match(stderr, /kept from the last --install: .*--smart-hosts-file/);
      assert.match(stderr, /cannot trust \S+: \S+ belongs to /);
      assert.equal(await sh(`ls -A ${theirs} | grep -c lines.cms-new || :`), '0\n');
    });

    it('goes by nothing of the folder, the environment and the umask that it is started in', async () => {
      const hostile = `#!/bin/sh\ntouch ${theirs}/ran\n`;
      const names = [
        'awk',
        'cat',
        'chmod',
        'chown',
        'cmp',
        'exim4',
        'install',
        'ls',
        'mktemp',
        'namei',
        'runuser',
        'stat',
      ];
      await asOther(
        ['sh', '-c', 'cd "$1"; shift; for name; do cat >"$name"; chmod 755 "$name"; done', 'sh', theirs, ...names],
        {
          input: hostile,
        },
      );
      // `cat` has read its input once: each of the names is the same program.
      await asOther([
        'sh',
        '-c',
        'cd "$1"; first="$2"; shift 2; for name; do cp "$first" "$name"; done',
        'sh',
        theirs,
        ...names,
      ]);
      const surroundings = [
        ...[
          `PATH=${theirs}:/usr/sbin:/usr/bin:/sbin:/bin`,
          `TMPDIR=${theirs}`,
          `HOME=${theirs}`,
          'IFS=/e',
          `CDPATH=${theirs}`,
        ],
        ...[
          `ENV=${theirs}/awk`,
          `BASH_ENV=${theirs}/awk`,
          `AWKPATH=${theirs}`,
          'POSIXLY_CORRECT=1',
          'LC_ALL=tr_TR.UTF-8',
        ],
      ];
      const start = `umask 000; cd ${theirs}; exec /usr/bin/env ${surroundings.join(' ')} /bin/sh`;
      const { status, stderr } = await exim.asRoot([...PATIENCE, 'sh', '-c', start], await script());
      assert.equal(status, 0, stderr);
      assert.equal(existsSync(join(theirs, 'ran')), false);
      assert.deepEqual(
        (await sh(`stat -c '%a %U %G' ${CONF} ${LINES} /etc/tmpfiles.d/cms-${PERSON}.conf /run/cms /run/cms/${PERSON}`))
          .trim()
          .split('\n'),
        ['644 root root', '640 root Debian-exim', '644 root root', '755 root root', `2750 ${PERSON} Debian-exim`],
      );
      const rights = await sh(`stat -c '%a %U' ${home.configDir}/config.toml ${home.configDir}/exim.json`);
      assert.equal(rights, `600 ${PERSON}\n600 ${PERSON}\n`);
    });

    it('writes the files of the user as the user, and waits for none', async () => {
      const [config, note] = [join(home.configDir, 'config.toml'), join(home.configDir, 'exim.json')];
      const text = await script();
      await sh(`runuser -u ${PERSON} -- mkfifo ${config}`);
      const fifo = await asRootIn(text);
      assert.equal(fifo.status, 1, fifo.stderr);
      assert.match(fifo.stderr, /config\.toml is not a regular file/);
      assert.equal(await sh('ls -A /etc/exim4'), '', 'nothing of exim was changed');
      // Root could write there; the user cannot.
      await sh(`rm ${config}; : >/etc/exim4/kept; runuser -u ${PERSON} -- ln -s /etc/exim4/kept ${config}`);
      const link = await asRootIn(text);
      assert.equal(link.status, 1, link.stderr);
      assert.match(link.stderr, /cannot write as/);
      assert.equal(await sh('stat -c "%s %U" /etc/exim4/kept; rm /etc/exim4/kept'), '0 root\n');
      await sh(`rm ${config}; runuser -u ${PERSON} -- mkfifo ${note}.new`);
      const done = await asRootIn(text);
      assert.equal(done.status, 0, done.stderr);
      assert.equal(await sh(`stat -c '%F %U' ${note}`), `regular file ${PERSON}\n`);
    });
  });

  it('leaves its terminal to no process of the user, who could type into it', async () => {
    const looks = 'echo "as $(id -un)"; cut -d" " -f7 /proc/self/stat; ls -l /proc/self/fd; : </dev/tty';
    const script = `fail() { echo "cms: $*" >&2; exit 1; }
set -eu
work=$(mktemp -d)
user=${OTHER_USER}
${AS_USER}
(as_user sh -c '${looks}' </dev/null) || echo failed
rm -r "$work"`;
    const [command = '', ...rest] = asRoot(['sh', '-c', script]);
    const terminal = runInTerminal(command, rest, { env: { PATH: process.env.PATH } });
    assert.equal((await terminal.exited).status, 0, terminal.screen);
    assert.match(terminal.screen, new RegExp(`as ${OTHER_USER}\\s+0\\s`), 'no controlling terminal');
    assert.doesNotMatch(terminal.screen, /-> \/dev\/(?:pts|tty)/);
    assert.match(terminal.screen, /cannot open \/dev\/tty[^]*cannot write as games[^]*failed/);
  });

  describe('to install the service of the system', () => {
    it('starts no program of another user, nor one with a file of such a user in it', async () => {
      const place = (await must('mktemp', '-d', '/opt/cms-test-XXXXXX')).trim();
      try {
        await must('chmod', '0755', place);
        await must('mkdir', '-p', join(place, 'cms-oauth/bin'), join(place, 'cms-oauth/dist'), join(place, 'node/bin'));
        const [script, part] = [join(place, 'cms-oauth/bin/run.js'), join(place, 'cms-oauth/dist/serve.cjs')];
        const node = join(place, 'node/bin/node');
        await must('touch', script, part, node);
        const said = async (program = { node, script }): Promise<string> => {
          // What comes after the judgement is left out: it would change this machine.
          const [judging = ''] = renderSystemInstall({ program, credential: true, now: true }).split('# The user that');
          const { status, stdout, stderr } = await runAsRoot([...PATIENCE, 'sh', '-c', `${judging}\necho trusted`]);
          assert.equal(status, stdout === 'trusted\n' ? 0 : 1);
          return stdout + stderr;
        };
        assert.equal(await said(), 'trusted\n');
        for (const [file, owner, reason] of [
          [node, OTHER_USER, /cannot trust \S+node: node belongs to games/],
          [join(place, 'node/bin'), 'daemon', /cannot trust \S+node: bin belongs to daemon/],
          [script, 'daemon', /cannot trust \S+run\.js: run\.js belongs to daemon/],
          [part, OTHER_USER, /others can change \S+serve\.cjs/],
        ] as const) {
          await must('chown', owner, file);
          assert.match(await said(), reason);
          await must('chown', 'root', file);
        }
        for (const [mode, group, trusted] of [
          ['0646', 'root', false],
          ['0664', OTHER_USER, false],
          ['0664', 'root', true],
        ] as const) {
          await must('chgrp', group, part);
          await must('chmod', mode, part);
          assert.equal((await said()) === 'trusted\n', trusted, `${mode} ${group}`);
        }
        await must('chown', String(process.getuid?.()), part);
        const hasLists = letWrite(part, Number((await asOther(['id', '-u'])).stdout));
        await must('chown', 'root:root', part);
        if (hasLists) assert.match(await said(), /others can change -rwxrwxr-x\+ .*serve\.cjs/);
        await must('chmod', '0644', part);
        await must('ln', '-s', join(theirs, 'node'), join(place, 'node/bin/link'));
        await asOther(['sh', '-c', `: >"$1"; chmod 755 "$1"`, 'sh', join(theirs, 'node')]);
        assert.match(await said({ node: join(place, 'node/bin/link'), script }), /belongs to games/);
      } finally {
        await must('rm', '-rf', place);
      }
    });

    it('is not even shown for a program that another user could exchange, to a user and to root', async () => {
      const node = join(theirs, 'bin-node');
      await asOther(['cp', process.execPath, node]);
      for (const argv of [[node], asRoot([node])]) {
        for (const flags of [['--system', '--dry-run'], ['--dry-run']]) {
          const [command = '', ...rest] = [...argv, CMS_PROGRAM, 'service', 'install', ...flags];
          const { status, stdout, stderr } = await run(command, rest, { env: { PATH: process.env.PATH, HOME: '/' } });
          // Root installs no service of a user, whatever the program.
          assert.ok(status === 78 || (status === 64 && argv.length > 1), stderr);
          assert.equal(stdout, '');
          if (status === 78) assert.match(stderr, /no service can start \S+: .*belongs to another user|cannot trust/);
        }
      }
    });
  });
});
