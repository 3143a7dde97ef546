/** Whatever keeps an account from a new token is told, and keeps no other account from one. */
import assert from 'node:assert/strict';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openContext } from '../../src/lib/context.ts';
import { sealedName } from '../../src/lib/vault/vault.ts';
import { JANE, Site, until } from '../reliability/harness.ts';
import { run, type RunningProcess } from '../support/processes.ts';
import { faults } from '../support/provider.ts';

const HOUR_MS = 3_600_000;
/** The ticker of the broker looks again after at most 30 s. */
const RECOVERY_MS = 45_000;
const UNDER = ['sh', '-c', `trap '' XFSZ; exec "$0" "$@"`];

interface Told {
  exit: number | null;
  state?: string;
  code?: string;
  reason?: string;
  remedy?: string;
}

async function told(site: Site, address = JANE): Promise<Told> {
  const { status, stdout } = await site.cms('status', '--json');
  const { accounts } = JSON.parse(stdout) as { accounts: (Omit<Told, 'exit'> & { address: string })[] };
  const account = accounts.find((each) => each.address === address);
  return { exit: status, ...account };
}

/** As somebody does with an editor. */
function editClients(site: Site, addresses: readonly string[], clientId: string): void {
  const file = join(site.home.configDir, 'accounts.json');
  const data = JSON.parse(readFileSync(file, 'utf8')) as {
    accounts: Record<string, { client: { client_id: string } }>;
  };
  for (const address of addresses) data.accounts[address]!.client.client_id = clientId;
  writeFileSync(file, JSON.stringify(data));
}

describe('an account of which no new token comes', function () {
  this.timeout(90_000);
  let site: Site | undefined;
  afterEach(async () => {
    await site?.[Symbol.asyncDispose]();
    site = undefined;
  });

  async function mayWrite(broker: RunningProcess, may: boolean): Promise<void> {
    await run('prlimit', ['--pid', String(broker.pid), `--fsize=${may ? 'unlimited' : '0'}:unlimited`]);
  }

  it('says so in status and doctor while nothing can be written, and serves the token that lives', async () => {
    site = await Site.open();
    const broker = await site.serve({ under: UNDER });
    const token = await site.ask(`SMTP,token ${JANE}`);
    await mayWrite(broker, false);
    assert.equal(await site.refresh(), 'io_error');
    assert.equal(await site.ask(`SMTP,token ${JANE}`), token);
    const { exit, state, code, reason, remedy } = await told(site);
    assert.deepEqual([exit, state, code], [74, 'failing', 'io_error']);
    assert.match(reason ?? '', /cannot write .*EFBIG/);
    assert.ok(remedy);
    const doctor = await site.cms('doctor', JANE, '--json');
    assert.match(doctor.stdout, /cannot write .*EFBIG/);
    await mayWrite(broker, true);
    assert.notEqual(await until(async () => (await told(site!)).state === 'ok', RECOVERY_MS, 500), undefined);
  });

  it('says so while its sealed file is damaged, and serves the token that lives', async () => {
    site = await Site.open();
    await site.serve();
    const token = await site.ask(`SMTP,token ${JANE}`);
    writeFileSync(join(site.vaultDir, `${sealedName(JANE)}.sealed`), 'nonsense');
    assert.equal(await site.refresh(), 'data_invalid');
    assert.equal(await site.ask(`SMTP,token ${JANE}`), token);
    const { exit, state, code } = await told(site);
    assert.deepEqual([exit, state, code], [65, 'unreadable', 'data_invalid']);
  });

  it('says so while its folder is read-only', async function () {
    if (process.getuid?.() === 0) this.skip();
    site = await Site.open();
    await site.serve();
    await site.ask(`SMTP,token ${JANE}`);
    chmodSync(site.vaultDir, 0o500);
    assert.equal(await site.refresh(), 'io_error');
    const { exit, state, remedy } = await told(site);
    chmodSync(site.vaultDir, 0o700);
    assert.deepEqual([exit, state], [74, 'failing']);
    assert.match(remedy ?? '', /chmod|ls -ld/);
  });

  it('says so while another process holds its lock', async () => {
    site = await Site.open();
    const lock = openContext(site.env).vault.lockFile(JANE);
    await site.serve();
    await site.ask(`SMTP,token ${JANE}`);
    const holder = site.spawn(['flock', '--close', lock, 'sh', '-c', 'echo held; exec sleep 60']);
    await holder.waitFor(/held/);
    void site.refresh().catch(() => undefined);
    assert.notEqual(await until(async () => (await told(site!)).state === 'failing', 15_000, 200), undefined);
    const { exit, code, reason } = await told(site);
    assert.deepEqual([exit, code], [75, 'temporarily_unavailable']);
    assert.match(reason ?? '', /lock/);
    holder.kill('SIGKILL');
    assert.notEqual(await until(async () => (await told(site!)).state === 'ok', RECOVERY_MS, 500), undefined);
  });

  it('says that its settings were changed by hand, until they are changed back', async () => {
    site = await Site.open();
    await site.signIn(JANE, { age: HOUR_MS });
    const { clientId } = site.provider;
    editClients(site, [JANE], 'another');
    await site.serve();
    assert.equal(await site.ask(`SMTP,token ${JANE}`), '');
    const { exit, state, code, reason } = await told(site);
    assert.deepEqual([exit, state, code], [78, 'failing', 'config_invalid']);
    assert.match(reason ?? '', /settings of jane@example\.org changed/);
    editClients(site, [JANE], clientId);
    assert.notEqual(await until(async () => (await told(site!)).state === 'ok', RECOVERY_MS, 500), undefined);
  });

  for (const [what, trouble] of [
    ['have another client in accounts.json', 'edited'],
    ['hang at the provider', 'hanging'],
    ['wait for a lock', 'locked'],
  ] as const) {
    it(`keeps no other waiting: eight that are due ${what}`, async () => {
      const stuck = Array.from({ length: 8 }, (_each, index) => `a${index}@example.org`);
      const last = 'z@example.org';
      site = await Site.open({ addresses: [...stuck, last] });
      for (const address of [...stuck, last]) await site.signIn(address, { age: HOUR_MS });
      site.provider.clearRequests();
      if (trouble === 'edited') editClients(site, stuck, 'another');
      if (trouble === 'hanging') {
        const tokens = await Promise.all(stuck.map(async (each) => (await site!.onDisk(each)).secrets.refresh_token));
        site.provider.setFault((request, forward) =>
          tokens.includes(request.parameters.get('refresh_token') ?? '') ? faults.hang(request, forward) : undefined,
        );
      }
      if (trouble === 'locked') {
        const { vault } = openContext(site.env);
        for (const each of stuck) {
          const holder = site.spawn(['flock', '--close', vault.lockFile(each), 'sh', '-c', 'echo held; exec sleep 60']);
          await holder.waitFor(/held/);
        }
      }
      const before = (await site.onDisk(last)).secrets.access_token;
      const began = performance.now();
      await site.serve();
      const isNew = async (): Promise<boolean> => (await site!.onDisk(last)).secrets.access_token !== before;
      assert.notEqual(await until(isNew, 8000, 50), undefined);
      assert.ok(performance.now() - began < 8000);
    });
  }
});
