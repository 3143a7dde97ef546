/** `cms account add` with its questions, in a pseudo-terminal. */
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CMS_PROGRAM } from '../support/environment.ts';
import { signInForCallbackUrl } from '../support/person.ts';
import { faults } from '../support/provider.ts';
import { type Key, runInTerminal, type Terminal } from '../support/pty.ts';
import { startWorld, type World } from '../support/world.ts';

const JANE = 'jane@example.org';
const EVE = 'eve@example.org';

/** Whatever else is on this machine. */
const NOTHING_ELSE = ['--no-send', '--no-exim', '--no-service'];

/** A question, and what is typed before Enter. */
type Step = readonly [question: RegExp, answer: string];

describe('the wizard of account add', function () {
  this.timeout(60_000);
  let world: World;
  let terminal: Terminal | undefined;

  beforeEach(async () => {
    world = await startWorld();
    // Nobody has chosen a place for the key, and no keyring answers here.
    Object.assign(world.env, { CMS_STORE: undefined, CMS_TEST_LOGIN: JANE, TERM: 'xterm-256color' });
  });

  afterEach(async () => {
    await terminal?.stop();
    await world[Symbol.asyncDispose]();
  });

  function startAdd(argv: readonly string[] = [], cols = 80): Terminal {
    terminal = runInTerminal(process.execPath, [CMS_PROGRAM, 'account', 'add', ...argv], { env: world.env, cols });
    return terminal;
  }

  // The ports of the servers are the only thing that the wizard does not ask for.
  const ports = (): string[] => [
    ...['--smtp-port', String(world.submission.port), '--smtp-host', 'localhost'],
    ...['--imap-port', String(world.imap.port), '--imap-host', 'localhost', '--imap-tls', 'implicit'],
    ...['--scope', 'openid email offline_access mail.smtp mail.imap'],
    ...NOTHING_ELSE,
  ];

  const steps = (): Step[] => [
    [/Mail address:/, JANE],
    [/Which provider has jane@example\.org\?[^]*navigate/, 'another'],
    [/issuer[^:]*:/, world.provider.issuer],
    [/Client id:/, world.provider.clientId],
    [/Client secret[^:]*:/, ''],
    [/vault key[^]*navigate/, ''],
  ];

  async function answer(to: Terminal, [question, text]: Step): Promise<void> {
    await to.waitFor(question, 20_000);
    to.type(text);
    // The list jumps to what is typed; Enter belongs to the place where it has arrived.
    if (text === 'another') await to.waitFor(/❯ another/);
    to.press('enter');
  }

  async function interrupt(at: Terminal, key: Key = 'ctrl-c'): Promise<void> {
    at.press(key);
    const { status } = await at.wait();
    assert.equal(status, 64, at.screen);
    assert.match(
      at.screen,
      /cms: error: cancelled; nothing was changed\n(?:cms: try: .* # goes on where you stopped\n)?$/,
    );
    assert.doesNotMatch(at.screen, /^\s+at /m);
    // The cursor is shown again.
    assert.ok(at.output.lastIndexOf('\x1b[?25h') >= at.output.lastIndexOf('\x1b[?25l'));
  }

  interface StoredAccount {
    login: string;
    aliases: string[];
    client?: { ca_file?: string };
  }

  const accounts = async (): Promise<Record<string, StoredAccount>> => {
    const text = await readFile(join(world.home.configDir, 'accounts.json'), 'utf8').catch(() => '{"accounts":{}}');
    return (JSON.parse(text) as { accounts: Record<string, StoredAccount> }).accounts;
  };

  for (const cols of [80, 40]) {
    it(`asks for what it needs and signs in, on ${cols} columns`, async () => {
      const adding = startAdd(ports(), cols);
      for (const step of steps()) await answer(adding, step);
      const { status } = await adding.wait(20_000);
      assert.equal(status, 0, adding.screen);
      // Lines may be broken between words, but never an address that somebody has to open.
      const words = adding.screen.replace(/\s+/g, ' ');
      assert.match(words, /signed in as jane@example\.org/);
      assert.match(words, /SMTP localhost:\d+: login as jane@example\.org accepted/);
      assert.match(adding.screen, /^http:\/\/127\.0\.0\.1:\d+\/auth\?\S{200,}$/m);
      assert.deepEqual(Object.keys(await accounts()), [JANE]);
      assert.equal((await world.cms('token', JANE)).status, 0);
    });
  }

  it('asks again for what cannot be used, and names why', async () => {
    const adding = startAdd();
    await answer(adding, [/Mail address:/, 'jane']);
    await adding.waitFor(/not a usable mail address: "jane"; write it as name@domain/);
    adding.type('@example.org');
    adding.press('enter');
    await answer(adding, [/Which provider[^]*navigate/, 'another']);
    await answer(adding, [/issuer[^:]*:/, 'http://login.example.org']);
    await adding.waitFor(/plain http/);
    await interrupt(adding);
  });

  for (const [address, wrong, why] of [
    ['jane@contoso.onmicrosoft.com', 'a name', /it is the "Application \(client\) ID", such as/],
    ['jane@gmail.com', 'a name', /a client id ends in \.apps\.googleusercontent\.com, and a path in\s+\.json/],
  ] as const) {
    it(`asks again for what cannot be a client id at the provider of ${address}`, async () => {
      const adding = startAdd([address]);
      if (address.endsWith('gmail.com')) await answer(adding, [/How should cms log in[^]*navigate/, '']);
      await answer(adding, [/Client id[^:]*:/, wrong]);
      await adding.waitFor(why);
      await interrupt(adding);
    });
  }

  for (const cols of [120, 36]) {
    it(`shortens the list of providers to what is typed, and says what to take for one that is not there, on ${cols} columns`, async () => {
      const adding = startAdd([JANE], cols);
      await adding.waitFor(/Which provider[^]*navigate/, 20_000);
      adding.type('hotm');
      await adding.waitFor(/❯ Outlook\.com, Hotmail/);
      adding.press('backspace', 'backspace', 'backspace', 'backspace');
      await adding.waitFor(/❯ Google[^]*Microsoft/);
      adding.type('acme');
      await adding.waitFor(/no "acme" in this list; for any\s+other\s+server:\s+❯ another server/);
      adding.press('enter');
      await adding.waitFor(/OpenID Connect issuer/);
      await interrupt(adding);
    });
  }

  it('asks again for an issuer that does not answer as one, before anything else is asked', async () => {
    const adding = startAdd(ports(), 120);
    await answer(adding, [/Mail address:/, JANE]);
    await answer(adding, [/Which provider[^]*navigate/, 'another']);
    await answer(adding, [/issuer[^:]*:/, `${world.provider.issuer}/nowhere`]);
    await adding.waitFor(/publishes no OAuth or OpenID Connect metadata[^]*Keycloak[^]*--authorization-endpoint/);
    adding.press(...Array.from('/nowhere', () => 'backspace' as const));
    await adding.waitFor(new RegExp(`${world.provider.issuer}\\s*$`));
    adding.press('enter');
    await adding.waitFor(/Client id:/);
    await interrupt(adding);
  });

  it('asks again for a server that there cannot be, or a file that cannot be read', async () => {
    const { issuer } = world.provider;
    const adding = startAdd(
      [JANE, '--issuer', issuer, '--imap-host', 'localhost', '--scope', 'x', ...NOTHING_ELSE],
      120,
    );
    await adding.waitFor(/SMTP server of/, 20_000);
    for (const [wrong, why] of [
      ['smtp host', /write it as smtp\.example\.org or smtp\.example\.org:587$/],
      ['localhost:0', /a port is a number from 1 to 65535, not 0$/],
      ['localhost:65536', /a port is a number from 1 to 65535, not 65536$/],
      ['localhost:x', /write it as/],
      ['a:1:2', /write it as/],
      ['-', /write it as/],
    ] as const) {
      adding.type(wrong);
      // Keys that come while an answer is judged are lost: each step is seen before the next.
      await adding.waitFor(new RegExp(`none\\): ${wrong}$`));
      adding.press('enter');
      await adding.waitFor(why);
      adding.press(...Array.from(wrong, () => 'backspace' as const));
      await adding.waitFor(/none\):\s*$/);
    }
    adding.type('localhost:65535');
    await adding.waitFor(/65535$/);
    adding.press('enter');
    await answer(adding, [/Client id:/, '']);
    await adding.waitFor(/something has to be entered/);
    adding.type('x');
    await adding.waitFor(/Client id: x$/);
    adding.press('enter');
    await answer(adding, [/Client secret[^:]*:/, '@/nowhere']);
    await adding.waitFor(/cannot read \/nowhere: ENOENT/);
    await interrupt(adding);
  });

  it('leaves lines that somebody will copy in one piece, whatever the width', async () => {
    world.env.SSH_CONNECTION = '192.0.2.9 5555 192.0.2.7 2222';
    Object.assign(world.env, { BROWSER: undefined, CMS_STORE: 'file', SUDO_USER: 'sue' });
    const adding = startAdd([JANE, ...world.serverFlags, '--flow', 'browser', '--no-test', ...NOTHING_ELSE], 40);
    await adding.waitFor(/^ssh -N -p 2222 -L (\d+):127\.0\.0\.1:\1 sue@192\.0\.2\.7$/m, 20_000);
    const [url] = /^http:\S+\/auth\?\S+$/m.exec(adding.screen) ?? [];
    await fetch(await signInForCallbackUrl(url ?? '', { login: JANE }));
    assert.equal((await adding.wait(20_000)).status, 0, adding.screen);
    assert.match(adding.screen, /^mutt: {3}set imap_oauth_refresh_command = "cms token --protocol imap \S+"$/m);
  });

  it('ends with a sentence at Ctrl-C, at every question, and leaves nothing behind', async () => {
    const all = steps();
    for (let last = 0; last < all.length; last++) {
      const adding = startAdd(ports());
      for (const step of all.slice(0, last)) await answer(adding, step);
      await adding.waitFor(all[last]![0], 20_000);
      await interrupt(adding);
      assert.deepEqual(await readdir(world.home.path), ['home'], `at question ${last + 1}`);
    }
  });

  it('ends with a sentence at Ctrl-C while it waits for the browser', async () => {
    world.env.BROWSER = 'true';
    const adding = startAdd([JANE, ...world.serverFlags, '--store', 'file']);
    await adding.waitFor(/waiting for the browser/);
    await interrupt(adding);
    assert.deepEqual(await accounts(), {});
  });

  it('shows no app password while it is typed', async () => {
    const adding = startAdd(['jane@icloud.com', '--no-test', '--store', 'file', ...NOTHING_ELSE]);
    await answer(adding, [/App password:/, 'CANARY-password']);
    assert.equal((await adding.wait()).status, 0, adding.screen);
    assert.doesNotMatch(adding.output, /CANARY/);
    assert.equal((await world.cms('token', 'jane@icloud.com', '-o', 'password')).stdout, 'CANARY-password\n');
  });

  describe('when the provider does not say who signed in, and no login is tried', () => {
    const add = async (): Promise<Terminal> => {
      world.provider.accounts.set(JANE, { email: null, preferredUsername: null });
      const adding = startAdd([JANE, ...world.serverFlags, '--store', 'file', '--no-test', ...NOTHING_ELSE]);
      await adding.waitFor(/Nothing proves that this is jane@example\.org\. Store it anyway\?/, 20_000);
      return adding;
    };

    afterEach(() => world.provider.accounts.delete(JANE));

    it('stores nothing after a no, which is the default', async () => {
      const adding = await add();
      adding.press('enter');
      assert.equal((await adding.wait()).status, 77, adding.screen);
      assert.deepEqual(await accounts(), {});
    });

    it('keeps the account after a yes', async () => {
      const adding = await add();
      adding.type('y');
      adding.press('enter');
      assert.equal((await adding.wait()).status, 0, adding.screen);
      assert.deepEqual(Object.keys(await accounts()), [JANE]);
    });
  });

  describe('when a scope that was asked for is not granted', () => {
    it('offers to sign in again, and is done when all is granted', async () => {
      const narrow = faults.rewrite((answer) => ({ ...answer, scope: 'openid email offline_access mail.smtp' }));
      world.provider.setFault(faults.first(1, narrow));
      const adding = startAdd([JANE, ...world.serverFlags, '--store', 'file', '--no-test', ...NOTHING_ELSE]);
      await adding.waitFor(/Not granted: mail\.imap \(imap\)/, 20_000);
      await adding.waitFor(/Sign in again, and allow everything that is asked for\?/);
      adding.press('enter');
      assert.equal((await adding.wait()).status, 0, adding.screen);
      assert.deepEqual(Object.keys(await accounts()), [JANE]);
    });
  });

  describe('when a mail server has a private authority', () => {
    it('asks for its file, logs in with it, and keeps it with the account', async () => {
      const { NODE_EXTRA_CA_CERTS: caFile = '' } = world.env;
      delete world.env.NODE_EXTRA_CA_CERTS;
      try {
        const adding = startAdd([JANE, ...world.serverFlags, '--protocol', 'smtp', '--store', 'file', ...NOTHING_ELSE]);
        await answer(adding, [/File of that authority \(PEM\), empty if you have none:/, caFile]);
        assert.equal((await adding.wait()).status, 0, adding.screen);
        assert.deepEqual(
          Object.values(await accounts()).map(({ client }) => client?.ca_file),
          [caFile],
        );
      } finally {
        world.env.NODE_EXTRA_CA_CERTS = caFile;
      }
    });
  });

  describe('when somebody else signs in', () => {
    const add = async (): Promise<Terminal> => {
      world.env.CMS_TEST_LOGIN = EVE;
      const adding = startAdd([JANE, ...world.serverFlags, '--store', 'file', '--no-test', '--yes']);
      await adding.waitFor(/eve@example\.org signed in, not jane@example\.org/, 20_000);
      await adding.waitFor(/Is eve@example\.org the login that may use the mailbox jane@example\.org\?/);
      return adding;
    };

    it('asks although --yes was said, and stores nothing after a no', async () => {
      const adding = await add();
      adding.press('enter');
      const { status } = await adding.wait();
      assert.equal(status, 77, adding.screen);
      assert.match(adding.screen, /eve@example\.org signed in, not jane@example\.org; nothing was stored/);
      assert.match(adding.screen, /--login eve@example\.org/);
      assert.deepEqual(await accounts(), {});
    });

    it('keeps the login after a yes', async () => {
      const adding = await add();
      adding.type('y');
      adding.press('enter');
      assert.equal((await adding.wait()).status, 0, adding.screen);
      assert.equal((await accounts())[JANE]?.login, EVE);
      assert.equal((await world.cms('token', JANE)).status, 0);
    });

    it('stores nothing at Ctrl-C', async () => {
      await interrupt(await add());
      assert.deepEqual(await accounts(), {});
    });
  });

  it('asks before it removes, and no is the default', async () => {
    world.env.CMS_STORE = 'file';
    await world.add(JANE, '--no-test');
    const remove = (): Terminal =>
      (terminal = runInTerminal(process.execPath, [CMS_PROGRAM, 'account', 'remove', JANE], { env: world.env }));
    const kept = remove();
    await answer(kept, [/Remove jane@example\.org and revoke its grant\?/, '']);
    assert.equal((await kept.wait()).status, 64);
    assert.deepEqual(Object.keys(await accounts()), [JANE]);
    const removed = remove();
    await answer(removed, [/Remove jane@example\.org and revoke its grant\?/, 'y']);
    assert.equal((await removed.wait()).status, 0);
    assert.deepEqual(await accounts(), {});
  });
});
