import { setTimeout as sleep } from 'node:timers/promises';
import { type Row, Checks, Site, timed } from '../harness.ts';
import { nothingLost } from '../lost.ts';
import type { Fault } from '../../support/provider.ts';

const [HANG, DRIP, HALF] = ['hang@example.org', 'drip@example.org', 'half@example.org'];

export const hang: Row = {
  number: 11,
  title: 'provider hangs, before the answer, within it, or sends a byte at a time',
  target: 'client closed at 4 s, exchange given up at 10 s, nothing lost',
  alone: 'full',
  async run(scale) {
    const checks = new Checks();
    const addresses = [HANG, DRIP, HALF];
    await using site = await Site.open({ addresses });
    for (const address of addresses) await site.signIn(address, { age: 24 * 3600 * 1000 });
    const tokens = new Map<string | undefined, string>();
    for (const address of addresses) tokens.set((await site.onDisk(address)).secrets.refresh_token, address);
    const fault: Fault = (request) => {
      const address = tokens.get(request.parameters.get('refresh_token') ?? '');
      return address === HANG ? 'hang' : { status: 200, body: address === DRIP ? drip() : stall() };
    };
    site.provider.setFault(fault);
    const broker = await site.serve();
    const asked = await Promise.all(addresses.map((address) => timed(() => site.ask(`SMTP ${address}`))));
    const forced = await Promise.all(addresses.map((address) => timed(() => site.ask(`SMTP,json,wait=15 ${address}`))));
    const clientMs = asked.map(({ ms }) => ms);
    checks.that(
      asked.every(({ value, ms }) => value === '' && ms < 4000 + scale.within(800)),
      `clients waited ${clientMs.map((ms) => ms.toFixed(0)).join(', ')} ms`,
    );
    const exchangeMs = asked.map(({ ms }, index) => ms + (forced[index]?.ms ?? 0));
    checks.that(
      exchangeMs.every((ms) => ms > 9000 && ms < 10_000 + scale.within(1500)),
      `exchanges ended after ${exchangeMs.map((ms) => ms.toFixed(0)).join(', ')} ms`,
    );
    site.provider.setFault(undefined);
    await broker.stop();
    checks.all((await nothingLost(site)).problems);
    const most = (values: number[]): string => (Math.max(...values) / 1000).toFixed(1);
    return checks.measured(`clients closed after ${most(clientMs)} s, exchanges after ${most(exchangeMs)} s`);
  },
};

async function* drip(): AsyncGenerator<string> {
  for (let i = 0; i < 100; i++) {
    yield '{';
    await sleep(200);
  }
}

async function* stall(): AsyncGenerator<string> {
  yield '{"access_token":"';
  await sleep(20_000);
}
