import assert from 'node:assert/strict';
import { cures } from '../../../../src/lib/os/files/advice.ts';

describe('what to do where the system lets nobody at a path', () => {
  for (const [reason, path, command] of [
    ['ENOENT', '/srv/my mail/client.json', "ls -ld '/srv/my mail' '/srv/my mail/client.json'"],
    ['ENOSPC', "/srv/jane's/x", "df -h '/srv/jane'\\''s'"],
    ['EROFS', '/srv/my mail/x', "findmnt -T '/srv/my mail'   # is mounted read-only"],
    ['EIO', '/srv/x', 'ls -ld /srv /srv/x'],
  ] as const) {
    it(`is a command that a shell takes: ${reason}`, () => assert.deepEqual(cures(path, reason), [command]));
  }
});
