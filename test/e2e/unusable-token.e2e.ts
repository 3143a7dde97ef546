/** An access token that mail servers could not take: judged once, and the same for everyone who asks. */
import assert from 'node:assert/strict';
import { spawnCms } from '../support/environment.ts';
import { ENDPOINT, faults } from '../support/provider.ts';
import { startWorld, type World } from '../support/world.ts';

const JANE = 'jane@example.org';

describe('an access token that cannot be used', function () {
  this.timeout(60_000);
  let world: World;

  beforeEach(async () => {
    world = await startWorld();
  });

  afterEach(async () => {
    await world[Symbol.asyncDispose]();
  });

  const withToken = (access_token: string) => faults.rewrite((answer) => ({ ...answer, access_token }));

  /** What `cms token` says without a broker and with one. */
  async function bothWays(...flags: string[]): Promise<string[]> {
    const alone = await world.cms('token', JANE, ...flags);
    const broker = spawnCms(['serve'], { env: world.env });
    await broker.waitFor(/listening|serving/, { stream: 'stderr' });
    const served = await world.cms('token', JANE, ...flags);
    await broker.stop();
    for (const { status, stdout } of [alone, served]) assert.deepEqual([status, stdout], [76, '']);
    return [alone.stderr, served.stderr];
  }

  it('because of its length is told by "account add", and served to no one', async () => {
    world.provider.setFault(withToken('a'.repeat(4200)));
    const { stderr } = await world.add(JANE, '--no-test');
    assert.match(stderr, /^warning: the token has 4200 bytes/m);
    assert.match(stderr, /exim/);
    for (const said of await bothWays()) assert.match(said, /the access token has 4200 bytes/);
    // The provider mends its tokens: the grant was kept.
    world.provider.setFault(undefined);
    assert.equal((await world.cms('token', JANE, '--force-refresh')).status, 0);
  });

  for (const [what, token] of [
    ['a line feed', 'abc\n'],
    ['a control character', 'a\x01b'],
    ['a blank', 'a b'],
  ] as const) {
    it(`because of ${what} is served to no one, and costs no grant`, async () => {
      assert.equal((await world.add(JANE, '--no-test')).status, 0);
      world.provider.setFault(withToken(token));
      for (const said of await bothWays('--force-refresh'))
        assert.match(said, /access token with characters that RFC 6750 forbids/);
      assert.match((await world.cms('account', 'show', JANE)).stdout, /RFC 6750/);
      world.provider.setFault(undefined);
      const { status, stdout } = await world.cms('token', JANE, '--force-refresh');
      assert.equal(status, 0, 'the refresh token that came with the unusable one was kept');
      assert.equal((await world.provider.introspect(stdout.trim())).active, true);
    });
  }

  it('because of its characters is not stored at a sign-in', async () => {
    world.provider.setFault(withToken('abc\n'), ENDPOINT.token);
    const { status, stderr } = await world.add(JANE);
    assert.equal(status, 76, stderr);
    assert.match(stderr, /access token with characters that RFC 6750 forbids/);
    assert.equal((await world.cms('account', 'show', JANE)).status, 67);
  });
});
