import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { renderExample } from '../../../../src/lib/exim/render/example.ts';
import { parseEntries } from '../../../../src/lib/exim/smart-hosts/smart-hosts-file.ts';
import { requires } from '../../../support/requirements.ts';

const EXAMPLE = fileURLToPath(new URL('../../../../doc/example-exim4.conf', import.meta.url));

describe('doc/example-exim4.conf', () => {
  it('is what the generator prints', () => {
    const remedy = 'npx tsx scripts/example-exim4-conf.ts writes it anew';
    assert.equal(readFileSync(EXAMPLE, 'utf8'), renderExample(), remedy);
  });

  it('shows lines that would be read as such', () => {
    const shown = readFileSync(EXAMPLE, 'utf8').match(/^# [^ #\n]+: host=[a-z.]+::\d+ .*$/gm) ?? [];
    const keys = parseEntries(shown.map((line) => line.slice(2)).join('\n')).map(({ key }) => key);
    assert.deepEqual(keys, [
      'jane@example.org',
      'office@example.org',
      'jane@example.net',
      '*',
      'example.com',
      'bob@example.com',
    ]);
  });

  it('is taken by exim', function () {
    requires(this, 'exim4');
    // Root's exim takes only a file of root's, an ordinary user's any.
    const folder = mkdtempSync(join(tmpdir(), 'cms-example-'));
    try {
      const copy = join(folder, 'exim4.conf');
      copyFileSync(EXAMPLE, copy);
      const { status, stderr } = spawnSync('/usr/sbin/exim4', ['-C', copy, '-bV'], { encoding: 'utf8' });
      assert.equal(stderr, '');
      assert.equal(status, 0);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
