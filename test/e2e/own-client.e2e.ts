/** Signing in without a client id at hand: cms registers itself, an organisation's preset, the wizard's ways out. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CMS_PROGRAM } from '../support/environment.ts';
import { filesBelow } from '../support/canary.ts';
import { ENDPOINT } from '../support/provider.ts';
import { runInTerminal, type Terminal } from '../support/pty.ts';
import { startWorld, type World } from '../support/world.ts';

const JANE = 'jane@example.org';

interface StoredAccount {
  kind: string;
  provider: string;
  client: Record<string, unknown>;
}

describe('an account without a client id', function () {
  this.timeout(60_000);
  let world: World;
  let terminal: Terminal | undefined;

  async function start(registration: boolean | string): Promise<void> {
    world = await startWorld({ registration });
    Object.assign(world.env, { CMS_TEST_LOGIN: JANE, TERM: 'xterm-256color' });
  }

  afterEach(async () => {
    await terminal?.stop();
    await world[Symbol.asyncDispose]();
  });

  /** The flags of the servers, without the client. */
  const flags = (): string[] => {
    const at = world.serverFlags.indexOf('--client-id');
    return world.serverFlags.filter((_flag, index) => index !== at && index !== at + 1);
  };

  const stored = async (): Promise<StoredAccount | undefined> => {
    const text = await readFile(join(world.home.configDir, 'accounts.json'), 'utf8').catch(() => '{"accounts":{}}');
    return (JSON.parse(text) as { accounts: Record<string, StoredAccount> }).accounts[JANE];
  };

  const add = (...argv: string[]): ReturnType<World['cms']> => world.cms('account', 'add', JANE, ...argv);
  const registrations = (method: string): number =>
    world.provider.allRequests.filter((each) => each.path.startsWith(ENDPOINT.registration) && each.method === method)
      .length;

  describe('at a server that lets programs register themselves', () => {
    beforeEach(() => start(true));

    it('registers cms with --register, keeps its registration token sealed, and takes the client back at the end', async () => {
      const added = await add(...flags(), '--register', '--flow', 'browser');
      assert.equal(added.status, 0, added.stderr);
      assert.match(added.stderr, /note: registered at 127\.0\.0\.1:\d+; the consent page will show the name cms/);
      assert.equal(added.stderr.match(/consent page/g)?.length, 1, added.stderr);
      const account = await stored();
      assert.equal(account?.client.token_endpoint_auth_method, 'none');
      assert.match(String(account.client.registration_client_uri), /\/reg\/\S+$/);
      assert.notEqual(account.client.client_id, world.provider.clientId);
      assert.equal((await world.cms('token', JANE, '--force-refresh')).status, 0);
      // Signing in again keeps client and token.
      assert.equal((await add('--no-test')).status, 0);
      assert.equal((await stored())?.client.client_id, account.client.client_id);
      assert.equal(registrations('POST'), 1);
      const removed = await world.cms('account', 'remove', JANE, '--yes');
      assert.equal(removed.status, 0, removed.stderr);
      assert.equal(registrations('DELETE'), 1);
    });

    it('leaves no secret of the registration in the open', async () => {
      let token = '';
      world.provider.setFault(async (_request, forward) => {
        const reply = await forward();
        token = (JSON.parse(reply.body.toString()) as { registration_access_token: string }).registration_access_token;
        return reply;
      }, ENDPOINT.registration);
      const added = await add(...flags(), '--register', '--no-test');
      assert.equal(added.status, 0, added.stderr);
      assert.ok(token.length > 20);
      const open = [added.stdout, added.stderr, ...filesBelow(world.home.path).map(({ text }) => text)];
      for (const text of open) assert.ok(!text.includes(token));
    });

    it('takes the client back when nobody signs in', async () => {
      world.provider.setFault(() => ({ status: 400, body: '{"error":"invalid_grant"}' }));
      const failed = await add(...flags(), '--register');
      assert.equal(failed.status, 77, failed.stderr);
      assert.deepEqual([registrations('POST'), registrations('DELETE')], [1, 1]);
      assert.equal(await stored(), undefined);
    });

    for (const [where, seen, login] of [
      ['while the browser is waited for', /p: paste/, undefined],
      ['when somebody else has signed in', /Is eve@example\.org the login/, 'eve@example.org'],
    ] as const) {
      it(`takes the client back at Ctrl-C ${where}, and leaves nothing behind`, async () => {
        if (login === undefined) world.env.BROWSER = 'true';
        Object.assign(world.env, { CMS_STORE: undefined, CMS_TEST_LOGIN: login });
        const adding = startAdd([...flags(), '--register', '--store', 'file']);
        await adding.waitFor(/registered at 127\.0\.0\.1:\d+;/, 20_000);
        await adding.waitFor(seen, 20_000);
        assert.deepEqual([registrations('POST'), registrations('DELETE')], [1, 0]);
        adding.press('ctrl-c');
        assert.equal((await adding.wait()).status, 64, adding.screen);
        assert.match(adding.screen, /cms: error: cancelled; nothing was changed\n$/);
        assert.equal(registrations('DELETE'), 1);
        assert.deepEqual(filesBelow(world.home.path), []);
      });
    }

    it('names --register where nobody can be asked', async () => {
      const failed = await add(...flags());
      assert.equal(failed.status, 78, failed.stderr);
      assert.match(failed.stderr, /no client id for 127\.0\.0\.1:\d+, which lets programs register themselves/);
      assert.match(failed.stderr, /cms account add jane@example\.org --issuer .* --register$/m);
      assert.equal(registrations('POST'), 0);
    });

    it('is asked about at a terminal', async () => {
      const adding = startAdd([...flags(), '--no-test']);
      await adding.waitFor(/Register cms at 127\.0\.0\.1:\d+\?/, 20_000);
      adding.press('enter');
      assert.equal((await adding.wait(20_000)).status, 0, adding.screen);
      assert.equal(registrations('POST'), 1);
    });

    it('goes on to a client of its own after a no', async () => {
      const adding = startAdd([...flags(), '--no-test']);
      await adding.waitFor(/Register cms at 127\.0\.0\.1:\d+\?/, 20_000);
      adding.type('n');
      adding.press('enter');
      await adding.waitFor(/consent will show the name that you\s+give to this client/);
      await adding.waitFor(/Client id:/);
      adding.type(world.provider.clientId);
      adding.press('enter');
      await adding.waitFor(/Client secret[^:]*:/);
      adding.press('enter');
      assert.equal((await adding.wait(20_000)).status, 0, adding.screen);
      assert.doesNotMatch(adding.screen, /was given at/, 'said before');
      assert.equal(registrations('POST'), 0);
      assert.equal((await stored())?.client.client_id, world.provider.clientId);
    });
  });

  it('that may not register is told whom to ask', async () => {
    await start('an initial access token');
    const failed = await add(...flags(), '--register');
    assert.equal(failed.status, 78, failed.stderr);
    assert.match(failed.stderr, /does not let cms register itself \(invalid/);
    assert.match(failed.stderr, /ask its administrator for a client/);
    assert.equal(await stored(), undefined);
  });

  it('cannot be registered where the server offers nothing of the kind', async () => {
    await start(false);
    const failed = await add(...flags(), '--register');
    assert.equal(failed.status, 78, failed.stderr);
    assert.match(failed.stderr, /no registration endpoint, so cms cannot register itself/);
  });

  it('is told that the clock is wrong where that explains a refused answer', async () => {
    await start(false);
    world.provider.setFault(async (_request, forward) => {
      const { body, headers, status } = await forward();
      const answer = JSON.parse(body.toString()) as Record<string, unknown>;
      const date = new Date(Date.now() - 2 * 3600_000).toUTCString();
      return { status, headers: { ...headers, date }, body: JSON.stringify({ ...answer, id_token: 'e30.e30.e30' }) };
    });
    const failed = await world.add(JANE);
    assert.equal(failed.status, 76, failed.stderr);
    assert.match(failed.stderr, /; the clock of this machine is 120 min ahead of the provider's/);
    assert.match(failed.stderr, /timedatectl/);
  });

  describe('of an organisation with a preset', () => {
    beforeEach(() => start(false));

    const preset = (more = ''): Promise<string> =>
      world.home.writeConfig(
        'config.toml',
        `[[provider]]
id = "acme"
name = "Acme Ltd"
issuer = "${world.provider.issuer}"
client_id = "${world.provider.clientId}"
scopes = ["openid", "email", "offline_access", "mail.smtp", "mail.imap"]
domains = ["example.org"]
smtp = { host = "localhost", port = ${world.submission.port} }
imap = { host = "localhost", port = ${world.imap.port}, tls = "implicit" }
${more}`,
      );

    it('needs no flag but the address', async () => {
      await preset();
      const added = await add();
      assert.equal(added.status, 0, added.stderr);
      assert.match(added.stderr, /provider: Acme Ltd \(domain example\.org\)/);
      assert.match(added.stderr, /the client is that of Acme Ltd \(.*config\.toml\); the consent page shows the name/);
      assert.equal(added.stderr.match(/consent page/g)?.length, 1, added.stderr);
      assert.match(added.stderr, /SMTP localhost:\d+: login as jane@example\.org accepted/);
      assert.equal((await stored())?.provider, 'acme');
      assert.equal((await add('--no-test')).status, 0);
    });

    it('is found by its id, listed by the wizard, and not at all after a slip', async () => {
      await preset();
      const named = await world.cms('account', 'add', 'jane@elsewhere.test', '--provider', 'acme', '--no-test');
      assert.equal(named.status, 77, named.stderr);
      await preset('clientid = "x"\n');
      const slip = await add();
      assert.equal(slip.status, 78, slip.stderr);
      assert.match(slip.stderr, /config\.toml: \[\[provider\]\] acme: unknown key clientid/);
    });

    it('brings an authority for HTTP and for the mail servers', async () => {
      const { NODE_EXTRA_CA_CERTS: caFile = '' } = world.env;
      delete world.env.NODE_EXTRA_CA_CERTS;
      await preset();
      const refused = await add();
      assert.equal(refused.status, 78, refused.stderr);
      assert.match(refused.stderr, /SMTP login failed: .*certificate/);
      assert.match(refused.stderr, /do: cms account add jane@example\.org --ca-file FILE/);
      await preset(`ca_file = ${JSON.stringify(caFile)}\n`);
      const added = await add();
      assert.match(added.stderr, /SMTP localhost:\d+: login as jane@example\.org accepted/, added.stderr);
      assert.match(added.stderr, /IMAP localhost:\d+: login as jane@example\.org accepted/);
      assert.equal((await stored())?.client.ca_file, caFile);
    });
  });

  describe('at Google', () => {
    beforeEach(() => start(false));

    const choose = async (adding: Terminal): Promise<void> => {
      await adding.waitFor(/How should cms log in at Google[^]*navigate/, 20_000);
    };

    it('may be one with an app password after all', async () => {
      const adding = startAdd(['jane@gmail.com', '--no-test']);
      await choose(adding);
      adding.press('down', 'enter');
      await adding.waitFor(/app password: turn on 2-Step/);
      await adding.waitFor(/App password:/);
      adding.type('abcd efgh');
      adding.press('enter');
      assert.equal((await adding.wait()).status, 0, adding.screen);
      assert.equal((await world.cms('token', 'jane@gmail.com', '-o', 'password')).stdout, 'abcd efgh\n');
    });

    it('takes the downloaded file, and asks again for one that it cannot use', async () => {
      const file = join(world.home.path, 'client_secret_1.json');
      await writeFile(file, JSON.stringify({ installed: { client_id: '1.apps', client_secret: 'CANARY-secret' } }));
      world.env.BROWSER = 'true';
      const adding = startAdd(['jane@gmail.com', '--no-test']);
      await choose(adding);
      adding.press('enter');
      await adding.waitFor(/console\.cloud\.google\.com\/auth\/clients\/create/);
      await adding.waitFor(/Client id, or path of the downloaded JSON file:/);
      adding.type('/nowhere.json');
      adding.press('enter');
      await adding.waitFor(/cannot read \/nowhere\.json: ENOENT/);
      adding.press(...Array.from('/nowhere.json', () => 'backspace' as const));
      adding.type(file);
      adding.press('enter');
      await adding.waitFor(/accounts\.google\.com\/\S*client_id=1\.apps/, 20_000);
      assert.doesNotMatch(adding.output, /CANARY/);
      adding.press('ctrl-c');
      assert.equal((await adding.wait()).status, 64);
    });
  });

  function startAdd(argv: readonly string[]): Terminal {
    const withAddress = argv[0]?.includes('@') === true ? argv : [JANE, ...argv];
    terminal = runInTerminal(
      process.execPath,
      [CMS_PROGRAM, 'account', 'add', ...withAddress, '--no-exim', '--no-service'],
      {
        env: world.env,
        cols: 100,
      },
    );
    return terminal;
  }
});
