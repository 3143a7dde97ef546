import assert from 'node:assert/strict';
import fc from 'fast-check';
import { classifyTokenAnswer } from '../../../../src/lib/oauth/token/classify.ts';
import { problemIn } from '../../../../src/lib/oauth/http/problem.ts';
import { explain, fromWords } from '../../../../src/lib/explain/explain.ts';

const REVOKED = 'Token has been revoked.';

/** What providers and the gateways in front of them make of a dead refresh token. */
const WRAPPED: Readonly<Record<string, string>> = {
  'an error object': JSON.stringify({ error: { code: 'invalid_grant', message: REVOKED } }),
  'an error object with a number': JSON.stringify({ error: { code: 400, status: 'invalid_grant', message: REVOKED } }),
  'an error in an error': JSON.stringify({ error: { error: 'invalid_grant', error_description: REVOKED } }),
  'a list of errors': JSON.stringify({ errors: [{ code: 'invalid_grant', message: REVOKED }] }),
  'a list of texts': JSON.stringify({ errors: ['invalid_grant'], message: REVOKED }),
  'a list alone': JSON.stringify([{ error: 'invalid_grant', error_description: REVOKED }]),
  'other names': JSON.stringify({ errorCode: 'invalid_grant', errorSummary: REVOKED }),
  'a fault': JSON.stringify({ fault: { faultstring: REVOKED, detail: { errorcode: 'invalid_grant' } } }),
  'a form': `error=invalid_grant&error_description=${encodeURIComponent(REVOKED)}`,
  'plain text': `invalid_grant: ${REVOKED}`,
  'plain text around it': `400 Bad Request (invalid_grant): ${REVOKED}`,
  'a JSON text': JSON.stringify(`invalid_grant: ${REVOKED}`),
  'a code of its own': JSON.stringify({ error: 'E17', message: `invalid_grant: ${REVOKED}` }).replace('"E17"', 'null'),
};

describe('an error in another form than that of OAuth', () => {
  for (const [what, body] of Object.entries(WRAPPED)) {
    it(`is found in ${what}, with its words`, () => {
      const problem = problemIn(body);
      assert.equal(problem?.error, 'invalid_grant');
      assert.ok(problem.description?.includes(REVOKED), problem.description);
      assert.equal(problem.wellFormed, false);
    });

    it(`in ${what} ends no grant, and names the way out`, () => {
      for (const status of [200, 400, 401, 403, 500, 503]) {
        const outcome = classifyTokenAnswer({ status, body }, []);
        assert.ok(outcome.kind === 'temporary', outcome.kind);
        assert.match(outcome.message, /^the token endpoint answered \d+: invalid_grant \(.*Token has been revoked\./);
        const { sentence, fix } = explain({ source: 'oauth', ...fromWords(outcome.message), address: 'jane@x.org' });
        assert.match(sentence, /sign in again/);
        assert.ok(fix.some((line) => line.startsWith('cms account add jane@x.org')));
      }
    });
  }

  it('is found in the header', () => {
    for (const header of [
      `Bearer error="invalid_token", error_description="${REVOKED}"`,
      `Bearer realm="x, y", error=invalid_token,error_description="${REVOKED}"`,
      `Basic realm="a", Bearer scope="mail", error="invalid_token", error_description="${REVOKED}"`,
    ]) {
      assert.deepEqual(problemIn('', header), { error: 'invalid_token', description: REVOKED, wellFormed: false });
    }
    assert.equal(problemIn('', 'Basic realm="invalid_token"'), undefined);
  });

  it('is not looked for in a page, and words without a code are kept', () => {
    assert.equal(problemIn('<html>invalid_grant: please log in</html>'), undefined);
    assert.deepEqual(problemIn('Your session is over'), { description: 'Your session is over', wellFormed: false });
    assert.deepEqual(problemIn('{"message":"Your session is over"}'), {
      description: 'Your session is over',
      wellFormed: false,
    });
    assert.equal(problemIn('{"a":1}'), undefined);
    assert.equal(problemIn(''), undefined);
  });

  it('is well formed only as RFC 6749 has it', () => {
    const body = JSON.stringify({ error: 'invalid_grant', error_description: REVOKED });
    assert.deepEqual(problemIn(body), { error: 'invalid_grant', description: REVOKED, wellFormed: true });
    assert.equal(problemIn(`\ufeff\n${body}`)?.wellFormed, true);
  });

  it('never makes a grant end, whatever comes, unless it is well formed', () => {
    const any = fc.oneof(fc.json(), fc.string(), fc.constantFrom(...Object.values(WRAPPED)));
    fc.assert(
      fc.property(fc.integer({ min: 200, max: 599 }), any, fc.string(), (status, body, authenticate) => {
        const outcome = classifyTokenAnswer({ status, body, authenticate }, []);
        if (outcome.kind === 'authorization_required') assert.equal(problemIn(body)?.wellFormed, true);
      }),
    );
  });
});

describe('a redirect of the token endpoint', () => {
  it('is not followed, but where it points is said, with the flag that names the endpoint', () => {
    const target = 'https://login.new.example/oauth2/token';
    const outcome = classifyTokenAnswer({ status: 307, body: '', target }, []);
    assert.ok(outcome.kind === 'temporary');
    assert.match(
      outcome.message,
      /answered 307: it points to https:\/\/login\.new\.example\/oauth2\/token, and redirects are/,
    );
    const { fix } = explain({ source: 'oauth', ...fromWords(outcome.message), address: 'jane@x.org' });
    assert.match(
      fix.join('\n'),
      /^cms account add jane@x\.org --token-endpoint https:\/\/login\.new\.example\/oauth2\/token /m,
    );
  });

  it('to a place in clear text is not recommended', () => {
    const outcome = classifyTokenAnswer({ status: 302, body: '', target: 'http://portal.example/login' }, []);
    assert.ok(outcome.kind === 'temporary');
    const { fix } = explain({ source: 'oauth', ...fromWords(outcome.message), address: 'jane@x.org' });
    assert.doesNotMatch(fix.join('\n'), /--token-endpoint/);
  });
});
