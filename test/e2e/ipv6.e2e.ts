/** Names whose IPv6 address is broken: one that refuses, one that is silent; beside an IPv4 that works, and alone. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createCertificate, type ServerCertificate } from '../support/certificates.ts';
import { CMS_PROGRAM } from '../support/environment.ts';
import { type Finished, run, start } from '../support/processes.ts';
import { ENDPOINT } from '../support/provider.ts';
import { asRoot, requiresRoot } from '../support/requirements.ts';
import { startSubmission, type SubmissionServer } from '../support/submission.ts';
import { startTlsFront, type TlsFront } from '../support/tls-front.ts';
import { startWorld, type World } from '../support/world.ts';

const JANE = 'jane@example.org';
const BOTH = 'both.company.test';
const ALONE = 'alone.company.test';
const hasIPv6 = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'));

describe('a name whose IPv6 address is broken', function () {
  this.timeout(60_000);
  let world: World;
  let front: TlsFront;
  let authority: ServerCertificate;
  let hosts: string;
  let gai: string;
  let submission: SubmissionServer;
  const undo: (() => unknown)[] = [];

  before(async function () {
    requiresRoot(this);
    if (!hasIPv6) this.skip();
    authority = await createCertificate({ names: [BOTH, ALONE] });
    world = await startWorld();
    front = await startTlsFront(world.provider.issuer, authority);
    submission = await startSubmission({ provider: world.provider, certificate: authority });
    hosts = join(world.home.path, 'hosts');
    gai = join(world.home.path, 'gai.conf');
    await writeFile(gai, '');
    await writeFile(hosts, `127.0.0.1 localhost\n::1 ${BOTH} ${ALONE}\n127.0.0.1 ${BOTH}\n`);
  });
  afterEach(async () => {
    for (const each of undo.splice(0).reverse()) await each();
  });
  after(async () => {
    await submission.stop();
    await front[Symbol.asyncDispose]();
    await world[Symbol.asyncDispose]();
  });

  /** Where names are looked up in a file of ours. */
  async function cms(...argv: string[]): Promise<Finished> {
    const ids = [`--reuid=${process.getuid?.()}`, `--regid=${process.getgid?.()}`, '--clear-groups'];
    const script = 'mount --bind "$1" /etc/hosts; mount --bind "$2" /etc/gai.conf; shift 2; exec "$@"';
    const env = Object.entries<string | undefined>({ ...world.env, CMS_TEST_LOGIN: JANE }).map(
      ([name, value]) => `${name}=${value ?? ''}`,
    );
    const [file = '', ...args] = asRoot([
      ...['unshare', '--mount', 'sh', '-ec', script, 'sh', hosts, gai],
      ...['setpriv', ...ids, '--', 'env', '-i', ...env, process.execPath, CMS_PROGRAM, ...argv],
    ]);
    return run(file, args, { timeoutMs: 40_000 });
  }

  function add(host: string): Promise<Finished> {
    const mail = world.serverFlags.slice(world.serverFlags.indexOf('--client-id'));
    return cms(
      ...['account', 'add', JANE, '--authorization-endpoint', world.provider.issuer + ENDPOINT.authorization],
      ...['--token-endpoint', `https://${host}:${front.port}${ENDPOINT.token}`, '--ca-file', authority.caFile],
      ...[...mail, '--yes'],
    );
  }

  /** Somebody listens there and takes nobody in: the kernel drops what comes when its queue is full. */
  async function silence(port: number): Promise<void> {
    const script = `require('net').createServer().listen({ port: ${port}, host: '::1', backlog: 1 }, () => console.log('listening'))`;
    const deaf = start(process.execPath, ['-e', script]);
    await deaf.waitFor(/listening/);
    deaf.kill('SIGSTOP');
    const waiting: Socket[] = [];
    undo.push(async () => {
      for (const each of waiting) each.destroy();
      deaf.kill('SIGKILL');
      await deaf.exited;
    });
    for (;;) {
      const socket = connect({ host: '::1', port });
      waiting.push(socket);
      if ((await Promise.race([once(socket, 'connect'), sleep(300, 'none')])) === 'none') return;
    }
  }

  const LOOK = [/getent ahosts alone\.company\.test {3}#/, /ping -6 -c 1 alone\.company\.test {3}#/];

  describe('is the provider', () => {
    for (const how of ['refuses', 'is silent']) {
      it(`and does no harm beside an IPv4 that works, where it ${how}`, async () => {
        if (how === 'is silent') await silence(front.port);
        const began = Date.now();
        const added = await add(BOTH);
        assert.equal(added.status, 0, added.stderr);
        // Far from what a kernel takes to give up a connection.
        assert.ok(Date.now() - began < 20_000, `${Date.now() - began} ms`);
        assert.doesNotMatch(added.stderr, /IPv6/);
        const { stdout } = await cms('doctor');
        if (how === 'refuses') assert.match(stdout, /ok +provider\.connection .*IPv6 ::1: connection refused/);
        else assert.match(stdout, /warning +provider\.connection .*IPv6 leads nowhere[^]*waits a second for ::1 first/);
      });

      it(`and is named with the cure where there is no other, and it ${how}`, async () => {
        if (how === 'is silent') await silence(front.port);
        const { status, stderr } = await add(ALONE);
        assert.equal(status, 75, stderr);
        const words =
          how === 'refuses' ? /connection refused over IPv6 \(::1\)/ : /waiting for connection\) over IPv6 \(::1\)/;
        assert.match(stderr, words);
        for (const cure of LOOK) assert.match(stderr, cure);
      });
    }

    it('and waits no more once IPv4 comes first, as doctor proposes', async () => {
      assert.equal((await add(BOTH)).status, 0);
      await silence(front.port);
      const { stdout } = await cms('doctor');
      const [, line = ''] = /echo '(.*)' \| sudo tee -a \/etc\/gai\.conf/.exec(stdout) ?? [];
      assert.notEqual(line, '', stdout);
      assert.match(stdout, /provider\.name .*: ::1, 127\.0\.0\.1$/m);
      await writeFile(gai, `${line}\n`);
      undo.push(() => writeFile(gai, ''));
      const cured = (await cms('doctor')).stdout;
      assert.match(cured, /provider\.name .*: 127\.0\.0\.1, ::1$/m);
      assert.match(cured, /ok +provider\.connection .*IPv4 127\.0\.0\.1: \d+ ms; IPv6 ::1: /);
      assert.match(cured, /ok +provider\.answer /);
    });

    it('and is named by doctor where there is no other', async () => {
      assert.equal((await add(BOTH)).status, 0);
      const file = join(world.home.configDir, 'accounts.json');
      const text = await readFile(file, 'utf8');
      await writeFile(file, text.replaceAll(BOTH, ALONE));
      undo.push(() => writeFile(file, text));
      const { status, stdout } = await cms('doctor');
      assert.equal(status, 75);
      assert.match(stdout, /failure +provider\.connection .*no connection: IPv6 ::1: connection refused/);
      for (const cure of LOOK) assert.match(stdout, cure);
    });
  });

  describe('is a mail server', () => {
    const sendThrough = (host: string): Promise<Finished> =>
      cms(
        'account',
        'add',
        JANE,
        '--protocol',
        'smtp',
        '--smtp-host',
        host,
        '--smtp-port',
        String(submission.port),
        '--yes',
      );

    before(async () => {
      assert.equal((await add(BOTH)).status, 0);
    });

    it('and does no harm beside an IPv4 that works', async () => {
      assert.match((await sendThrough(BOTH)).stderr, /login as jane@example\.org accepted/);
      await silence(submission.port);
      assert.equal((await cms('account', 'test', JANE)).status, 0);
    });

    it('and is explained with the cure where there is no other', async () => {
      const added = await sendThrough(ALONE);
      assert.match(added.stderr, /alone\.company\.test was tried over IPv6, which leads nowhere/);
      await silence(submission.port);
      const [{ status, stdout }, unheard] = await Promise.all([cms('account', 'test', JANE), sendThrough(ALONE)]);
      assert.equal(status, 75);
      assert.match(stdout, /connect +failed .*no answer over IPv6 \(::1\)/);
      assert.match(unheard.stderr, /^SMTP login failed: alone\S+ no answer over IPv6 \(::1\)/m);
      for (const cure of LOOK) for (const said of [added.stderr, stdout, unheard.stderr]) assert.match(said, cure);
    });
  });
});
