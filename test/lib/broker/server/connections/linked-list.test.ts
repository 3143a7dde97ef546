import assert from 'node:assert/strict';
import { type Linked, LinkedList } from '../../../../../src/lib/broker/server/connections/linked-list.ts';

class Member implements Linked<Member> {
  previous: Member | undefined = undefined;
  next: Member | undefined = undefined;
  constructor(readonly name: string) {}
}

describe('a linked list', () => {
  function listOf(...names: string[]): { list: LinkedList<Member>; members: Member[] } {
    const list = new LinkedList<Member>();
    const members = names.map((name) => new Member(name));
    members.forEach((member) => list.append(member));
    return { list, members };
  }

  function names(list: LinkedList<Member>): string {
    let text = '';
    list.forEach(({ name }) => (text += name));
    return text;
  }

  it('keeps its members in the order in which they came', () => {
    assert.equal(names(listOf('a', 'b', 'c').list), 'abc');
    assert.equal(names(listOf().list), '');
  });

  for (const [leaving, left] of [
    [[0], 'bc'],
    [[1], 'ac'],
    [[2], 'ab'],
    [[0, 1], 'c'],
    [[2, 1], 'a'],
    [[1, 0, 2], ''],
  ] as const) {
    it(`is ${left === '' ? 'empty' : left} when of three leave ${leaving.join(', ')}`, () => {
      const { list, members } = listOf('a', 'b', 'c');
      for (const index of leaving) {
        const member = members[index];
        assert.ok(member);
        list.remove(member);
        assert.deepEqual([member.previous, member.next], [undefined, undefined]);
      }
      assert.equal(names(list), left);
      assert.equal(list.first?.name, left[0]);
      list.append(new Member('d'));
      assert.equal(names(list), `${left}d`);
    });
  }

  it('lets a member leave while it is visited', () => {
    const { list } = listOf('a', 'b', 'c');
    let visited = '';
    list.forEach((member) => {
      visited += member.name;
      list.remove(member);
    });
    assert.equal(visited, 'abc');
    assert.equal(list.first, undefined);
  });
});
