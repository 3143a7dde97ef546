/** A grant that was exchanged and cannot be stored, seen by other processes. */
import assert from 'node:assert/strict';
import { mkdir, rename, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { sealedName } from '../../../src/lib/vault/vault.ts';
import { openTokens } from '../../../src/lib/tokens/open.ts';
import { temporaryHome } from '../../support/environment.ts';
import { type Fault, startProvider } from '../../support/provider.ts';
import { JANE, signInAccount } from './signed-in.ts';

describe('a grant that is in memory only', () => {
  it('keeps its lock until it is stored, so that nobody exchanges the older one', async () => {
    await using provider = await startProvider();
    await using home = await temporaryHome({ env: { CMS_STORE: 'file' } });
    const { context, account } = await signInAccount(home.env, provider, { age: 24 * 3_600_000 });
    const sealed = join(context.paths.vaultDir, `${sealedName(JANE)}.sealed`);
    // In the moment in which the provider answers, a folder comes in the way: no file can take its place.
    const inTheWay: Fault = async (_request, forward) => {
      const answer = await forward();
      await rename(sealed, `${sealed}.before`);
      await mkdir(sealed);
      return answer;
    };
    provider.setFault(inTheWay);
    const tokens = openTokens(context, { resident: true, changed: () => undefined });
    const { access_token } = await tokens.accessToken(account);
    assert.deepEqual([...tokens.unstored.keys()], [JANE]);
    await assert.rejects(context.vault.lock(JANE, 50), { code: 'temporarily_unavailable' });
    await tokens.storeUnstored();
    assert.deepEqual([...tokens.unstored.keys()], [JANE]);
    await assert.rejects(context.vault.lock(JANE, 50), { code: 'temporarily_unavailable' });

    await rmdir(sealed);
    await tokens.storeUnstored();
    assert.deepEqual([...tokens.unstored.keys()], []);
    await using _free = await context.vault.lock(JANE, 50);
    const stored = await context.vault.read(JANE);
    assert.equal(stored?.secrets.access_token?.reveal(), access_token.reveal());
    assert.equal(provider.count('refresh_token'), 1);
  });
});
