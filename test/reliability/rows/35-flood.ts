import { chmodSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { OTHER_USER } from '../../security/second-user.ts';
import { talk } from '../../support/wire.ts';
import { JANE, type Row, Checks, quantile, Site, timed, xoauth2Of } from '../harness.ts';
import { nothingLost } from '../lost.ts';

const FLOOD = fileURLToPath(new URL('../flood.mjs', import.meta.url));
const CONNECTIONS = 1400;
/** Median of a quick run, in which flood, client and other tests share two cores; without turns it is twice that. */
const QUICK_MS = 600;

export const flood: Row = {
  number: 35,
  title: 'one user floods a shared socket with 1,400 connections, silent ones and ones that ask',
  target: 'another user of the same socket is answered within 50 ms (p95), nobody’s grant is lost',
  needs: ['sudo'],
  alone: 'always',
  async run(scale) {
    const checks = new Checks();
    await using site = await Site.open();
    const folder = join(site.home.path, 'shared');
    mkdirSync(folder, { mode: 0o755 });
    chmodSync(site.home.path, 0o755);
    const socket = join(folder, 'mta.sock');
    const argv = ['--socket', socket, '--mode', '0660', '--allow-user', OTHER_USER];
    const broker = await site.serve({ logLevel: 'info', argv });
    await broker.waitFor(/listening socket=\S+mta\.sock/);
    // What the administrator's group would give.
    chmodSync(socket, 0o666);
    const expected = xoauth2Of(JANE, await site.ask(`SMTP,token ${JANE}`));
    const figures: string[] = [];
    // Its text, as the other user may not look into the checkout.
    const program = readFileSync(FLOOD, 'utf8');
    for (const request of ['', `SMTP ${JANE}`]) {
      const way = request === '' ? 'silent' : 'asking';
      const flooder = site.spawn([
        'sudo',
        '-n',
        '-u',
        OTHER_USER,
        '--',
        process.execPath,
        '--input-type=module',
        '-e',
        program,
        socket,
        String(CONNECTIONS),
        request,
      ]);
      await flooder.waitFor(/flooding/);
      const latencies: number[] = [];
      for (const end = Date.now() + scale.pick(1500, 5000); Date.now() < end;) {
        const { value, ms } = await timed(() => talk(socket, `SMTP ${JANE}`));
        checks.that(
          value === expected,
          `${way}: the honest client got ${JSON.stringify(value)} after ${ms.toFixed(0)} ms`,
        );
        latencies.push(ms);
        await sleep(20);
      }
      checks.that(flooder.running, `${way}: the flood ended: ${flooder.stderr}`);
      await flooder.stop();
      const p95 = quantile(latencies, 0.95);
      const judged = quantile(latencies, scale.pick(0.5, 0.95));
      checks.that(judged < scale.pick(QUICK_MS, 50), `${way}: the honest client waited ${judged.toFixed(0)} ms`);
      figures.push(
        `${way}: p50 ${quantile(latencies, 0.5).toFixed(1)} ms, p95 ${p95.toFixed(1)} ms of ${latencies.length}`,
      );
    }
    await broker.stop();
    chmodSync(site.home.path, 0o700);
    checks.all((await nothingLost(site)).problems);
    return checks.measured(figures.join('; '));
  },
};
