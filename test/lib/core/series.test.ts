import assert from 'node:assert/strict';
import { Series } from '../../../src/lib/core/series.ts';

describe('work in series', () => {
  it('never overlaps, and gives nobody an outcome that is older than the question', async () => {
    const ends: (() => void)[] = [];
    let [running, begun] = [0, 0];
    const series = new Series(async () => {
      const run = ++begun;
      assert.equal(++running, 1, 'it overlaps');
      await new Promise<void>((resolve) => ends.push(resolve));
      running--;
      if (run === 2) throw new Error('second');
      return run;
    });
    const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
    const first = series.next();
    await turn();
    const later = [series.next(), series.next()];
    await turn();
    assert.equal(begun, 1);
    ends.shift()?.();
    assert.equal(await first, 1);
    await turn();
    const last = series.next();
    ends.shift()?.();
    const outcomes = await Promise.allSettled(later);
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      ['rejected', 'rejected'],
    );
    await turn();
    ends.shift()?.();
    assert.equal(await last, 3, 'a failure does not end the series');
  });
});
