/** The reliability matrix in small: each row with fewer rounds, in under a minute. `npm run test:reliability` has all. */
import assert from 'node:assert/strict';
import type { Result } from '../reliability/report.ts';
import { lineOf } from '../reliability/report.ts';
import { ROWS } from '../reliability/rows/index.ts';
import { runAll, scaleOf } from '../reliability/run.ts';
import { requires } from '../support/requirements.ts';

describe('the reliability matrix, in small', function () {
  this.timeout(240_000);
  const results = new Map<number, Result>();

  before(async () => {
    const all = await runAll(ROWS, scaleOf(true, 0), () => undefined);
    for (const result of all) results.set(result.number, result);
  });

  for (const { number, title, needs = [] } of ROWS) {
    it(`${number}: ${title}`, function () {
      requires(this, ...needs);
      const result = results.get(number);
      assert.ok(result);
      assert.equal(result.verdict, 'ok', lineOf(result));
    });
  }
});
