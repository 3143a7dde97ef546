/** An account that is not known: whose accounts were looked at is said, and what may have been meant. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { userInfo } from 'node:os';
import { CMS_PROGRAM, spawnCms } from '../support/environment.ts';
import { run } from '../support/processes.ts';
import { asRoot, requiresRoot } from '../support/requirements.ts';
import { talk } from '../support/wire.ts';
import { startWorld, type World } from '../support/world.ts';

const MISTYPED = 'jane@example.tst';

describe('an account that is not known', function () {
  this.timeout(60_000);
  let world: World;
  let file: string;
  before(async () => {
    world = await startWorld();
    assert.equal((await world.add('jane@example.test', '--alias', 'sales@example.test')).status, 0);
    file = join(world.home.configDir, 'accounts.json');
  });
  after(() => world[Symbol.asyncDispose]());

  const me = userInfo().username;
  const sentence = (address: string, meant: string) =>
    `cms: error: no account ${address} among those of ${me} (${file}); did you mean ${meant}?`;

  for (const command of ['token', 'account show', 'account test', 'account remove', 'doctor']) {
    it(`is told with the user, the file and the nearest address: cms ${command}`, async () => {
      const { status, stderr } = await world.cms(...command.split(' '), MISTYPED);
      assert.equal(status, 67);
      const [said, advice] = stderr.split('\n');
      assert.equal(said, sentence(MISTYPED, 'jane@example.test'));
      assert.equal(advice, `cms: try: cms ${command} jane@example.test`);
    });
  }

  it('is told by cms token while a broker runs; the broker itself names no account', async () => {
    await using broker = spawnCms(['serve'], { env: world.env });
    await broker.waitFor(/listening/);
    const { status, stderr } = await world.cms('token', 'sale@example.test');
    assert.equal(status, 67);
    assert.equal(stderr.split('\n')[0], sentence('sale@example.test', 'sales@example.test'));
    const answer = await talk(join(world.home.runtimeDir, 'cms.sock'), `SMTP,json ${MISTYPED}`);
    assert.match(answer, /account_unknown/);
    assert.doesNotMatch(answer, /jane@example\.test/);
  });

  it('suggests none where none is near', async () => {
    const { stderr } = await world.cms('token', 'quite.other@elsewhere.invalid');
    assert.doesNotMatch(stderr, /did you mean/);
    assert.match(stderr, /among those of .*\n(?:.*\n)*cms: try: cms account add quite\.other@elsewhere\.invalid\n/);
  });

  it('is as whom to ask, for root', async function () {
    requiresRoot(this);
    const told = (more: string[]) => {
      const env = [
        'env',
        ...more,
        'CMS_CONFIG_DIR=/nonexistent/cms',
        'CMS_STATE_DIR=/nonexistent/state',
        process.execPath,
        CMS_PROGRAM,
        'token',
        MISTYPED,
      ];
      const [program = '', ...argv] = asRoot(env);
      return run(program, argv, { env: { PATH: process.env.PATH } });
    };
    const bySudo = await told(['SUDO_USER=jane']);
    assert.equal(bySudo.status, 67);
    assert.match(
      bySudo.stderr,
      /^cms: error: no account jane@example\.tst among those of root \(\S+\/accounts\.json\)\n/,
    );
    assert.match(bySudo.stderr, /^cms: try: cms token jane@example\.tst {3}# as jane, without sudo$/m);
    const asRootAlone = await told(['-u', 'SUDO_USER']);
    assert.match(asRootAlone.stderr, /^cms: try: sudo -u USER -H cms token jane@example\.tst /m);
  });

  it('is not looked for in the home of whoever called sudo, which stays theirs', async function () {
    requiresRoot(this);
    if (process.getuid?.() === 0) return;
    const kept = Object.entries(world.env).map(([name, value]) => `${name}=${value ?? ''}`);
    const [program = '', ...argv] = asRoot(['env', ...kept, process.execPath, CMS_PROGRAM, 'token', MISTYPED]);
    const { status, stderr } = await run(program, argv, { env: { PATH: process.env.PATH } });
    assert.equal(status, 78);
    assert.match(stderr, /^cms: error: cannot trust \S+: \S+ belongs to another user \(uid \d+\)\n/);
    assert.match(stderr, new RegExp(`^cms: try: run it as ${me}, without sudo$`, 'm'));
    assert.doesNotMatch(stderr, /chown/);
  });
});
