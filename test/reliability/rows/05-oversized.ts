import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { JANE, type Row, Checks, Site, figuresOf, xoauth2Of } from '../harness.ts';

const LIMIT = 512;

export const oversized: Row = {
  number: 5,
  title: 'requests of 513 bytes, 1 MiB and without end',
  target: 'nothing answered, closed within 1 s, < 1 MiB taken, memory unchanged',
  alone: 'full',
  async run(scale) {
    const checks = new Checks();
    await using site = await Site.open();
    const broker = await site.serve({ logLevel: 'info' });
    const expected = xoauth2Of(JANE, await site.ask(`SMTP,token ${JANE}`));
    const fits = `SMTP,${'o'.repeat(LIMIT - JANE.length - 7)} ${JANE}\n`;
    checks.that(fits.length === LIMIT && (await site.ask(fits)) === expected, '512 bytes are not served');
    await flood(site.socket, 8 * 1024 * 1024);
    await sleep(300);
    const before = figuresOf(broker.pid).rssMiB;
    const taken: number[] = [];
    for (const bytes of [LIMIT + 1, 1024 * 1024, ...Array.from({ length: 50 }, () => Infinity)]) {
      const { answer, sent, ms } = await flood(site.socket, bytes);
      checks.that(answer === '', `${bytes} bytes were answered ${JSON.stringify(answer)}`);
      checks.that(ms < scale.within(1000), `${bytes} bytes were taken for ${ms} ms`);
      taken.push(sent);
    }
    const after = figuresOf(broker.pid).rssMiB;
    const most = Math.max(...taken) / 1024;
    checks.that(most < 1024, `${most.toFixed(0)} KiB were taken of one request`);
    checks.that(after < before + 4, `${before.toFixed(1)} → ${after.toFixed(1)} MiB`);
    return checks.measured(
      `${taken.length} requests, at most ${most.toFixed(0)} KiB left the client, ${before.toFixed(0)} → ${after.toFixed(0)} MiB`,
    );
  },
};

/** Writes without a line end until the broker has had enough. `sent` is what the kernel took, its buffers included. */
function flood(path: string, bytes: number): Promise<{ answer: string; sent: number; ms: number }> {
  return new Promise((resolve) => {
    const began = Date.now();
    const socket = connect({ path });
    let answer = '';
    let left = bytes;
    const end = setTimeout(() => socket.destroy(), 6000);
    const pour = (): void => {
      if (socket.destroyed || left <= 0) return;
      const size = Math.min(left, 4096);
      left -= size;
      socket.write(Buffer.alloc(size, 0x41), () => setImmediate(pour));
    };
    socket.setEncoding('latin1').on('data', (text: string) => (answer += text));
    socket.on('connect', pour);
    socket.on('error', () => undefined);
    socket.on('close', () => {
      clearTimeout(end);
      resolve({ answer, sent: socket.bytesWritten - socket.writableLength, ms: Date.now() - began });
    });
  });
}
