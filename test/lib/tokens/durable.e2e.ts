/** An exchange, seen by the kernel: what it brought is on the disk before anybody is told. */
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { temporaryHome } from '../../support/environment.ts';
import { startProvider } from '../../support/provider.ts';
import { requires } from '../../support/requirements.ts';
import { traced, undurable } from '../../support/trace.ts';
import { JANE, signInAccount } from './signed-in.ts';

const REFRESHING = fileURLToPath(new URL('refreshing.ts', import.meta.url));

describe('an exchange, seen by the kernel', () => {
  it('has its attempt and its grant on the disk before its token is served', async function () {
    requires(this, 'strace');
    await using provider = await startProvider();
    await using home = await temporaryHome({ env: { CMS_STORE: 'file' } });
    const { context, refreshToken } = await signInAccount(home.env, provider);
    const argv = [process.execPath, '--import', 'tsx', REFRESHING, JANE];
    const { status, stderr, calls } = await traced(argv, { env: home.env });
    assert.equal(status, 0, stderr);
    assert.equal(provider.count('refresh_token'), 1);
    const { renamed, problems } = undurable(calls, context.paths.vaultDir, 'served');
    assert.deepEqual(problems, []);
    assert.ok(renamed >= 1, 'nothing was renamed');
    const kept = await context.vault.read(JANE);
    assert.notEqual(kept?.secrets.refresh_token?.reveal(), refreshToken);
  });
});
