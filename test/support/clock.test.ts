/** The clock that tests set: what a program sees of it, threads and all. */
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fakeClock } from './clock.ts';
import { requires } from './requirements.ts';

const HOUR_MS = 3_600_000;
const ROUNDS = 200;

/** Two threads that look at the clock all the time, and a third that says what it sees when it is asked. */
const LOOKING = `
  const { Worker, isMainThread } = require('node:worker_threads');
  if (!isMainThread) for (;;) Date.now();
  for (let i = 0; i < 2; i++) new Worker(__filename);
  process.on('message', () => process.send(Array.from({ length: 100 }, () => Date.now())));
  process.send([]);
`;

describe('the clock that a test sets', () => {
  it('is the same for all threads of a program from the moment that it is set', async function () {
    requires(this, 'faketime');
    const folder = await mkdtemp(join(tmpdir(), 'cms-clock-'));
    const program = join(folder, 'looking.cjs');
    await writeFile(program, LOOKING);
    const clock = fakeClock(folder);
    const child = fork(program, [], { env: { PATH: process.env.PATH, ...clock.env }, execArgv: [] });
    try {
      await once(child, 'message');
      for (let round = 0; round < ROUNDS; round++) {
        const hours = round % 2 === 0 ? 6 : -3;
        clock.set(`${hours > 0 ? '+' : ''}${hours}h`);
        const answered = once(child, 'message') as Promise<[number[]]>;
        child.send('look');
        const [seen] = await answered;
        const wrong = seen.filter((time) => Math.abs(time - Date.now() - hours * HOUR_MS) > HOUR_MS);
        assert.deepEqual(wrong, [], `round ${round}`);
      }
    } finally {
      child.kill('SIGKILL');
      await rm(folder, { recursive: true });
    }
  });
});
