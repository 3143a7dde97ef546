import assert from 'node:assert/strict';
import { frozenIn, frozenMail, frozenWords } from '../../../src/lib/exim/queue.ts';
import { CmsError } from '../../../src/lib/core/errors.ts';

const LISTING = `
 3d   1.5K 1xYG2V-0003QK-2A <> *** frozen ***
          jane@example.org

25m    311 1xYG2c-0003YL-1K <gone@example.org>
          "*** frozen ***"@elsewhere.example

 2h   2.4M 1xYG2e-000000003Zo-0s0s <>  (Debian-exim) *** frozen ***
        D x@elsewhere.example
          y@elsewhere.example

`;

describe("frozen mail in exim's queue", () => {
  it('is counted, and the oldest comes first', () => {
    assert.deepEqual(frozenIn(LISTING), { count: 2, oldest: '3d' });
    assert.deepEqual(frozenIn(''), { count: 0 });
    assert.equal(frozenWords(frozenIn(LISTING)), "2 frozen messages in exim's queue, the oldest for 3d");
    assert.equal(frozenWords({ count: 0 }), undefined);
  });

  it('is not looked for, by sudo either, where that is not wanted, and is unknown where exim does not say', async () => {
    const isRoot = process.getuid?.() === 0;
    const asked: string[] = [];
    const answering = (status: number) => async (argv: readonly string[]) => {
      asked.push(argv.join(' '));
      return { status, stdout: argv.includes('-bp') ? LISTING : '', stderr: '' };
    };
    assert.deepEqual(await frozenMail(answering(0), 'exim4', true), { count: 2, oldest: '3d' });
    assert.equal(asked.at(-1), isRoot ? 'exim4 -bp' : 'sudo -n exim4 -bp');
    assert.equal(await frozenMail(answering(1), 'exim4', true), undefined);
    assert.equal((await frozenMail(answering(0), 'exim4')) !== undefined, isRoot);
    const failing = () => Promise.reject(new CmsError('io_error', 'cannot run'));
    assert.equal(await frozenMail(failing, 'exim4', true), undefined);
  });
});
