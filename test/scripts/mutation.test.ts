/** The tool behind `npm run test:mutation`: what counts as a mutation, and what as noticed. */
import assert from 'node:assert/strict';
import { mutated, type Mutation, verdictOf } from '../mutation/mutation.ts';

describe('the mutations', () => {
  it('change one place, and none where it cannot be told which', () => {
    const change: Mutation = { file: 'x', old: 'a < b', new: 'a <= b', tests: [] };
    assert.equal(mutated('if (a < b) c;', change), 'if (a <= b) c;');
    assert.equal(mutated('a < b; a < b', change), undefined);
    assert.equal(mutated('nothing', change), undefined);
  });

  it('count as killed by a test that fails, not by a file that cannot be loaded', () => {
    const run = (output: string, status = 1) => verdictOf({ output, status, timedOut: false });
    assert.equal(run('\n  3 passing (1s)\n  1 failing\n'), 'killed');
    assert.equal(run('\n  3 passing (1s)\n', 0), 'survived');
    assert.equal(run('\n  0 passing (1ms)\n', 0), 'broken');
    assert.equal(run('SyntaxError: Unexpected token'), 'broken');
    assert.equal(verdictOf({ output: '', status: null, timedOut: true }), 'killed');
  });
});
