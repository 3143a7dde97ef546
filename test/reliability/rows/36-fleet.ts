import { randomBytes } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import { openContext } from '../../../src/lib/context.ts';
import { Secret } from '../../../src/lib/core/secret.ts';
import type { GrantRecord } from '../../../src/lib/vault/grant.ts';
import { bindingOf } from '../../../src/lib/tokens/rotation.ts';
import { accountAt } from '../../lib/tokens/signed-in.ts';
import type { Fault } from '../../support/provider.ts';
import { JANE, type Row, Checks, quantile, Site, until } from '../harness.ts';
import { LoadProcess } from '../load.ts';

const HANGING = 8;
const DUE = 24;
const WRITERS = 16;

export const fleet: Row = {
  number: 36,
  title: '10,000 accounts, 8 of them hang at the provider, 24 others are due',
  target: 'the 24 are refreshed ahead within 15 s, and an honest request is answered within 50 ms (p95) meanwhile',
  alone: 'always',
  async run(scale) {
    const checks = new Checks();
    const names = (what: string, count: number): string[] =>
      Array.from({ length: count }, (_, index) => `${what}${index}@example.org`);
    const [hanging, due] = [names('hanging', HANGING), names('due', DUE)];
    await using site = await Site.open();
    for (const address of [...hanging, ...due]) await site.signIn(address, { age: 24 * 3600 * 1000 });
    await addFresh(site, names('fresh', scale.pick(500, 10_000) - HANGING - DUE - 1));
    const { vault } = openContext(site.env);
    const stored = async (address: string): Promise<string> =>
      (await vault.read(address))?.secrets.refresh_token?.reveal() ?? '';
    const stuck = new Set(await Promise.all(hanging.map(stored)));
    const before = await Promise.all(due.map(stored));
    const fault: Fault = ({ parameters }) => (stuck.has(parameters.get('refresh_token') ?? '') ? 'hang' : undefined);
    site.provider.setFault(fault);
    site.provider.clearRequests();
    const broker = await site.serve({ logLevel: 'info', timeoutMs: 60_000 });
    const began = performance.now();
    // A process of its own asks: this one is the provider.
    await using load = new LoadProcess();
    const pattern = `^user=${JANE}\\x01auth=Bearer [A-Za-z0-9._~+/-]{20,}\\x01\\x01$`;
    const seconds = scale.pick(5, 15);
    const honest = load.do('rate', { path: site.socket, request: `SMTP ${JANE}\n`, pattern, perSecond: 20, seconds });
    const sent = (): ReadonlySet<string | null> =>
      new Set(site.provider.requests.map(({ parameters }) => parameters.get('refresh_token')));
    await until(() => before.every((token) => sent().has(token)), scale.within(15_000), 100);
    const took = performance.now() - began;
    const { wrong, examples, latencies } = await honest;
    const now = await Promise.all(due.map(stored));
    const left = due.filter((_address, index) => now[index] === before[index]);
    checks.that(
      left.length === 0 && took < scale.within(15_000),
      `not refreshed ahead: ${left.join(' ')}, ${took.toFixed(0)} ms`,
    );
    checks.that(wrong === 0, `${wrong} wrong answers: ${examples.join('; ')}`);
    const p95 = quantile(latencies, 0.95);
    // In a quick run most of the time is the broker's start, on a machine that does other work.
    checks.that(scale.quick || p95 < 50, `an honest request took ${p95.toFixed(0)} ms`);
    site.provider.setFault(undefined);
    await broker.stop(20_000);
    return checks.measured(
      `${DUE} refreshed after ${(took / 1000).toFixed(1)} s, honest requests p95 ${p95.toFixed(1)} ms`,
    );
  },
};

/** Accounts whose tokens are fresh: they are looked at, and nothing is to be done for them. */
async function addFresh(site: Site, addresses: readonly string[]): Promise<void> {
  const { accounts, vault } = openContext(site.env);
  const now = Date.now();
  const all = addresses.map((address) => accountAt(site.provider, address));
  const record = (address: string): GrantRecord => ({
    address,
    grant_id: address,
    state: 'active',
    signed_in_at: now,
    issued_at: now,
    expires_at: now + 5 * 24 * 3_600_000,
    secrets: {
      refresh_token: new Secret(randomBytes(48).toString('base64url')),
      access_token: new Secret(randomBytes(48).toString('base64url')),
      binding: bindingOf(accountAt(site.provider, address).client),
    },
  });
  const left = [...addresses];
  const writer = async (): Promise<void> => {
    for (let each = left.pop(); each !== undefined; each = left.pop()) await vault.write(record(each));
  };
  await Promise.all(Array.from({ length: WRITERS }, writer));
  await accounts.update((file) => ({
    ...file,
    accounts: { ...file.accounts, ...Object.fromEntries(all.map((each) => [each.address, each])) },
  }));
}
