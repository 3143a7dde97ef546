import { rmSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { talk } from '../../support/wire.ts';
import { JANE, type Row, Checks, Site, until, xoauth2Of } from '../harness.ts';

export const socketGone: Row = {
  number: 22,
  title: 'socket file deleted, replaced by a file, replaced by another program’s socket',
  target: 'back within 2 s, 3 s after the other program; what is somebody else’s is never removed',
  alone: 'full',
  async run(scale) {
    const checks = new Checks();
    await using site = await Site.open();
    const broker = await site.serve();
    const expected = xoauth2Of(JANE, await site.ask(`SMTP,token ${JANE}`));
    const back: number[] = [];
    for (let i = 0; i < scale.pick(5, 30); i++) {
      rmSync(site.socket);
      const ms = await until(async () => (await site.ask(`SMTP ${JANE}`)) === expected, 5000, 10);
      back.push(ms ?? Infinity);
    }
    const most = Math.max(...back);
    checks.that(most < scale.within(2000), `back after ${most.toFixed(0)} ms`);
    rmSync(site.socket);
    const other = createServer((client) =>
      client
        .on('error', () => undefined)
        .resume()
        .end('other'),
    ).listen(site.socket);
    await once(other, 'listening');
    await sleep(1500);
    checks.that((await talk(site.socket, 'x')) === 'other', 'the socket of another program was replaced');
    other.close();
    await once(other, 'close');
    const again = await until(async () => (await site.ask(`SMTP ${JANE}`)) === expected, 10_000, 50);
    checks.that(
      again !== undefined && again < scale.within(3000),
      'not back within 3 s once the other program is gone',
    );
    rmSync(site.socket);
    writeFileSync(site.socket, 'precious');
    await sleep(500);
    const { status } = await broker.stop();
    checks.that(status === 0, `status ${status}`);
    checks.that((await talk(site.socket, 'x')) === 'ECONNREFUSED', 'the file of somebody else was removed');
    return checks.measured(
      `${back.length} deletions, back after at most ${most.toFixed(0)} ms; ${(again ?? NaN).toFixed(0)} ms after the other program`,
    );
  },
};
