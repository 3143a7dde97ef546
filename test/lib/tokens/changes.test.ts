import assert from 'node:assert/strict';
import { Changes } from '../../../src/lib/tokens/changes.ts';

describe('the changes of grants', () => {
  it('are those since the cursor, for each onlooker its own', () => {
    const changes = new Changes();
    assert.equal(changes.since(-1), undefined, 'who has never looked looks at all');
    const early = changes.cursor;
    changes.note('a');
    const late = changes.cursor;
    changes.note('b');
    assert.deepEqual(changes.since(early), ['a', 'b']);
    assert.deepEqual(changes.since(late), ['b']);
    assert.deepEqual(changes.since(changes.cursor), []);
  });

  it('are all of them after that was said, and when there were too many', () => {
    const changes = new Changes(2);
    const start = changes.cursor;
    changes.noteAll();
    assert.equal(changes.since(start), undefined);
    const { cursor } = changes;
    for (const address of ['a', 'b', 'c']) changes.note(address);
    assert.equal(changes.since(cursor), undefined);
    assert.deepEqual(changes.since(changes.cursor), []);
    changes.note('d');
    assert.notEqual(changes.since(changes.cursor - 1), undefined);
  });
});
