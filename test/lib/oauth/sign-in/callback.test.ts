import assert from 'node:assert/strict';
import fc from 'fast-check';
import { type CallbackRequest, judgeCallback } from '../../../../src/lib/oauth/sign-in/callback.ts';

const STATE = 'S'.repeat(43);
const REDIRECT = new URL('http://127.0.0.1:4711/');
const good: CallbackRequest = { method: 'GET', target: `/?code=x&state=${STATE}`, hosts: ['127.0.0.1:4711'] };

describe('a request to the redirect URI', () => {
  it('with our state is the response, errors included', () => {
    const verdict = judgeCallback(good, REDIRECT, STATE);
    assert.ok(verdict.kind === 'response');
    assert.equal(verdict.url.href, `http://127.0.0.1:4711/?code=x&state=${STATE}`);
    const error = { ...good, target: `/?error=access_denied&state=${STATE}` };
    assert.equal(judgeCallback(error, REDIRECT, STATE).kind, 'response');
  });

  for (const [what, change, status] of [
    ['another host', { hosts: ['evil.com:4711'] }, 403],
    ['our name, other spelling', { hosts: ['localhost:4711'] }, 403],
    ['no port', { hosts: ['127.0.0.1'] }, 403],
    ['a final dot', { hosts: ['127.0.0.1.:4711'] }, 403],
    ['two Host headers', { hosts: ['127.0.0.1:4711', '127.0.0.1:4711'] }, 403],
    ['no Host header', { hosts: [] }, 403],
    ['an absolute target', { target: `http://127.0.0.1:4711/?code=x&state=${STATE}` }, 400],
    ['an asterisk', { method: 'OPTIONS', target: '*' }, 400],
    ['another path', { target: `/favicon.ico?code=x&state=${STATE}` }, 404],
    ['a path that looks like a host', { target: `//evil.com/?code=x&state=${STATE}` }, 404],
    ['POST', { method: 'POST' }, 405],
    ['HEAD', { method: 'HEAD' }, 405],
    ['no state', { target: '/?code=x' }, 403],
    ['another state', { target: `/?code=x&state=${'T'.repeat(43)}` }, 403],
    ['a shorter state', { target: `/?code=x&state=${STATE.slice(1)}` }, 403],
    ['an empty state', { target: '/?code=x&state=' }, 403],
    ['our state twice', { target: `/?code=x&state=${STATE}&state=${STATE}` }, 403],
    ['our state and another', { target: `/?state=x&code=x&state=${STATE}` }, 403],
    ['an error without state', { target: '/?error=access_denied' }, 403],
  ] as const) {
    it(`with ${what} changes nothing`, () => {
      const verdict = judgeCallback({ ...good, ...change }, REDIRECT, STATE);
      assert.deepEqual([verdict.kind, verdict.kind === 'refuse' && verdict.status], ['refuse', status]);
    });
  }

  it('is never taken for ours by chance, and never throws', () => {
    const text = fc.string({ unit: 'binary' });
    fc.assert(
      fc.property(text, text, fc.array(text, { maxLength: 2 }), (method, target, hosts) => {
        assert.equal(judgeCallback({ method, target, hosts }, REDIRECT, STATE).kind, 'refuse');
        assert.equal(judgeCallback({ ...good, target: `/${target}` }, REDIRECT, STATE).kind, 'refuse');
      }),
    );
  });
});
