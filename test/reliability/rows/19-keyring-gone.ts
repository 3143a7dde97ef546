import { watchDialogs } from '../../lib/vault/keyring/dialogs.ts';
import { type Keyring, startKeyring } from '../../support/keyring.ts';
import { JANE, type Row, Checks, Site, timed, until } from '../harness.ts';
import { nothingLost } from '../lost.ts';

export const keyringGone: Row = {
  number: 19,
  title: 'keyring frozen, killed, restarted, absent; its bus killed',
  target: '0 dialogs, no wait > 2 s, refreshes go on, served again once it is back',
  needs: ['gnome-keyring'],
  alone: 'full',
  async run(scale) {
    const checks = new Checks();
    await using keyring = await startKeyring();
    const { DBUS_SESSION_BUS_ADDRESS, XDG_RUNTIME_DIR } = keyring.env;
    await using site = await Site.open({ env: { DBUS_SESSION_BUS_ADDRESS, XDG_RUNTIME_DIR }, store: 'keyring' });
    const dialogs = await watchDialogs(keyring);
    const waits: number[] = [];
    await frozenAtStart(site, keyring, checks, waits);
    const broker = await site.serve();
    checks.that((await site.ask(`SMTP ${JANE}`)) !== '', 'not served');
    const refresh = async (when: string): Promise<void> => {
      const { value, ms } = await timed(() => site.refresh());
      checks.that(value === undefined, `${when}: ${value}`);
      waits.push(ms);
    };
    await keyring.pause();
    await refresh('frozen');
    keyring.resume();
    await keyring.stopDaemon();
    await refresh('killed');
    await keyring.startDaemon();
    await refresh('restarted');
    await broker.stop();
    checks.all((await nothingLost(site)).problems);
    const last = await site.serve();
    checks.that((await site.ask(`SMTP ${JANE}`)) !== '', 'not served after the restart of the keyring');
    await keyring.stopBus();
    await refresh('bus killed');
    await last.stop();
    await absentAtStart(site, checks, waits);
    checks.that(dialogs() === 0, `${dialogs()} dialogs were opened`);
    checks.that(Math.max(...waits) < scale.within(2000), `a wait of ${Math.max(...waits).toFixed(0)} ms`);
    return checks.measured(
      `${dialogs()} dialogs, at most ${Math.max(...waits).toFixed(0)} ms, 4 refreshes without a keyring`,
    );
  },
};

async function frozenAtStart(site: Site, keyring: Keyring, checks: Checks, waits: number[]): Promise<void> {
  await keyring.pause();
  const broker = await site.serve();
  const { value, ms } = await timed(() => site.ask(`SMTP ${JANE}`));
  checks.that(value === '', 'something was answered without the key');
  waits.push(ms);
  keyring.resume();
  const served = await until(async () => (await site.ask(`SMTP ${JANE}`)) !== '', 30_000, 100);
  checks.that(served !== undefined, 'not served once the keyring answers');
  await broker.stop();
}

async function absentAtStart(site: Site, checks: Checks, waits: number[]): Promise<void> {
  const broker = await site.serve();
  const { value, ms } = await timed(() => site.ask(`SMTP,ready ${JANE}`));
  checks.that(/^store (unavailable|locked): /.test(value), `no reason without a keyring: ${value}`);
  waits.push(ms);
  await broker.stop();
}
