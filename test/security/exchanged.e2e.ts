/** Another user exchanges what a name leads to: files, sockets, hooks. He has real folders, and a real process. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { JUDGE_WAY } from '../../src/lib/os/shell.ts';
import { spawnCms } from '../support/environment.ts';
import { letWrite } from '../support/acl.ts';
import { type Finished, run } from '../support/processes.ts';
import { faults } from '../support/provider.ts';
import { asRoot, requires, requiresRoot } from '../support/requirements.ts';
import { talk } from '../support/wire.ts';
import { trustedCertificate } from '../support/certificates.ts';
import { startWorld, type World } from '../support/world.ts';
import { asOther, OTHER_USER, startAsOther } from './second-user.ts';

const JANE = 'jane@example.org';
const LIMIT_MS = 10_000;

describe('what another user exchanges', function () {
  this.timeout(60_000);
  let world: World;
  /** A folder of the other user, which everybody may look into. */
  let theirs: string;
  let accounts: string;

  before(async function () {
    requires(this, 'sudo');
    world = await startWorld();
    assert.equal((await world.add(JANE, '--no-test')).status, 0);
    chmodSync(world.home.path, 0o755);
    accounts = join(world.home.configDir, 'accounts.json');
    theirs = (await asOther(['mktemp', '-d', '/tmp/cms-other-XXXXXX'])).stdout.trim();
    await asOther(['chmod', '0777', theirs]);
  });
  after(async () => {
    await asOther(['rm', '-rf', theirs]);
    await world[Symbol.asyncDispose]();
  });

  /** It ends by itself, or is killed and fails the test. */
  async function ends(...words: string[]): Promise<Finished> {
    const finished = await run(process.execPath, ['bin/run.js', ...words], { env: world.env, timeoutMs: LIMIT_MS });
    assert.notEqual(finished.status, null, `${words.join(' ')} does not end`);
    return finished;
  }

  async function refused(words: string[], reason: RegExp, status = 78): Promise<void> {
    const finished = await ends(...words);
    assert.equal(finished.status, status, finished.stderr);
    assert.match(finished.stderr, reason);
    assert.match(finished.stderr, /^cms: try: /m);
    assert.doesNotMatch(finished.stderr, /\n {4}at /, 'a sentence, not a stack');
  }

  async function asRootRun(...argv: string[]): Promise<void> {
    const [command = '', ...rest] = asRoot(argv);
    const { status, stderr } = await run(command, rest);
    assert.equal(status, 0, stderr);
  }

  const READERS = [['account', 'list'], ['account', 'test', JANE], ['token', JANE], ['exim-config'], ['serve']];

  it('as accounts.json is read by no command, whether it is his or the folder is open', async function () {
    requiresRoot(this);
    const kept = `${accounts}.kept`;
    copyFileSync(accounts, kept);
    chmodSync(world.home.configDir, 0o777);
    await asOther([
      'sh',
      '-c',
      `cp ${kept} ${accounts}.new || echo '{}' >${accounts}.new; mv -f ${accounts}.new ${accounts}`,
    ]);
    for (const words of READERS) await refused(words, /must be a directory that you own and no one else can write to/);
    chmodSync(world.home.configDir, 0o700);
    for (const words of READERS) await refused(words, /accounts\.json: it belongs to uid \d+/);
    rmSync(accounts);
    renameSync(kept, accounts);
    assert.equal((await ends('account', 'list')).status, 0);
  });

  it('as a sealed file is not read, nor is one that others can read', async function () {
    requiresRoot(this);
    const vault = join(world.home.stateDir, 'vault');
    const sealed = join(vault, readdirSync(vault).find((name) => name.endsWith('.sealed')) ?? '');
    chmodSync(sealed, 0o644);
    await refused(['token', JANE], /every user can read it \(mode 0644\)[^]*chmod go-rwx/);
    chmodSync(sealed, 0o666);
    await refused(['token', JANE], /can change it/);
    await asRootRun('chown', OTHER_USER, sealed);
    await refused(['token', JANE], /it belongs to uid \d+/);
    await asRootRun('chown', String(process.getuid?.()), sealed);
    chmodSync(sealed, 0o600);
    assert.equal((await ends('token', JANE)).status, 0);
  });

  it('as config.toml is not believed, and a link of one’s own to a file of one’s own is', async function () {
    requiresRoot(this);
    const config = join(world.home.configDir, 'config.toml');
    writeFileSync(config, '');
    await asRootRun('chown', OTHER_USER, config);
    await refused(['serve'], /config\.toml: it belongs to uid \d+/);
    await asRootRun('rm', config);
    symlinkSync(join(theirs, 'config.toml'), config);
    await asOther(['sh', '-c', `: >${theirs}/config.toml`]);
    await refused(['serve'], /belongs to another user \(uid \d+\)/);
    rmSync(config);
    const dotfiles = join(world.home.path, 'dotfiles');
    mkdirSync(dotfiles);
    writeFileSync(join(dotfiles, 'config.toml'), '[notify]\ndesktop = false\n');
    symlinkSync('../dotfiles/config.toml', config);
    await using broker = spawnCms(['serve'], { env: world.env });
    await broker.waitFor(/listening socket=/);
    await broker.stop();
    rmSync(config);
  });

  it('as a file of authorities is not believed: he could stand in for the server', async function () {
    requiresRoot(this);
    const { caFile } = await trustedCertificate();
    const own = join(world.home.path, 'authority.pem');
    copyFileSync(caFile, own);
    chmodSync(own, 0o644);
    await asOther(['cp', own, join(theirs, 'authority.pem')]);
    const kept = readFileSync(accounts, 'utf8');
    const trusting = (file: string): void => {
      const list = JSON.parse(kept) as { accounts: Record<string, { client: object }> };
      for (const account of Object.values(list.accounts)) account.client = { ...account.client, ca_file: file };
      writeFileSync(accounts, JSON.stringify(list));
    };
    const refresh = ['token', JANE, '--force-refresh'];
    trusting(join(theirs, 'authority.pem'));
    for (const words of [refresh, ['account', 'test', JANE]])
      await refused(words, /cannot trust the file of authorities .*belongs to another user \(uid \d+\)/);
    trusting(own);
    chmodSync(own, 0o666);
    await refused(refresh, /cannot trust the file of authorities .*every user can change it \(mode 0666\)/);
    await asRootRun('chown', OTHER_USER, own);
    await refused(refresh, /cannot trust the file of authorities .*it belongs to uid \d+/);
    await asRootRun('chown', 'root', own);
    await asRootRun('chmod', '0644', own);
    assert.equal((await ends(...refresh)).status, 0, 'one of root is as good as one’s own');
    writeFileSync(accounts, kept);
  });

  it('as the secret of a client is not believed, wherever it is named', async function () {
    requiresRoot(this);
    const { issuer, clientId } = world.provider;
    const preset = (file: string): Promise<string> =>
      world.home.writeConfig(
        'config.toml',
        `[[provider]]\nid = "acme"\nissuer = "${issuer}"\nclient_id = "${clientId}"\nclient_secret_file = "${file}"\n`,
      );
    const servers = world.serverFlags.slice(world.serverFlags.indexOf('--smtp-host'));
    const byPreset = ['account', 'add', JANE, '--provider', 'acme', ...servers, '--no-browser'];
    const byFlag = (flag: string, file: string): string[] => ['account', 'add', JANE, ...world.serverFlags, flag, file];
    await asOther(['sh', '-c', `echo theirs >${theirs}/secret`]);
    const open = join(world.home.path, 'open');
    writeFileSync(open, 'mine\n');
    chmodSync(open, 0o666);
    const fifo = join(world.home.path, 'fifo');
    spawnSync('mkfifo', ['-m', '0600', fifo]);
    for (const [file, reason, status] of [
      [join(theirs, 'secret'), /cannot trust \S+secret: \S+ belongs to another user \(uid \d+\)/, 78],
      [open, /cannot trust \S+open: every user can change it \(mode 0666\)/, 78],
      [fifo, /fifo: it is a FIFO, not a regular file/, 74],
    ] as const) {
      await preset(file);
      await refused(byPreset, reason, status);
      rmSync(join(world.home.configDir, 'config.toml'));
      for (const flag of ['--client-secret-file', '--client-file', '--password-file'])
        await refused(
          byFlag(flag, file).filter((each, at, all) => isOfUse(flag, each, all[at - 1])),
          reason,
          status,
        );
    }
    rmSync(open);
    rmSync(fifo);
  });

  it('lets him write by an access control list, which the mode shows as the right of a group that is trusted', async function () {
    requiresRoot(this);
    const uid = Number((await asOther(['id', '-u'])).stdout);
    const above = world.home.path;
    await asRootRun('chgrp', '0', above);
    chmodSync(above, 0o775);
    try {
      assert.equal((await ends('account', 'list')).status, 0, "root's group is trusted");
      if (!letWrite(above, uid)) this.skip();
      assert.equal(statSync(above).mode & 0o777, 0o775);
      assert.equal((await asOther(['mkdir', join(above, 'his')])).status, 0, 'he really may');
      await refused(['token', JANE], /others may write to \S+ \(by its access control list, mode 0775\)/);
      chmodSync(above, 0o755);
      assert.equal((await ends('account', 'list')).status, 0, 'what is advised is of help');
      await asRootRun('rmdir', join(above, 'his'));
    } finally {
      chmodSync(above, 0o755);
    }
  });

  it('is nothing that is waited for: a FIFO', async () => {
    const { configDir, stateDir } = world.home;
    const vault = join(stateDir, 'vault');
    const sealed = join(vault, readdirSync(vault).find((name) => name.endsWith('.sealed')) ?? '');
    for (const [path, words] of [
      [accounts, ['token', JANE]],
      [accounts, ['serve']],
      [join(configDir, 'config.toml'), ['serve']],
      [join(configDir, 'exim.json'), ['exim-config']],
      [join(stateDir, 'audit.jsonl'), ['serve']],
      [join(stateDir, 'lock', 'broker.lock'), ['serve']],
      [sealed, ['token', JANE]],
    ] as const) {
      const kept = existsSync(path);
      if (kept) renameSync(path, `${path}.kept`);
      spawnSync('mkfifo', ['-m', '0600', path]);
      await refused([...words], new RegExp(`${path}: .*(FIFO|not a regular file)`), 74);
      rmSync(path);
      if (kept) renameSync(`${path}.kept`, path);
    }
  });

  it('is no folder that is made without end', async () => {
    for (const [words, env] of [
      [['serve'], { CMS_STATE_DIR: '/proc/x' }],
      [['token', JANE], { CMS_STATE_DIR: '/proc/x/y', CMS_RUNTIME_DIR: '/proc/x' }],
      [['exim-config', '--write', '/proc/x'], {}],
    ] as const) {
      const options = { env: { ...world.env, ...env }, timeoutMs: LIMIT_MS };
      const { status, stderr } = await run(process.execPath, ['bin/run.js', ...words], options);
      assert.ok(status !== null && status > 0, `${words.join(' ')}: ${stderr}`);
      if (words[0] !== 'token') assert.equal(status, 74, stderr);
    }
  });

  it('is no socket: a folder in which he could exchange it is refused, and nothing of the victim’s changes', async function () {
    requiresRoot(this);
    const victim = join(world.home.path, 'victim');
    writeFileSync(victim, 'mine', { mode: 0o600 });
    chmodSync(victim, 0o600);
    const shared = join(world.home.path, 'shared');
    mkdirSync(shared);
    await asRootRun('chgrp', OTHER_USER, shared);
    chmodSync(shared, 0o775);
    const link = join(world.home.path, 'link');
    symlinkSync(theirs, link);
    await using racer = startAsOther([process.execPath, '-e', RACER, victim, theirs, shared]);
    await racer.waitFor(/racing/);
    for (const [folder, reason] of [
      [theirs, /belongs to another user \(uid \d+\)/],
      [link, /belongs to another user \(uid \d+\)/],
      [shared, /others may write to \S+shared \(group \d+, mode 0775\)/],
    ] as const) {
      for (let round = 0; round < 3; round++)
        await refused(['serve', '--socket', join(folder, 'x.sock'), '--mode', '0660'], reason);
    }
    assert.equal(statSync(victim).mode & 0o777, 0o600);
    assert.deepEqual(readdirSync(shared), []);
  });

  it('is no hook: each link and folder on the way counts, when it is started', async function () {
    const program = join(theirs, 'program');
    const ran = join(theirs, 'ran');
    await asOther(['sh', '-c', `printf '#!/bin/sh\\ntouch ${ran}\\n' >${program}; chmod 0755 ${program}`]);
    const own = join(world.home.path, 'programs');
    mkdirSync(own);
    const hook = join(own, 'hook');
    symlinkSync(join(theirs, 'away'), hook);
    // His link leads to a program of root's for now.
    await asOther(['ln', '-s', '/bin/true', join(theirs, 'away')]);
    await world.home.writeConfig('config.toml', `[hooks]\nauthorization_required = ["${hook}"]\n`);
    await using broker = spawnCms(['serve'], { env: world.env });
    await broker.waitFor(/listening socket=/);
    await broker.waitFor(/the hook \S+hook is not run: \S+ belongs to another user/);
    await asOther(['ln', '-sfn', program, join(theirs, 'away')]);
    world.provider.setFault(faults.tokenError('invalid_grant'));
    await talk(join(world.home.runtimeDir, 'cms.sock'), `REFRESH ${JANE}`);
    await broker.waitFor(/the account needs attention[^]*is not run/);
    await broker.stop();
    world.provider.setFault(undefined);
    assert.equal(existsSync(ran), false);
    rmSync(join(world.home.configDir, 'config.toml'));
  });

  it('is nothing that a script of root’s writes to or starts', async function () {
    requiresRoot(this);
    const judge = async (path: string): Promise<Finished> => {
      const script = `fail() { echo "cms: $*" >&2; exit 1; }\n${JUDGE_WAY}judge "$1"\n`;
      const [command = '', ...rest] = asRoot(['sh', '-c', script, 'sh', path]);
      return run(command, rest);
    };
    for (const path of ['/etc/exim4', '/etc/passwd', '/usr/bin/env', '/tmp', '/etc/nothing/at/all']) {
      assert.equal((await judge(path)).status, 0, path);
    }
    await asRootRun('install', '-d', '-m', '0775', '/run/cms-test-list/in');
    await asRootRun('ln', '-sfn', '/run/cms-test-list/in', '/run/cms-test-list-link');
    try {
      assert.equal((await judge('/run/cms-test-list-link/x')).status, 0);
      const uid = Number((await asOther(['id', '-u'])).stdout);
      await asRootRun('chown', String(process.getuid?.()), '/run/cms-test-list/in');
      const hasLists = letWrite('/run/cms-test-list/in', uid);
      await asRootRun('chown', 'root:root', '/run/cms-test-list/in');
      if (hasLists)
        assert.match(
          (await judge('/run/cms-test-list-link/x')).stderr,
          /others may write to \/run\/cms-test-list\/in by its access control list/,
        );
    } finally {
      await asRootRun('rm', '-r', '/run/cms-test-list', '/run/cms-test-list-link');
    }
    await asRootRun('ln', '-sfn', theirs, '/run/cms-test-link');
    try {
      for (const path of [theirs, join(theirs, 'x'), '/run/cms-test-link/x', world.home.path]) {
        const { status, stderr } = await judge(path);
        assert.equal(status, 1, path);
        assert.match(stderr, /cannot trust .* belongs to/);
      }
    } finally {
      await asRootRun('rm', '/run/cms-test-link');
    }
    assert.equal(readFileSync('/etc/passwd', 'utf8').startsWith('root:'), true);
  });
});

/** `--password-file` goes without a provider's flags, and Google's file without a client. */
function isOfUse(flag: string, word: string, before = ''): boolean {
  const useless =
    flag === '--password-file' ? ['--issuer', '--client-id'] : flag === '--client-file' ? ['--client-id'] : [];
  return !useless.includes(word) && !useless.includes(before);
}

/** Puts a link to the victim's file in the place of each hidden name that appears, as fast as it can. */
const RACER = `
  const fs = require('node:fs');
  const [victim, ...folders] = process.argv.slice(1);
  const strike = (folder) => {
    for (const name of fs.readdirSync(folder)) {
      if (!name.startsWith('.')) continue;
      try {
        fs.renameSync(folder + '/' + name, folder + '/aside');
        fs.symlinkSync(victim, folder + '/' + name);
      } catch {}
    }
  };
  for (const folder of folders) fs.watch(folder, () => strike(folder));
  console.log('racing');
`;
