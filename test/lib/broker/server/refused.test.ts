/** What the broker makes of a mail server that refuses its tokens, and of an exchange that was cut off. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Daemon } from '../../../../src/lib/broker/server/daemon.ts';
import { openContext } from '../../../../src/lib/context.ts';
import { silentLogger } from '../../../../src/lib/core/log.ts';
import { openTokens } from '../../../../src/lib/tokens/open.ts';
import { withAttempt } from '../../../../src/lib/tokens/rotation.ts';
import { temporaryHome, type TemporaryHome } from '../../../support/environment.ts';
import { type EmbeddedProvider, startProvider } from '../../../support/provider.ts';
import { talk } from '../../../support/wire.ts';
import { JANE, signInAccount } from '../../tokens/signed-in.ts';

/** A login that was under way with the old token may be refused for so long after the new one came. */
const UNDER_WAY_MS = 2000;

describe('the broker, told that a token was refused', function () {
  this.timeout(30_000);
  let home: TemporaryHome;
  let provider: EmbeddedProvider;
  let daemon: Daemon | undefined;

  beforeEach(async () => {
    provider = await startProvider();
    home = await temporaryHome({ env: { CMS_STORE: 'file' } });
  });
  afterEach(async () => {
    await daemon?.stop();
    daemon = undefined;
    await provider.stop();
    await home.remove();
  });

  async function serve(): Promise<void> {
    const context = openContext(home.env, { log: silentLogger });
    const options = { sockets: [], version: '1.2.3' };
    daemon = await Daemon.start({ ...context, ...options, openTokens: (more) => openTokens(context, more) });
  }

  const ask = (request: string): Promise<string> => talk(join(home.runtimeDir, 'cms.sock'), request);

  it('takes the refusals of logins that were under way with the old token for no news', async () => {
    const { accessToken } = await signInAccount(home.env, provider);
    await serve();
    assert.equal(await ask(`SMTP,refused ${JANE}`), '');
    let fresh = await ask(`SMTP,token ${JANE}`);
    while (fresh === accessToken) fresh = await ask(`SMTP,token ${JANE}`);
    // Both clocks are read before the refusal is sent, so a slow machine can only make the wait look shorter.
    const came = performance.now();
    for (let again = 0; again < 5; again++) await ask(`SMTP,refused ${JANE}`);
    const ready = await ask(`SMTP,ready ${JANE}`);
    if (performance.now() - came < UNDER_WAY_MS) assert.equal(ready, '');
    let waited = 0;
    while ((await ask(`SMTP,ready ${JANE}`)) === '') {
      waited = performance.now() - came;
      assert.ok(waited < 15_000, 'the refusal of the new token is never heard');
      await ask(`SMTP,refused ${JANE}`);
      await sleep(50);
    }
    assert.match(await ask(`SMTP,ready ${JANE}`), /refuses even a fresh token/);
    assert.equal(provider.count('refresh_token'), 1);
  });

  it('exchanges by itself what was cut off between request and answer, although the token is fresh', async () => {
    const { context, refreshToken } = await signInAccount(home.env, provider);
    const record = await context.vault.read(JANE);
    assert.ok(record);
    await context.vault.write(withAttempt(record, Date.now()));
    await serve();
    // The note is gone with the next grant, and so is the reason to exchange.
    let stored = await context.vault.read(JANE);
    while (stored?.secrets.refresh_token?.reveal() === refreshToken) {
      await sleep(5);
      stored = await context.vault.read(JANE);
    }
    assert.equal(stored?.secrets.attempt, undefined);
    assert.equal(provider.count('refresh_token'), 1);
  });
});
