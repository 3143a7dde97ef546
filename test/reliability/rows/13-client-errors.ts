import { JANE, type Row, Checks, Site, expire } from '../harness.ts';
import { nothingLost } from '../lost.ts';
import { faults } from '../../support/provider.ts';

const ERRORS = ['invalid_client', 'unauthorized_client', 'invalid_scope', 'unsupported_grant_type', 'invalid_request'];

export const clientErrors: Row = {
  number: 13,
  title: 'invalid_client, unauthorized_client, invalid_scope, …',
  target: 'said as an error of the settings, tried again after an hour, refresh token kept',
  async run() {
    const checks = new Checks();
    await using site = await Site.open();
    const broker = await site.serve();
    for (const error of ERRORS) {
      site.provider.setFault(undefined);
      await expire(site);
      site.provider.setFault(faults.tokenError(error, 'no', error === 'invalid_client' ? 401 : 400));
      await site.ask('RELOAD');
      for (let i = 0; i < 10; i++) checks.that((await site.ask(`SMTP ${JANE}`)) === '', `${error}: an answer`);
      checks.that(site.provider.count() === 1, `${error}: ${site.provider.count()} requests`);
      const { state, failure, secrets } = await site.onDisk();
      checks.that(state === 'active' && failure?.code === 'client_invalid', `${error}: ${state}, ${failure?.code}`);
      checks.that((failure?.retry_at ?? 0) - (failure?.at ?? 0) >= 3_600_000, `${error}: tried again too soon`);
      checks.that(secrets.refresh_token !== undefined, `${error}: the refresh token is gone`);
      const answer = JSON.parse(await site.ask(`SMTP,json ${JANE}`)) as { error: string };
      checks.that(answer.error === 'client_invalid', `${error}: ${answer.error}`);
    }
    site.provider.setFault(undefined);
    await broker.stop();
    checks.all((await nothingLost(site)).problems);
    return checks.measured(`${ERRORS.length} errors, 1 request for 10 that asked, next one after 1 h`);
  },
};
