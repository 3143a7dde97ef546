import { watchDialogs } from '../../lib/vault/keyring/dialogs.ts';
import { startKeyring } from '../../support/keyring.ts';
import { JANE, type Row, Checks, Site, timed, until } from '../harness.ts';
import { nothingLost } from '../lost.ts';

const DISPLAY = { DISPLAY: ':99', WAYLAND_DISPLAY: 'wayland-9' };

export const keyringLocked: Row = {
  number: 18,
  title: 'keyring locked at start and while running',
  target: '0 dialogs, no wait > 2 s, served within 30 s of unlocking, refreshes go on with the key in memory',
  needs: ['gnome-keyring'],
  alone: 'full',
  async run(scale) {
    const checks = new Checks();
    await using keyring = await startKeyring();
    const { DBUS_SESSION_BUS_ADDRESS, XDG_RUNTIME_DIR } = keyring.env;
    const env = { DBUS_SESSION_BUS_ADDRESS, XDG_RUNTIME_DIR, ...DISPLAY };
    await using site = await Site.open({ env, store: 'keyring' });
    const dialogs = await watchDialogs(keyring);
    await keyring.lock();
    const broker = await site.serve();
    const waits: number[] = [];
    for (let i = 0; i < scale.pick(3, 20); i++) {
      const { value, ms } = await timed(() => site.ask(`SMTP ${JANE}`));
      checks.that(value === '', 'something was answered without the key');
      waits.push(ms);
    }
    const said = await until(async () => (await site.stateOf()) === 'locked', 3000);
    checks.that(said !== undefined, `state ${await site.stateOf()}`);
    checks.that(Math.max(...waits) < scale.within(2000), `an answer took ${Math.max(...waits).toFixed(0)} ms`);
    await keyring.unlock();
    const recovered = await until(async () => (await site.ask(`SMTP ${JANE}`)) !== '', 30_000, 100);
    checks.that(recovered !== undefined, 'not served within 30 s of unlocking');
    await keyring.lock();
    checks.that((await site.refresh()) === undefined, 'no refresh while locked');
    checks.that(dialogs() === 0, `${dialogs()} dialogs were opened`);
    await keyring.unlock();
    await broker.stop();
    checks.all((await nothingLost(site)).problems);
    return checks.measured(
      `${dialogs()} dialogs, at most ${Math.max(...waits).toFixed(0)} ms, served ${(recovered ?? NaN).toFixed(0)} ms after unlocking`,
    );
  },
};
