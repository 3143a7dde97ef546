import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { someAtATime } from '../../src/lib/some-at-a-time.ts';

describe('some at a time', () => {
  it('keeps the order, and never has more than 64 under way', async () => {
    let [now, most] = [0, 0];
    const items = Array.from({ length: 200 }, (_, index) => index);
    const results = await someAtATime(items, async (item) => {
      most = Math.max(most, ++now);
      await turn();
      now--;
      return item * 2;
    });
    assert.deepEqual(
      results,
      items.map((item) => item * 2),
    );
    assert.equal(most, 64);
  });

  it('throws what one of them throws', async () => {
    await assert.rejects(
      someAtATime([1], () => Promise.reject(new Error('no'))),
      /no/,
    );
  });
});
