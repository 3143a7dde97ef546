/** A token service that is closed while there is work: what has begun is stored, and nothing begins. */
import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { openTokens } from '../../../src/lib/tokens/open.ts';
import { temporaryHome, type TemporaryHome } from '../../support/environment.ts';
import { type EmbeddedProvider, type Fault, startProvider } from '../../support/provider.ts';
import { JANE, signInAccount } from './signed-in.ts';

const DAY_MS = 24 * 3_600_000;

describe('a token service that is closed', () => {
  let provider: EmbeddedProvider;
  let home: TemporaryHome;
  beforeEach(async () => {
    provider = await startProvider({ refreshTokens: 'rotate' });
    home = await temporaryHome({ env: { CMS_STORE: 'file' } });
  });
  afterEach(async () => {
    await home[Symbol.asyncDispose]();
    await provider.stop();
  });

  it('begins no exchange for a request that waits for the lock meanwhile', async () => {
    const { context, account, refreshToken } = await signInAccount(home.env, provider, { age: DAY_MS });
    const tokens = openTokens(context, { resident: true, changed: () => undefined });
    const elsewhere = await context.vault.lock(JANE, 50);
    const waiting = assert.rejects(tokens.accessToken(account), { message: /the broker is stopping/ });
    await Promise.race([tokens.close(), waiting]);
    await elsewhere[Symbol.asyncDispose]();
    await waiting;
    assert.equal(provider.count('refresh_token'), 0);
    assert.equal((await context.vault.read(JANE))?.secrets.refresh_token?.reveal(), refreshToken);
    await using _free = await context.vault.lock(JANE, 50);
  });

  it('has stored what was under way when it says that it is closed', async () => {
    const { context, account } = await signInAccount(home.env, provider, { age: DAY_MS });
    const tokens = openTokens(context, { resident: true, changed: () => undefined });
    const gates = new EventEmitter();
    const held: Fault = async (_request, forward) => {
      const answer = await forward();
      gates.emit('answered');
      await once(gates, 'open');
      return answer;
    };
    provider.setFault(held);
    const answered = once(gates, 'answered');
    const asked = tokens.accessToken(account);
    await answered;
    let closed = false;
    const closing = tokens.close().then(() => (closed = true));
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(closed, false);
    gates.emit('open');
    await closing;
    const stored = (await context.vault.read(JANE))?.secrets;
    assert.equal(stored?.attempt, undefined);
    assert.equal(stored?.access_token?.reveal(), (await asked).access_token.reveal());
    assert.equal(provider.count('refresh_token'), 1);
  });
});
