import assert from 'node:assert/strict';
import { writersIn } from '../../../../src/lib/os/files/acl.ts';
import { accessControlList } from '../../../support/acl.ts';

describe('an access control list', () => {
  it('lets write whom it names, and whom its owner and its own group are does not matter', () => {
    const list = accessControlList([
      ['owner', 'rwx'],
      ['user', 'rwx', 5],
      ['user', 'r-x', 6],
      ['user', '-w-', 0xffff_fffe],
      ['own group', 'rwx'],
      ['group', 'rw-', 60],
      ['group', 'r--', 61],
      ['mask', 'rwx'],
      ['others', 'rwx'],
    ]);
    assert.deepEqual(writersIn(list), { users: [5, 0xffff_fffe], groups: [60] });
    assert.deepEqual(writersIn(Buffer.alloc(0)), { users: [], groups: [] });
    assert.deepEqual(writersIn(list.subarray(0, 15)), { users: [], groups: [] }, 'half an entry');
  });
});
