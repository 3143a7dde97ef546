/** A grant that was exchanged and finds no place on the disk, or a disk that fills up in between. */
import assert from 'node:assert/strict';
import { expire, JANE, Site, until } from '../reliability/harness.ts';
import { CMS_PROGRAM } from '../support/environment.ts';
import { faults } from '../support/provider.ts';
import { run, type RunningProcess } from '../support/processes.ts';

const UNDER = ['sh', '-c', `trap '' XFSZ; exec "$0" "$@"`];

describe('a grant that cannot be stored', function () {
  this.timeout(60_000);
  let site: Site;
  beforeEach(async () => {
    site = await Site.open({ provider: { refreshTokens: 'rotate' } });
  });
  afterEach(() => site[Symbol.asyncDispose]());

  /** No file may grow: as on a disk that takes nothing any more, what was reserved included. */
  async function forbidWriting(child: RunningProcess): Promise<void> {
    assert.notEqual(await until(() => site.provider.count('refresh_token') > 0, 20_000, 5), undefined);
    await run('prlimit', ['--pid', String(child.pid), '--fsize=0:unlimited']);
  }

  it('makes a broker that ends say whose it is, with a status that is not 0', async () => {
    const broker = await site.serve({ under: UNDER });
    await site.ask(`SMTP ${JANE}`);
    site.provider.clearRequests();
    site.provider.setFault(faults.delay(500));
    const asked = site.refresh();
    await forbidWriting(broker);
    assert.equal(await asked, undefined);
    assert.equal(await site.stateOf(), 'degraded');
    assert.equal((await broker.stop()).status, 74);
    assert.match(broker.stderr, /the new grant of jane@example\.org could not be stored/);
  });

  it('is no reason for cms token to print nothing', async () => {
    await expire(site);
    site.provider.setFault(faults.delay(500));
    const child = site.spawn([...UNDER, process.execPath, CMS_PROGRAM, 'token', JANE]);
    await forbidWriting(child);
    const began = performance.now();
    assert.deepEqual([(await child.exited).status, child.stderr], [0, '']);
    assert.ok(performance.now() - began < 12_000);
    assert.ok((await site.provider.introspect(child.stdout.trim())).active);
  });
});
