/** `cms exim-config --install` as it really happens: the script, run by root over a private /etc/exim4 and /run. */
import assert from 'node:assert/strict';
import { chmod, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readInstalled, smartHostsState } from '../../src/lib/exim/install/installed.ts';
import { replaceBlock } from '../../src/lib/exim/smart-hosts/smart-hosts-file.ts';
import { openContext } from '../../src/lib/context.ts';
import { enrolOauth } from '../support/enrolled.ts';
import { CMS_PROGRAM, temporaryHome, type TemporaryHome } from '../support/environment.ts';
import { type Finished, PERSON, PrivateExim, requireExim, run, runAsRoot } from '../support/exim.ts';
import { type EmbeddedProvider, startProvider } from '../support/provider.ts';
import { type RunningProcess, start } from '../support/processes.ts';
import { startSubmission, type SubmissionServer } from '../support/submission.ts';

const FOREIGN = Buffer.concat([
  Buffer.from('# by hand\nhand.example: host=h::587 user=u password=p\n  continued\n# END cms nobody\n'),
  Buffer.from([0x61, 0x3a, 0x20, 0xff, 0xfe, 0x01, 0x5c, 0x6e, 0x26, 0x25, 0x0d, 0x0a]),
  Buffer.from('last line without newline'),
]);

describe('installing the exim configuration', function () {
  this.timeout(30_000);

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
    const { host, port } = submission;
    home = await temporaryHome();
    cleanups.push(() => runAsRoot(['rm', '-rf', home.path]));
    await enrolOauth(home.env, provider, 'jane@example.org', { host, port, tls: 'starttls' });
    await chmod(home.path, 0o755);
    await writeFile(join(home.configDir, 'config.toml'), '# mine\n[notify]\ndesktop = false');
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

  function cms(...args: string[]): Promise<Finished> {
    return exim.as(PERSON, [...environment(), process.execPath, CMS_PROGRAM, 'exim-config', ...args]);
  }

  async function script(...flags: string[]): Promise<string> {
    const { status, stdout, stderr } = await cms('--install', '--ca-file', submission.caFile, ...flags);
    assert.equal(status, 0, stderr);
    assert.match(stderr, /nothing was changed/);
    return stdout;
  }

  const install = (text: string) => exim.asRoot(['sh'], text);
  const cat = async (path: string) => (await exim.asRoot(['base64', '-w0', path])).stdout;
  const bytes = async (path: string) => Buffer.from(await cat(path), 'base64');
  const rights = async (...paths: string[]) =>
    (await exim.asRoot(['stat', '-c', '%a %U %G', ...paths])).stdout.trim().split('\n');
  const state = async () =>
    (await exim.asRoot(['sh', '-c', 'cd /etc/exim4; ls -lA --time-style=full-iso; md5sum *'])).stdout;

  it('prints the script where nobody can be asked', async () => {
    const text = await script('--default', 'jane@example.org');
    assert.match(text, /^#!\/bin\/sh\n/);
    assert.equal((await run(['sh', '-n'], text)).stderr, '');
  });

  it('is not installed before it is', async () => {
    const argv = exim.commandLine(
      [...environment(), process.execPath, CMS_PROGRAM, 'serve', '--socket', join(home.path, 'exim.sock')],
      PERSON,
    );
    await using broker: RunningProcess = start(argv[0] ?? '', argv.slice(1));
    await broker.waitFor(/listening.*exim\.sock/);
    const check = await cms('--check', '--socket', join(home.path, 'exim.sock'), '--ca-file', submission.caFile);
    assert.equal(check.status, 78);
    assert.match(check.stdout, /<jane@example\.org> .* cms_smtp, once it is installed$/m);
    assert.match(check.stderr, /1 of 1 senders cannot send now\ncms: try: cms exim-config --install$/m);
    const tried = await cms('--try', 'jane@example.org');
    assert.equal(tried.status, 78);
    assert.match(tried.stdout, /^line +failed +there is no \/etc\/exim4\/exim-smart-hosts: nothing is installed yet$/m);
    assert.match(tried.stderr, /^cms: try: cms exim-config --install$/m);
    assert.doesNotMatch(tried.stderr, /--default/);
  });

  it('puts everything in its place, and keeps what was there', async () => {
    await exim.install('exim4.conf', 'keep_environment =\n', '0644');
    await writeFile(join(exim.folder, 'foreign'), FOREIGN);
    await exim.asRoot(['cp', join(exim.folder, 'foreign'), '/etc/exim4/exim-smart-hosts']);
    const done = await install(await script('--default', 'jane@example.org'));
    assert.deepEqual([done.status, done.stderr], [0, '']);

    assert.deepEqual(
      await rights('/etc/exim4/exim4.conf', '/etc/exim4/exim-smart-hosts', `/run/cms/${PERSON}`, '/run/cms'),
      ['644 root root', '640 root Debian-exim', `2750 ${PERSON} Debian-exim`, '755 root root'],
    );
    assert.equal((await bytes('/etc/exim4/exim4.conf.before-cms')).toString(), 'keep_environment =\n');
    const lines = (await bytes('/etc/exim4/exim-smart-hosts')).toString('latin1');
    const { stdout: block } = await cms('--section', 'smart-hosts');
    assert.match(block, /^\*: .*user=jane@example\.org/m, 'the default is remembered');
    assert.equal(lines, replaceBlock(FOREIGN.toString('latin1'), PERSON, block), 'awk and TypeScript agree');
    assert.match(
      (await bytes(`/etc/tmpfiles.d/cms-${PERSON}.conf`)).toString(),
      /^d \/run\/cms\/\S+ 2750 \S+ Debian-exim -$/m,
    );
    assert.equal((await exim.asRoot(['exim4', '-bV'])).status, 0);
    assert.equal((await exim.asRoot(['sh', '-c', 'ls -A /etc/exim4'])).stdout.includes('.cms.'), false);
  });

  it('adds the socket to config.toml and touches nothing else there', async () => {
    const toml = await readFile(join(home.configDir, 'config.toml'), 'utf8');
    assert.ok(toml.startsWith('# mine\n[notify]\ndesktop = false\n\n'), toml);
    assert.match(toml, new RegExp(`path = "/run/cms/${PERSON}/exim\\.sock"\nmode = "0660"\n`));
    const { uid } = await stat(join(home.configDir, 'config.toml'));
    assert.equal(String(uid), (await run(['id', '-u', PERSON])).stdout.trim());
  });

  it('changes nothing the second time', async () => {
    const before = await state();
    const text = await script();
    const done = await install(text);
    assert.deepEqual([done.status, done.stdout], [0, 'cms: exim is up to date\n']);
    assert.equal(await state(), before);
    const toml = await readFile(join(home.configDir, 'config.toml'), 'utf8');
    assert.equal(toml.match(/\[\[socket\]\]/g)?.length, 1);
  });

  it('knows when the accounts have moved on', async () => {
    const context = openContext({ ...process.env, ...home.env });
    const installed = await readInstalled(context.paths);
    const accounts = await context.accounts.list();
    assert.equal(smartHostsState(installed, accounts), 'current');
    assert.equal(smartHostsState(installed, []), 'stale');
  });

  it('keeps the * line where nothing notes the default account, or the note cannot be read', async () => {
    const before = (await bytes('/etc/exim4/exim-smart-hosts')).toString('latin1');
    const file = join(home.configDir, 'exim.json');
    const noted = await readFile(file, 'utf8');
    for (const lose of [`rm ${file}`, `echo '{"version": 1' >${file}`]) {
      await exim.as(PERSON, ['sh', '-c', lose]);
      const done = await install(await script());
      assert.deepEqual([done.status, done.stderr], [0, '']);
      assert.match(done.stdout, /^cms: the default account stays jane@example\.org$/m);
      assert.equal((await bytes('/etc/exim4/exim-smart-hosts')).toString('latin1'), before);
      assert.deepEqual(JSON.parse(await readFile(file, 'utf8')), JSON.parse(noted), 'it is noted again');
    }
    assert.equal((await cms('--section', 'smart-hosts')).stdout.match(/^\*: /gm)?.length, 1);
  });

  it('keeps no * line of an account that cannot send any more', async () => {
    const kept = await bytes('/etc/exim4/exim-smart-hosts');
    const file = join(home.configDir, 'exim.json');
    const noted = await readFile(file, 'utf8');
    const gone = kept.toString('latin1').replace(/^(\*: .*user=)jane@example\.org/m, "$1gone&'|x@example.org");
    await exim.install('exim-smart-hosts', gone, '0640');
    await exim.as(PERSON, ['rm', file]);
    const done = await install(await script());
    assert.equal(done.status, 0, done.stderr);
    assert.match(
      done.stdout,
      /was gone&'\|x@example\.org, which cannot send any more: cms exim-config --install --def/,
    );
    assert.doesNotMatch((await bytes('/etc/exim4/exim-smart-hosts')).toString('latin1'), /^\*:/m);
    assert.doesNotMatch(await readFile(file, 'utf8'), /default_address/);
    await exim.install('exim-smart-hosts', kept.toString('latin1'), '0640');
    await exim.as(PERSON, ['sh', '-c', `cat >${file}`], noted);
  });

  it('changes nothing when exim refuses the configuration', async () => {
    const before = await state();
    const broken = (await script()).replace('never_users = root', 'no_such_option = root');
    const done = await install(broken);
    assert.equal(done.status, 1);
    assert.match(done.stderr, /no_such_option[^]*nothing was changed/);
    assert.equal(await state(), before);
  });

  it('puts the old files back when exim does not start', async () => {
    const before = await state();
    const fake = join(exim.folder, 'service');
    await writeFile(fake, `#!/bin/sh\necho "$@" >>${fake}.calls\nexit 1\n`, { mode: 0o755 });
    const begin = `mount --bind ${fake} /usr/sbin/service; mkdir -p /run/exim4; echo $$ >/run/exim4/exim.pid`;
    await exim.asRoot(['sh', '-c', begin]);
    const pid = `echo $$ >/run/exim4/exim.pid\n`;
    const done = await install(pid + (await script('--helo', 'other.example')));
    await exim.asRoot(['sh', '-c', 'umount /usr/sbin/service; rm -r /run/exim4']);
    assert.equal(done.status, 1);
    assert.match(done.stderr, /exim does not start; the old files are back/);
    assert.equal((await readFile(`${fake}.calls`, 'utf8')).trim(), 'exim4 restart\nexim4 restart');
    assert.equal(await state(), before);
  });

  it('stops at a block of ours that has lost its end', async () => {
    const kept = await bytes('/etc/exim4/exim-smart-hosts');
    const torn = kept.toString('latin1').replace(`# END cms ${PERSON}\n`, '');
    await exim.install('exim-smart-hosts', torn, '0640');
    const done = await install(await script('--helo', 'other.example'));
    assert.equal(done.status, 1);
    assert.match(done.stderr, /has lost its last line/);
    await exim.install('exim-smart-hosts', kept.toString('latin1'), '0640');
  });

  it('gives no account to this user that the block of another names, and none of the sockets of others', async () => {
    const kept = await bytes('/etc/exim4/exim-smart-hosts');
    const theirs = '# BEGIN cms bob\nx@b.test: host=b::587 user=jane@example.org oauth=/run/cms/bob/s\n# END cms bob\n';
    await exim.install('exim-smart-hosts', `${theirs}${kept.toString('latin1')}`, '0640');
    const before = await state();
    const done = await install(await script());
    assert.equal(done.status, 1);
    assert.match(done.stderr, /jane@example\.org is in the block of bob; nothing was changed/);
    assert.equal(await state(), before);
    await exim.install('exim-smart-hosts', kept.toString('latin1'), '0640');
    const refused = await cms('--install', '--socket', '/run/cms/bob/exim.sock');
    assert.equal(refused.status, 78);
    assert.match(refused.stderr, /is in the folder of bob/);
    await exim.asRoot(['install', '-d', '-o', 'daemon', '/run/theirs']);
    const foreign = await install(await script('--socket', '/run/theirs/exim.sock'));
    assert.match(foreign.stderr, /\/run\/theirs belongs to daemon/);
    await exim.asRoot(['rm', '-r', '/run/theirs']);
  });

  it("does not take the place of Debian's split configuration with these sections", async () => {
    const before = await state();
    await exim.asRoot(['sh', '-ec', 'mkdir -p /etc/exim4/conf.d/router; mv /etc/exim4/exim4.conf /run/aside']);
    const { stdout } = await cms('--section', 'routers', '--split');
    await exim.asRoot(['sh', '-c', 'cat >/etc/exim4/conf.d/router/190_cms'], stdout);
    const refused = await cms('--install');
    await exim.asRoot(['sh', '-ec', 'rm -r /etc/exim4/conf.d; mv /run/aside /etc/exim4/exim4.conf']);
    assert.deepEqual([refused.status, refused.stdout], [78, '']);
    assert.match(refused.stderr, /sections of cms in Debian's split[^]*try: cms exim-config --section smart-hosts/);
    assert.equal(await state(), before);
  });

  it('lets exim send with what it installed', async () => {
    const argv = exim.commandLine([...environment(), process.execPath, CMS_PROGRAM, 'serve'], PERSON);
    await using broker: RunningProcess = start(argv[0] ?? '', argv.slice(1));
    await broker.waitFor(/listening.*exim\.sock/);
    assert.deepEqual(await rights(`/run/cms/${PERSON}/exim.sock`), [`660 ${PERSON} Debian-exim`]);

    const check = await cms('--check');
    assert.equal(check.status, 0, check.stderr);
    assert.match(
      check.stdout,
      /<jane@example\.org> +jane@example\.org +127\.0\.0\.1:\d+ +jane@example\.org +ok \(cms_smtp\)/,
    );
    assert.match(check.stdout, /^<> +\* /m);

    const uid = (await run(['id', '-u', PERSON])).stdout.trim();
    const sudo = [...environment({ SUDO_UID: uid }), process.execPath, CMS_PROGRAM, 'exim-config'];
    const tried = await exim.asRoot([...sudo, '--try', 'jane@example.org']);
    assert.equal(tried.status, 0, tried.stderr);
    assert.deepEqual(
      tried.stdout
        .trim()
        .split('\n')
        .map((line) => line.split(/\s+/).slice(0, 2).join(' ')),
      ['line ok', 'socket ok', 'ready ok', 'credentials ok', 'connect ok', 'certificate ok', 'login ok'],
    );
    assert.equal(submission.messages.length, 0, 'no mail');

    await exim.submit(['-f', 'jane@example.org', 'x@elsewhere.example'], 'Subject: installed\n\nbody\n');
    assert.deepEqual(
      submission.messages.map(({ user, from }) => [user, from]),
      [['jane@example.org', 'jane@example.org']],
    );

    submission.refuse('jane@example.org', '535 5.7.8 no');
    const refused = await exim.asRoot([...sudo, '--try', 'jane@example.org']);
    assert.equal(refused.status, 77);
    assert.match(refused.stdout, /^login +failed .*535|^login +failed .*5\.7\.8/m);
    submission.refuse('jane@example.org', undefined);
  });

  it('says which step fails when the broker is not there', async () => {
    const uid = (await run(['id', '-u', PERSON])).stdout.trim();
    const tried = await exim.asRoot([
      ...environment({ SUDO_UID: uid }),
      process.execPath,
      CMS_PROGRAM,
      'exim-config',
      '--try',
      'jane@example.org',
    ]);
    assert.equal(tried.status, 75, tried.stderr);
    assert.match(tried.stdout, /^line +ok [^]*^socket +failed .*exim\.sock/m);
    assert.match(tried.stderr, /cannot send: socket: not running: nothing answers at .*cms\.sock[^]*try: cms serve/);
  });

  it('says to reload a broker that does not know the socket', async () => {
    const config = join(home.configDir, 'config.toml');
    await exim.asRoot(['sh', '-ec', `cp -p ${config} /run/kept; sed -i '/^# exim asks/,$d' ${config}`]);
    const argv = exim.commandLine([...environment(), process.execPath, CMS_PROGRAM, 'serve'], PERSON);
    await using broker: RunningProcess = start(argv[0] ?? '', argv.slice(1));
    await broker.waitFor(/listening/);
    await exim.asRoot(['cp', '-p', '/run/kept', config]);
    const uid = (await run(['id', '-u', PERSON])).stdout.trim();
    const sudo = [...environment({ SUDO_UID: uid }), process.execPath, CMS_PROGRAM, 'exim-config'];
    const check = await cms('--check');
    for (const { status, stderr } of [
      await exim.asRoot([...sudo, '--try', 'jane@example.org']),
      await exim.asRoot([...sudo, '--check']),
      check,
    ]) {
      assert.equal(status, 75);
      assert.match(stderr, /try: kill -HUP \d+/);
    }
    assert.match(
      check.stdout,
      /<jane@example\.org> .* the broker does not know it \(config\.toml has changed since it was read\)/,
    );
  });

  it('runs the script itself after a yes', async () => {
    const uid = (await run(['id', '-u', PERSON])).stdout.trim();
    const argv = [...environment({ SUDO_UID: uid }), process.execPath, CMS_PROGRAM, 'exim-config', '--install'];
    const { status, stdout, stderr } = await exim.asRoot([...argv, '--yes', '--helo', 'new.example']);
    assert.deepEqual([status, stdout], [0, '']);
    assert.match(stderr, /^cms: exim is installed: /m);
    assert.doesNotMatch(stderr, /restart it/, 'the broker knows the socket');
    assert.match((await bytes('/etc/exim4/exim4.conf')).toString(), /new\.example/);
    assert.doesNotMatch((await bytes('/etc/exim4/exim4.conf.before-cms')).toString(), /Made by "cms/);
  });

  it('is recalled when an account goes', async () => {
    const remove = ['account', 'remove', 'jane@example.org', '--keep-grant', '--yes'];
    const { status, stderr } = await exim.as(PERSON, [...environment(), process.execPath, CMS_PROGRAM, ...remove]);
    assert.equal(status, 0, stderr);
    assert.match(stderr, /exim does not know of this yet: cms exim-config --install/);
    const { stdout, stderr: remarks } = await cms('--section', 'smart-hosts');
    assert.equal(stdout, `# BEGIN cms ${PERSON}\n# END cms ${PERSON}\n`);
    assert.match(remarks, /was the default and cannot be any more/);
    assert.equal((await cms('--check')).status, 67);

    const uid = (await run(['id', '-u', PERSON])).stdout.trim();
    const argv = [...environment({ SUDO_UID: uid }), process.execPath, CMS_PROGRAM, 'exim-config', '--install'];
    const emptied = await exim.asRoot([...argv, '--yes']);
    assert.equal(emptied.status, 0, emptied.stderr);
    assert.ok((await bytes('/etc/exim4/exim-smart-hosts')).includes(stdout), 'the lines are gone');
    assert.match((await bytes('/etc/exim4/exim-smart-hosts')).toString('latin1'), /^hand\.example: /m);
  });

  it('is not replaced by somebody without accounts, root for one', async () => {
    await exim.install('exim4.conf', 'keep_environment =\n', '0644');
    const before = await state();
    const bare = ['env', '-i', `PATH=${process.env.PATH ?? ''}`, 'HOME=/run/nobodys'];
    const argv = [...bare, process.execPath, CMS_PROGRAM, 'exim-config'];
    for (const flags of [['--install', '--yes'], ['--install'], ['--check']]) {
      const { status, stdout, stderr } = await exim.asRoot([...argv, ...flags]);
      assert.deepEqual([status, stdout], [67, ''], stderr);
      assert.match(
        stderr,
        /^cms: error: root has no account that can send\ncms: try: run it as the user who has the accounts$/m,
      );
    }
    assert.equal(await state(), before);
  });

  it('never works on the accounts of root under sudo', async () => {
    const uid = (await run(['id', '-u', PERSON])).stdout.trim();
    const rootHome = join(home.path, 'roots');
    const { host, port } = submission;
    await mkdir(join(rootHome, '.config', 'cms'), { recursive: true });
    await enrolOauth({ HOME: rootHome }, provider, 'root@example.org', { host, port, tls: 'starttls' });
    const argv = ['env', '-i', `PATH=${process.env.PATH ?? ''}`, `HOME=${rootHome}`, `SUDO_UID=${uid}`];
    const { stdout } = await exim.asRoot([
      ...argv,
      process.execPath,
      CMS_PROGRAM,
      'exim-config',
      '--section',
      'smart-hosts',
    ]);
    // The person's own home is read, and nobody knows what is in that.
    assert.ok(stdout.startsWith(`# BEGIN cms ${PERSON}\n`), stdout);
    assert.ok(!stdout.includes('root@example.org'), stdout);
  });
});
