/** msmtp, mutt and mbsync with the configuration that the documentation prints, at servers on this machine. */
import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CMS_PROGRAM } from '../support/environment.ts';
import { type Finished, run } from '../support/processes.ts';
import { requires } from '../support/requirements.ts';
import { startWorld, type World } from '../support/world.ts';

const JANE = 'jane@example.org';
const DOC = join(import.meta.dirname, '..', '..', 'docs', 'msmtp-mutt-mbsync.md');
const MAIL = `From: ${JANE}\nTo: x@elsewhere.example\nSubject: by a program\n\nbody\n`;

describe('mail programs, configured as documented', function () {
  this.timeout(60_000);
  let world: World;
  let document: string;

  before(async () => {
    world = await startWorld();
    document = await readFile(DOC, 'utf8');
    const added = await world.add(JANE);
    assert.equal(added.status, 0, added.stderr);
    // The documentation calls it by its name.
    await writeFile(join(world.home.path, 'cms'), `#!/bin/sh\nexec "${process.execPath}" "${CMS_PROGRAM}" "$@"\n`, {
      mode: 0o755,
    });
  });
  after(() => world[Symbol.asyncDispose]());
  beforeEach(() => {
    world.submission.messages.length = 0;
    world.submission.authentications.length = 0;
    world.imap.authentications.length = 0;
    world.imap.commands.length = 0;
  });
  afterEach(() => {
    world.submission.refuse(JANE, undefined);
    world.imap.refuse(JANE, undefined);
  });

  /** The first block under a heading. */
  function snippet(heading: string): string {
    const text = document.slice(document.indexOf(`\n## ${heading}\n`));
    const block = /```\w*\n([^]*?)```/.exec(text)?.[1];
    assert.ok(block, heading);
    return block.replaceAll('jane@gmail.com', JANE);
  }

  function program(argv: readonly string[], input?: string): Promise<Finished> {
    const env = { ...world.env, HOME: world.home.path, PATH: `${world.home.path}:${process.env.PATH ?? ''}` };
    const [file = '', ...args] = argv;
    return run(file, args, { env: { ...env, TERM: 'dumb' }, ...(input !== undefined && { input }) });
  }

  async function file(name: string, text: string): Promise<string> {
    const path = join(world.home.path, name);
    await writeFile(path, text, { mode: 0o600 });
    return path;
  }

  const sent = () => world.submission.messages.map(({ user, mechanism, from }) => [user, mechanism, from]);

  describe('msmtp', () => {
    before(function () {
      requires(this, 'msmtp');
    });

    /** The account with STARTTLS. */
    const configuration = (change = (text: string): string => text): Promise<string> => {
      const { port, caFile } = world.submission;
      const text = snippet('msmtp')
        .replace('tls on', `tls on\ntls_trust_file ${caFile}`)
        .replace('smtp.office365.com', '127.0.0.1')
        .replace('port 587', `port ${port}`);
      return file('msmtprc', change(text));
    };
    const msmtp = async (path: string): Promise<Finished> =>
      program(['msmtp', '-C', path, '-a', 'work', '--', 'x@elsewhere.example'], MAIL);

    it('sends by XOAUTH2, as printed', async () => {
      const { status, stderr } = await msmtp(await configuration());
      assert.deepEqual([status, stderr], [0, '']);
      assert.deepEqual(sent(), [[JANE, 'XOAUTH2', JANE]]);
      assert.equal(world.submission.authentications[0]?.initialResponse, false, 'a token may be long');
    });

    it('sends by OAUTHBEARER with a token that is not long', async () => {
      world.submission.offer('OAUTHBEARER');
      const path = await configuration((text) => text.replaceAll('auth xoauth2', 'auth oauthbearer'));
      const { status, stderr } = await msmtp(path);
      world.submission.offer('XOAUTH2', 'PLAIN', 'LOGIN');
      assert.deepEqual([status, stderr], [0, '']);
      assert.deepEqual(sent(), [[JANE, 'OAUTHBEARER', JANE]]);
      assert.equal(world.submission.authentications[0]?.initialResponse, true, 'why it may not be long');
    });

    it('says what the server says, and keeps nothing where there is no token', async () => {
      world.submission.refuse(JANE, '535 5.7.8 Username and Password not accepted');
      const refused = await msmtp(await configuration());
      assert.equal(refused.status, 77);
      assert.match(refused.stderr, /authentication failed/);
      const path = await configuration((text) => text.replaceAll(`cms token ${JANE}`, 'cms token who@example.org'));
      const none = await msmtp(path);
      assert.notEqual(none.status, 0);
      assert.match(none.stderr, /no account who@example\.org/);
      assert.deepEqual(sent(), []);
    });
  });

  describe('mutt', () => {
    before(function () {
      requires(this, 'mutt');
    });

    for (const mechanism of ['oauthbearer', 'xoauth2']) {
      it(`sends by ${mechanism}`, async () => {
        const { port, caFile } = world.submission;
        const text = snippet('mutt and neomutt')
          .replace(/smtps:\/\/(\S+)@smtp\.gmail\.com:465/, `smtp://$1@127.0.0.1:${port}`)
          .replace('smtp_authenticators = "oauthbearer:xoauth2"', `smtp_authenticators = "${mechanism}"`);
        const rc = await file(
          'muttrc',
          `${text}\nset ssl_force_tls = yes\nset ssl_ca_certificates_file = "${caFile}"\nset from = ${JANE}\n` +
            `set use_envelope_from = yes\nset copy = no\nset record = ""\nset folder = "${world.home.path}"\n`,
        );
        world.submission.offer(mechanism.toUpperCase());
        const done = await program(['mutt', '-n', '-F', rc, '-s', 'by a program', 'x@elsewhere.example'], 'body\n');
        world.submission.offer('XOAUTH2', 'PLAIN', 'LOGIN');
        assert.equal(done.status, 0, `${done.stdout}${done.stderr}`);
        assert.deepEqual(sent(), [[JANE, mechanism.toUpperCase(), JANE]]);
      });
    }
  });

  describe('mbsync', () => {
    before(function () {
      requires(this, 'mbsync');
    });
    before(() => mkdir(join(world.home.path, 'mail')));

    /** Lists the mailboxes, which takes a login. */
    async function mbsync(...before: string[]): Promise<Finished> {
      const { port, caFile } = world.imap;
      const account = snippet('mbsync (isync)').replace(
        'Host imap.gmail.com',
        `Host localhost\nPort ${port}\nCertificateFile ${caFile}`,
      );
      const rc = await file(
        'mbsyncrc',
        `${account}\nIMAPStore far\nAccount gmail\n\nMaildirStore near\nPath ${world.home.path}/mail/\n` +
          `Inbox ${world.home.path}/mail/INBOX\n\nChannel all\nFar :far:\nNear :near:\nPatterns *\n`,
      );
      return program([...before, 'mbsync', '-c', rc, '-l', 'all']);
    }

    it('logs in by XOAUTH2 with the plugin that Debian has', async () => {
      const { status, stdout, stderr } = await mbsync();
      assert.equal(status, 0, stderr);
      assert.match(stderr, /Requesting token!/);
      assert.match(stdout, /^INBOX$/m);
      assert.deepEqual(
        world.imap.authentications.map(({ user, mechanism, accepted }) => [user, mechanism, accepted]),
        [[JANE, 'XOAUTH2', true]],
      );
    });

    it('has a word of its own for a token that the server refuses, which is documented', async () => {
      world.imap.refuse(JANE, 'NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)');
      // It goes on waiting for the server, which waits for its answer: as the documentation says.
      const { status, stderr } = await mbsync('timeout', '5');
      assert.notEqual(status, 0);
      const said = /IMAP wants more steps/.exec(stderr)?.[0];
      assert.ok(said !== undefined && document.includes(said), stderr);
    });
  });
});
