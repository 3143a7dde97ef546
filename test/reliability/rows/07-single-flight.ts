import { setTimeout as sleep } from 'node:timers/promises';
import { JANE, type Row, Checks, Site, expire, timed, xoauth2Of } from '../harness.ts';
import { nothingLost } from '../lost.ts';
import { LoadProcess } from '../load.ts';
import { type Fault, faults } from '../../support/provider.ts';

const CLIENTS = 1000;
const PROVIDER_MS = 300;

export const singleFlight: Row = {
  number: 7,
  title: '1,000 requests at once on an expired token',
  target: 'exactly 1 exchange, 1,000 equal answers; a failure is shared too: 1 exchange, 1,000 empty',
  alone: 'full',
  async run() {
    const checks = new Checks();
    await using site = await Site.open();
    await site.serve({ logLevel: 'info' });
    await using load = new LoadProcess();
    const open = { path: site.socket, connections: CLIENTS };
    const request = `SMTP ${JANE}\n`;
    // Signed in anew with a token that has expired: the broker reads it, and asks the provider, when the crowd comes.
    await load.do('open', open);
    await expire(site);
    site.provider.setFault(slowly(faults.answer(503)));
    await site.ask('RELOAD');
    const failed = await load.do('fire', { request, expected: '' });
    const failures = site.provider.count();
    checks.that(failed.right === CLIENTS, `${failed.wrong} answers to a failure were not empty`);
    checks.that(failures === 1, `${failures} exchanges for one failure`);
    site.provider.setFault(undefined);
    await load.do('open', open);
    await expire(site);
    site.provider.setFault(faults.delay(PROVIDER_MS));
    await site.ask('RELOAD');
    const { value: good, ms } = await timed(() => load.do('fire', { request, expected: 'to be seen' }));
    const exchanges = site.provider.count();
    const expected = xoauth2Of(JANE, await site.ask(`SMTP,token ${JANE}`));
    checks.that(exchanges === 1, `${exchanges} exchanges for ${good.wrong} requests`);
    await load.do('open', open);
    const again = await load.do('fire', { request, expected });
    checks.that(again.right === CLIENTS, `${again.wrong} answers were wrong`);
    checks.all((await nothingLost(site, { restarted: true })).problems);
    return checks.measured(
      `1 exchange for ${CLIENTS} answers in ${ms.toFixed(0)} ms, ${failures} for as many failures`,
    );
  },
};

function slowly(fault: Fault): Fault {
  return async (request, forward) => {
    await sleep(PROVIDER_MS);
    return fault(request, forward);
  };
}
