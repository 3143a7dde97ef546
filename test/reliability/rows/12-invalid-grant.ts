import { JANE, type Row, Checks, Site } from '../harness.ts';
import { nothingLost } from '../lost.ts';

export const invalidGrant: Row = {
  number: 12,
  title: 'the provider revokes the grant',
  target:
    'previous token tried only if the new one was never accepted; 1 notice; refresh token kept; nothing asked again',
  async run() {
    const checks = new Checks();
    await using site = await Site.open();
    const broker = await site.serve();
    // Rotated twice: the newest token has not been used yet, so the one before it is worth a try.
    await site.refresh();
    await site.refresh();
    site.provider.revokeGrants(JANE);
    site.provider.clearRequests();
    checks.that((await site.refresh()) === 'authorization_required', 'not noticed');
    const tried = site.provider.count();
    checks.that(tried === 2, `${tried} refresh tokens were tried`);
    for (let i = 0; i < 50; i++) await site.ask(`SMTP ${JANE}`);
    checks.that(site.provider.count() === tried, 'asked again without need');
    const { state, secrets } = await site.onDisk();
    checks.that(state === 'authorization_required', state);
    checks.that(secrets.refresh_token !== undefined, 'the refresh token was deleted');
    const notices = broker.stderr.split('refresh refused').length - 1;
    checks.that(notices <= tried, `${notices} notices`);
    checks.that((await site.stateOf()) === 'authorization_required', 'the status does not say so');
    checks.that((await nothingLost(site, { restarted: true, reuseRevokes: true })).problems.length === 0, 'files');
    // One that the provider has accepted without a rotation stands alone.
    await site.signIn(JANE);
    await site.ask('RELOAD');
    checks.that((await site.refresh()) === undefined, 'a new sign-in does not help');
    await broker.stop();
    checks.all((await nothingLost(site)).problems);
    const alone = await acceptedAlone();
    checks.that(alone === 1, `${alone} tried although the newest had been accepted`);
    return checks.measured(
      `${tried} tried after a rotation, ${alone} without; 0 requests for 50 that asked afterwards`,
    );
  },
};

async function acceptedAlone(): Promise<number> {
  await using site = await Site.open({ provider: { refreshTokens: 'keep' } });
  await site.serve();
  await site.refresh();
  site.provider.revokeGrants(JANE);
  site.provider.clearRequests();
  await site.refresh();
  return site.provider.count();
}
