import assert from 'node:assert/strict';
import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { openContext } from '../../src/lib/context.ts';
import { CMS_PROGRAM, spawnCms } from '../support/environment.ts';
import type { RunningProcess } from '../support/processes.ts';
import { ENDPOINT, faults } from '../support/provider.ts';
import { runInTerminal, type Terminal } from '../support/pty.ts';
import { startWorld, type World } from '../support/world.ts';

const JANE = 'jane@example.org';
const SHOWN_AGAIN = '\x1b[?25h\x1b[?1049l';

interface AccountJson {
  address: string;
  state: string;
  next_sign_in: { certainty: string; at?: string; reason: string };
}

describe('cms status', function () {
  this.timeout(30_000);
  let world: World;
  let broker: RunningProcess | undefined;

  const watching = (cols: number, ...argv: string[]): Terminal =>
    runInTerminal(process.execPath, [CMS_PROGRAM, 'status', '--watch', ...argv], { env: world.env, cols });
  const accounts = async (): Promise<AccountJson[]> =>
    (JSON.parse((await world.cms('status', '--json')).stdout) as { accounts: AccountJson[] }).accounts;

  async function serve(): Promise<RunningProcess> {
    const started = spawnCms(['serve'], { env: world.env });
    await started.waitFor(/listening/);
    // The vault is read right after; the test ends by its own time limit.
    while ((await accounts()).some(({ state }) => state === 'unknown'));
    return started;
  }

  before(async () => {
    world = await startWorld();
    assert.equal((await world.add(JANE)).status, 0);
  });
  afterEach(async () => {
    world.provider.setFault(undefined);
    await broker?.stop();
    broker = undefined;
  });
  after(() => world[Symbol.asyncDispose]());

  it('without a broker shows what the vault says, and how to start one', async () => {
    const { status, stdout } = await world.cms('status');
    assert.equal(status, 69);
    assert.match(stdout, /^jane@example\.org +custom +OK +5\d min +\d+ s ago +not foreseeable/m);
    assert.match(stdout, /broker: none runs.*cms serve.*cms service install/);
  });

  it('without a broker says that the vault key is lost', async () => {
    const key = join(world.home.configDir, 'vault.key');
    renameSync(key, `${key}.away`);
    const { status, stdout } = await world.cms('status');
    renameSync(`${key}.away`, key);
    assert.equal(status, 69);
    assert.match(stdout, /UNREADABLE: there is no key file \S+vault\.key\n +put \S+vault\.key back/);
  });

  it('without a broker promises no further attempt after a failed refresh', async () => {
    world.provider.setFault(faults.answer(503, 'busy'), ENDPOINT.token);
    assert.equal((await world.cms('token', JANE, '--force-refresh')).status, 75);
    const { status, stdout } = await world.cms('status');
    assert.equal(status, 75);
    assert.match(stdout, /FAILING[^]*\n +cms token jane@example\.org --force-refresh {3}# tries again\n/);
    assert.doesNotMatch(stdout, /by itself/);
    broker = await serve();
    assert.match((await world.cms('status')).stdout, /tried again by itself at \d\d:\d\d:\d\d; at once: cms token/);
    world.provider.setFault(undefined, ENDPOINT.token);
    assert.equal((await world.cms('token', JANE, '--force-refresh')).status, 0);
  });

  it('on a terminal has bars and colours, unless those are not wanted', async () => {
    broker = await serve();
    const once = async (more: Record<string, string>): Promise<string> => {
      const env: Record<string, string | undefined> = { ...world.env, ...more };
      // The terminal's own TERM stands in the way of another one.
      const argv = [`TERM=${env.TERM ?? 'xterm'}`, process.execPath, CMS_PROGRAM, 'status'];
      await using terminal = runInTerminal('env', argv, { env, cols: 100 });
      assert.equal((await terminal.wait()).status, 0, terminal.screen);
      return terminal.output;
    };
    assert.match(await once({}), /\x1b\[32mOK\x1b\[39m.*█{9}/);
    for (const plain of [{ NO_COLOR: '1' }, { TERM: 'dumb' }]) assert.doesNotMatch(await once(plain), /\x1b/);
    assert.match(await once({ LANG: 'C', NO_COLOR: '1' }), /#{9}/);
  });

  it('watches on a terminal until Ctrl-C, which gives the cursor and the screen back', async () => {
    broker = await serve();
    await using terminal = watching(80, '1');
    await terminal.waitFor(/jane@example\.org[^]*jane@example\.org/);
    assert.ok(terminal.output.startsWith('\x1b[?1049h\x1b[?25l'), 'on the alternate screen, without a cursor');
    assert.ok(!terminal.output.includes(SHOWN_AGAIN));
    await broker.stop();
    await terminal.waitFor(/broker: none runs/);
    terminal.resize(50, 30);
    await terminal.waitFor(/ {2}refreshed +\d+/, 900);
    terminal.press('ctrl-c');
    assert.deepEqual(await terminal.wait(), { status: 69, signal: undefined });
    const [, last = ''] = terminal.output.split(SHOWN_AGAIN);
    assert.match(last, /jane@example\.org[^]*none runs/, 'the last look stays');
  });

  it('watches into a pipe, as text or as one line of JSON for each look', async () => {
    broker = await serve();
    const text = spawnCms(['status', '--watch', '1'], { env: world.env });
    const json = spawnCms(['status', '--watch', '1', '--json'], { env: world.env });
    await Promise.all([text, json].map((each) => each.waitFor(/broker[^]*broker[^]*\n/)));
    for (const each of [text, json]) {
      each.kill('SIGTERM');
      assert.equal((await each.exited).status, 0);
    }
    assert.doesNotMatch(text.stdout, /\x1b/);
    const lines = json.stdout.trimEnd().split('\n');
    assert.ok(lines.length >= 2);
    for (const line of lines) assert.equal((JSON.parse(line) as { version: number }).version, 1);
  });

  it('refuses seconds without --watch', async () => {
    const { status, stderr } = await world.cms('status', '5');
    assert.equal(status, 64);
    assert.match(stderr, /belongs to --watch/);
  });

  it('foresees the end that the provider states with the token', async () => {
    const states = faults.rewrite((answer) => ({ ...answer, refresh_token_expires_in: 604_800 }));
    world.provider.setFault(states, ENDPOINT.token);
    assert.equal((await world.add('tess@example.org')).status, 0);
    world.provider.setFault(undefined, ENDPOINT.token);
    const tess = (await accounts()).find(({ address }) => address === 'tess@example.org');
    assert.equal(tess?.next_sign_in.certainty, 'stated');
    assert.ok(Math.abs(Date.parse(tess.next_sign_in.at ?? '') - Date.now() - 604_800_000) < 60_000);
    assert.match(
      (await world.cms('status')).stdout,
      /^tess@example\.org .* in 6 d 23 h +the provider gave it until then/m,
    );
    assert.equal((await world.cms('account', 'remove', 'tess@example.org', '--yes')).status, 0);
  });

  it('keeps how long sign-ins lasted, for the same client and login', async () => {
    const lena = 'lena@example.org';
    const { vault } = openContext(world.env);
    const lives = (): number[] => vault.readHeader(lena)?.sign_in_lives ?? [];
    assert.equal((await world.add(lena)).status, 0);
    world.provider.revokeGrants(lena);
    assert.equal((await world.cms('token', lena, '--force-refresh')).status, 77);
    const due = (await accounts()).find(({ address }) => address === lena);
    assert.deepEqual([due?.state, due?.next_sign_in.certainty], ['authorization_required', 'due']);
    assert.match((await world.cms('status')).stdout, /^lena@.* AUTHORIZATION REQUIRED .* now /m);
    assert.equal((await world.add(lena)).status, 0);
    const [life = 0, ...others] = lives();
    assert.ok(life > 0 && life < 20_000 && others.length === 0, String(life));
    assert.equal((await world.add(lena)).status, 0);
    assert.ok(lives().length <= 1, 'one that was replaced while it worked shows nothing');
    assert.equal((await world.cms('account', 'remove', lena, '--yes')).status, 0);
  });
});
