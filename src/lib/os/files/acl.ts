/**
 * POSIX access control lists. The group bits of a mode are then the mask of the list, the most that anybody in it may:
 * a mode that gives the group nothing gives nothing to those who are named, and one that lets the group write needs a
 * look at the list. Lists of NFSv4 show in the mode alone.
 */
import { accessListOf } from '../libc.ts';

/** Version, then tag, permissions and id of each entry. @see <linux/posix_acl_xattr.h> */
const HEADER_BYTES = 4;
const ENTRY_BYTES = 8;
const USER = 0x02;
const GROUP = 0x08;
const MAY_WRITE = 2;

/** Users and groups, by number, that a list lets write. */
export interface Named {
  users: number[];
  groups: number[];
}

/** The users and groups that the list of the file at `path` lets write, in addition to its owner and its group. */
export function namedWriters(path: string): Named {
  const list = accessListOf(path);
  return list === undefined ? { users: [], groups: [] } : writersIn(list);
}

/** Pure part; the mask is left to the caller. */
export function writersIn(list: Buffer): Named {
  const named: Named = { users: [], groups: [] };
  for (let at = HEADER_BYTES; at + ENTRY_BYTES <= list.length; at += ENTRY_BYTES) {
    if ((list.readUInt16LE(at + 2) & MAY_WRITE) === 0) continue;
    const tag = list.readUInt16LE(at);
    const id = list.readUInt32LE(at + 4);
    if (tag === USER) named.users.push(id);
    if (tag === GROUP) named.groups.push(id);
  }
  return named;
}
