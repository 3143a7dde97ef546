import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { start } from '../../support/processes.ts';
import { type Row, Checks, killHard, randomPause } from '../harness.ts';

const WRITER = fileURLToPath(new URL('../writer.mjs', import.meta.url));

export const killWhileWriting: Row = {
  number: 21,
  title: 'kill -9 in the middle of a write',
  target: '300 rounds: no torn file, no acknowledged write lost, leftovers gone at the next start',
  async run(scale) {
    const checks = new Checks();
    const rounds = scale.pick(20, 300);
    const folder = await mkdtemp(join(tmpdir(), 'cms-writer-'));
    let [number, litter, writes] = [0, 0, 0];
    try {
      for (let round = 0; round < rounds; round++) {
        const writer = start(process.execPath, [WRITER, folder, String(number)], { env: { PATH: process.env.PATH } });
        await writer.waitFor(/^\d+$/m, { timeoutMs: 20_000 });
        await randomPause(30);
        await killHard(writer);
        const acknowledged = Number(/(\d+)\n[^\n]*$/.exec(writer.stdout)?.[1]);
        const [, before, after] = /^(\d+):x{3000}:(\d+)$/.exec(await readFile(join(folder, 'file'), 'utf8')) ?? [];
        checks.that(before !== undefined && before === after, `round ${round}: the file is torn`);
        checks.that(
          Number(before) >= acknowledged,
          `round ${round}: ${acknowledged} was acknowledged, ${before} is there`,
        );
        const left = (await readdir(folder)).filter((name) => name !== 'file').length;
        // One write is under way at a time: what an earlier round left would make it two.
        checks.that(left <= 1, `round ${round}: ${left} temporary files`);
        litter += left;
        writes += Number(before) - number;
        number = Number(before) + 1;
      }
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
    return checks.measured(`${rounds} rounds, ${writes} writes, 0 torn, ${litter} leftovers, all swept`);
  },
};
