import assert from 'node:assert/strict';
import type { LoginFailure, LoginResult } from '../../../src/lib/mail/login.ts';
import { tryUsers } from '../../../src/lib/mail/try-users.ts';

const no = (kind: LoginFailure['kind'], detail = kind): LoginFailure => ({ ok: false, kind, detail });

async function run(candidates: [string, ...string[]], answers: Record<string, LoginResult>) {
  const tried: string[] = [];
  const result = await tryUsers(candidates, async (user) => {
    tried.push(user);
    return answers[user] ?? { ok: true, user };
  });
  return { result, tried };
}

describe('tryUsers', () => {
  it('keeps the first user that gets in', async () => {
    const { result, tried } = await run(['team@a.org', 'jane@a.org'], {});
    assert.deepEqual([result, tried], [{ ok: true, user: 'team@a.org' }, ['team@a.org']]);
  });

  it('goes on to the next one after a refusal', async () => {
    const { result, tried } = await run(['team@a.org', 'jane@a.org'], { 'team@a.org': no('refused') });
    assert.deepEqual([result, tried], [{ ok: true, user: 'jane@a.org' }, ['team@a.org', 'jane@a.org']]);
  });

  it('tries nobody twice, and reports each refusal', async () => {
    const answers = { a: no('refused', 'refused'), b: no('refused') };
    const { result, tried } = await run(['a', 'a', 'b', 'b', 'a'], answers);
    assert.deepEqual([result, tried], [{ ok: false, failures: [answers.a, answers.b] }, ['a', 'b']]);
  });

  for (const kind of ['unreachable', 'certificate', 'protocol'] as const) {
    it(`stops at a server that is at fault itself: ${kind}`, async () => {
      const { result, tried } = await run(['a', 'b'], { a: no(kind) });
      assert.deepEqual([result, tried], [{ ok: false, failures: [no(kind)] }, ['a']]);
    });
  }
});
