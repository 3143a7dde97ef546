/** `cms doctor` beside a broker that takes connections and says nothing. */
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { runCms } from '../support/environment.ts';
import { startWorld } from '../support/world.ts';

const JANE = 'jane@example.org';
/** Of the check of the broker that is 5 s; `cms token` would wait for 25. */
const DEADLINE_MS = 20_000;

describe('cms doctor beside a mute broker', function () {
  this.timeout(60_000);

  it('ends soon, and blames the broker once', async () => {
    await using world = await startWorld();
    assert.equal((await world.add(JANE)).status, 0);
    const sockets: Socket[] = [];
    const server = createServer({ allowHalfOpen: true }, (socket) => sockets.push(socket.on('error', () => undefined)));
    await mkdir(world.home.runtimeDir, { mode: 0o700, recursive: true });
    await once(server.listen(join(world.home.runtimeDir, 'cms.sock')), 'listening');
    const began = performance.now();
    try {
      const { status, stdout } = await runCms(['doctor', '--json'], { env: world.env, timeoutMs: 50_000 });
      const took = performance.now() - began;
      assert.equal(status, 69);
      const { checks } = JSON.parse(stdout) as { checks: Record<'id' | 'status' | 'summary', string>[] };
      const failures = checks.filter((check) => check.status === 'failure');
      assert.deepEqual(
        failures.map(({ id }) => id),
        ['broker'],
      );
      assert.match(failures[0]?.summary ?? '', /does not answer within 5 s/);
      assert.equal(checks.find(({ id }) => id === 'token')?.summary, 'because of broker');
      assert.ok(took < DEADLINE_MS, `${took} ms`);
    } finally {
      for (const socket of sockets) socket.destroy();
      server.close();
    }
  });
});
