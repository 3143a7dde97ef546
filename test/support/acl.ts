/** POSIX access control lists as the kernel takes them, for machines without the package acl. */
import koffi from 'koffi';

const TAGS = { owner: 0x01, user: 0x02, 'own group': 0x04, group: 0x08, mask: 0x10, others: 0x20 };
const NOBODY_NAMED = 0xffff_ffff;

/** What it is about, `rwx`, and of a user or group that is named the number. */
type Entry = [keyof typeof TAGS, string, number?];

/** @see <linux/posix_acl_xattr.h> */
export function accessControlList(entries: readonly Entry[]): Buffer {
  const list = Buffer.alloc(4 + 8 * entries.length);
  list.writeUInt32LE(2, 0);
  entries.forEach(([tag, rights, id = NOBODY_NAMED], index) => {
    const may = rights.split('').reduce((bits, letter) => 2 * bits + (letter === '-' ? 0 : 1), 0);
    list.writeUInt16LE(TAGS[tag], 4 + 8 * index);
    list.writeUInt16LE(may, 6 + 8 * index);
    list.writeUInt32LE(id, 8 + 8 * index);
  });
  return list;
}

/**
 * Lets the user write to what lies at `path`; its mode then shows the rights of the group as `rwx`.
 * @returns whether the file system has such lists
 */
export function letWrite(path: string, uid: number): boolean {
  const set = koffi
    .load(null)
    .func('int setxattr(const char *path, const char *name, const void *value, size_t size, int flags)') as (
    path: string,
    name: string,
    value: Buffer,
    size: number,
    flags: number,
  ) => number;
  const list = accessControlList([
    ['owner', 'rwx'],
    ['user', 'rwx', uid],
    ['own group', 'r-x'],
    ['mask', 'rwx'],
    ['others', 'r-x'],
  ]);
  return set(path, 'system.posix_acl_access', list, list.length, 0) === 0;
}
