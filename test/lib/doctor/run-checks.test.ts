import assert from 'node:assert/strict';
import { exitStatusOf, failure, ok, skipped, summaryOf, warning } from '../../../src/lib/doctor/check.ts';
import { type Step, walk } from '../../../src/lib/doctor/run-checks.ts';

const step = (id: string, look: Step['look'], more: Partial<Step> = {}): Step => ({ id, subject: '', look, ...more });
const broken = failure('store_locked', 'it is locked', { fix: ['cms unlock'] });
const options = { now: () => performance.now(), done: () => undefined };

describe('walking through checks', () => {
  it('leaves out what hangs on a failure, and names that failure through any number of links', async () => {
    let made = 0;
    const never = (): Promise<never> => Promise.reject(new Error(String(made++)));
    const checks = await walk(
      [
        step('key', () => Promise.resolve(broken)),
        step('token', never, { needs: ['key'] }),
        step('login', never, { needs: ['token'] }),
        step('other', () => Promise.resolve(ok('fine'))),
      ],
      options,
    );
    assert.equal(made, 0);
    assert.deepEqual(
      checks.map(({ status, summary, cause }) => [status, summary, cause]),
      [
        ['failure', 'it is locked', undefined],
        ['skipped', 'because of key', 'it is locked'],
        ['skipped', 'because of key', 'it is locked'],
        ['ok', 'fine', undefined],
      ],
    );
    assert.equal(exitStatusOf(checks), 69);
    assert.equal(summaryOf(checks), '1 failure; first: key: it is locked');
  });

  it('goes on after a warning and after what does not apply', async () => {
    const checks = await walk(
      [
        step('a', () => Promise.resolve(warning('hm', {}))),
        step('b', () => Promise.resolve(skipped('none there')), { needs: ['a'] }),
        step('c', () => Promise.resolve(ok('fine')), { needs: ['a', 'b'] }),
      ],
      options,
    );
    assert.equal(checks[2]?.status, 'ok');
    assert.equal(exitStatusOf(checks), 0);
  });

  it('gives up a check at its limit and says so', async () => {
    const hang = new Promise<never>(() => undefined);
    const [check] = await walk([step('slow', () => hang, { limitMs: 20 })], options);
    assert.deepEqual([check?.status, check?.summary], ['failure', 'nothing came of it within 0.02 s']);
    assert.match(check?.cause ?? '', /time limit/);
  });

  it('tells of each check in order, as soon as those before it are done, and holds the number at once', async () => {
    let [now, most] = [0, 0];
    const told: string[] = [];
    const work = async () => {
      most = Math.max(most, ++now);
      await new Promise((resolve) => setTimeout(resolve, 5));
      now--;
      return ok('');
    };
    const steps = ['a', 'b', 'c', 'd', 'e'].map((id) => step(id, work));
    await walk(steps, { ...options, atOnce: 2, done: ({ id }) => told.push(id) });
    assert.deepEqual([told.join(''), most], ['abcde', 2]);
  });

  it('makes a failure of what a check throws', async () => {
    const [check] = await walk([step('x', () => Promise.reject(new Error('boom')))], options);
    assert.deepEqual([check?.status, check?.code, check?.summary], ['failure', 'internal_error', 'boom']);
  });
});
