import assert from 'node:assert/strict';
import { advice } from '../../../src/lib/explain/advice.ts';
import { explain } from '../../../src/lib/explain/explain.ts';

describe('advice', () => {
  it('says the sentence, who can mend it, and how, in words for people only', () => {
    const explanation = explain({ source: 'oauth', code: 'invalid_grant', text: '', address: 'jane@example.org' });
    const [sentence, who, ...steps] = advice(explanation, 'jane@example.org');
    assert.equal(explanation.class, 'sign in again');
    assert.equal(sentence, explanation.sentence);
    assert.equal(who, 'who can fix it: you');
    assert.ok(steps.some((step) => step.startsWith('do: cms account add jane@example.org')));
  });

  it('does not guess at what nobody knows', () => {
    const unknown = explain({ source: 'smtp', text: '599 something new' });
    assert.deepEqual(advice(unknown, 'jane@example.org'), ['cms does not know what this means']);
  });
});
