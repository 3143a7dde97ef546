import assert from 'node:assert/strict';
import fc from 'fast-check';
import { classifyTokenAnswer, describe as describeText } from '../../../../src/lib/oauth/token/classify.ts';
import { Secret } from '../../../../src/lib/core/secret.ts';
import { revealed } from '../../../support/secrets.ts';

const granted = { access_token: 'at', token_type: 'Bearer', expires_in: 60 };
const classify = (status: number, body: unknown, secrets: string[] = []) =>
  revealed(
    classifyTokenAnswer(
      { status, body: typeof body === 'string' ? body : JSON.stringify(body) },
      secrets.map((secret) => new Secret(secret)),
    ),
  );

describe('an answer of the token endpoint', () => {
  it('with a Bearer token, in whatever case, is a grant', () => {
    for (const token_type of ['Bearer', 'bearer', 'BEARER']) {
      assert.deepEqual(classify(200, { ...granted, token_type, refresh_token: 'rt', scope: 'a b' }), {
        kind: 'granted',
        access_token: 'at',
        expires_in: 60,
        refresh_token: 'rt',
        scope: 'a b',
      });
    }
  });

  it('leaves an empty refresh token out', () => {
    assert.equal('refresh_token' in classify(200, { ...granted, refresh_token: '' }), false);
  });

  for (const [name, body] of [
    ['nothing', ''],
    ['a page', '<!doctype html><title>Welcome</title>'],
    ['an array', [granted]],
    ['a string', '"at"'],
    ['no access token', { token_type: 'Bearer' }],
    ['an empty access token', { ...granted, access_token: '' }],
    ['no type', { access_token: 'at' }],
    ['another type', { ...granted, token_type: 'DPoP' }],
    ['an error inside a 200', { error: 'invalid_grant' }],
  ] as const) {
    it(`with ${name} is temporary`, () => {
      assert.equal(classify(200, body).kind, 'temporary');
    });
  }

  it('needs a person for the errors that say so, and only in a 4xx', () => {
    for (const error of ['invalid_grant', 'interaction_required', 'login_required', 'consent_required']) {
      assert.deepEqual(classify(400, { error }), { kind: 'authorization_required', error });
      for (const status of [200, 302, 408, 425, 429, 500, 502, 503])
        assert.equal(classify(status, { error }).kind, 'temporary');
    }
  });

  it("keeps Google's second word, which says what kind of refusal it is", () => {
    const refused = (more: object) => {
      const outcome = classify(400, { error: 'invalid_grant', ...more });
      return outcome.kind === 'authorization_required' ? outcome.error_description : outcome.kind;
    };
    assert.equal(refused({ error_subtype: 'invalid_rapt' }), 'invalid_rapt');
    assert.equal(refused({ error_description: 'Bad', error_subtype: 'invalid_rapt' }), 'Bad [invalid_rapt]');
    assert.equal(refused({ error_description: 'a (invalid_rapt)', error_subtype: 'invalid_rapt' }), 'a (invalid_rapt)');
    assert.equal(refused({ error_description: 'Bad', error_subtype: 7 }), 'Bad');
  });

  it('needs another client for the errors that say so', () => {
    for (const error of ['invalid_client', 'unauthorized_client', 'invalid_scope', 'invalid_request']) {
      assert.equal(classify(401, { error }).kind, 'client_invalid');
    }
  });

  it('with an error that nobody knows, or that is none, is temporary', () => {
    for (const error of [
      'slow_down',
      'quota',
      '',
      5,
      null,
      'two words',
      ['invalid_grant'],
      { code: 'invalid_grant' },
    ]) {
      assert.equal(classify(400, { error }).kind, 'temporary', JSON.stringify(error));
    }
  });

  it('passes Retry-After on', () => {
    const outcome = classifyTokenAnswer({ status: 503, body: '', retry_after: 7 }, []);
    assert.deepEqual(outcome, {
      kind: 'temporary',
      message: 'the token endpoint answered 503: an empty page',
      retry_after: 7,
    });
  });

  it('never throws and never says more than a line, whatever comes', () => {
    fc.assert(
      fc.property(fc.integer({ min: 100, max: 599 }), fc.oneof(fc.string(), fc.json()), (status, body) => {
        const outcome = classify(status, body);
        if (outcome.kind === 'temporary') assert.match(outcome.message, /^[\x20-\x7e…]{1,500}$/);
      }),
    );
  });
});

describe('the provider’s own words', () => {
  it('lose every secret that was sent, in each form that a provider may echo', () => {
    const secret = '1//0gAbC+def=ghi';
    const base64 = Buffer.from(secret).toString('base64');
    const text = `a ${secret} b ${encodeURIComponent(secret)} c ${base64}`;
    assert.equal(describeText(text, [new Secret(secret), new Secret('')]), 'a [secret] b [secret] c [secret]');
    const outcome = classify(400, { error: 'SECRETTOKEN' }, ['SECRETTOKEN']);
    assert.doesNotMatch(JSON.stringify(outcome), /SECRETTOKEN/);
  });

  it('become one printable line of bounded length', () => {
    assert.equal(describeText('a\r\nb\x1b[2J\tc', []), 'a b [2J c');
    assert.equal(describeText('\n\n', []), undefined);
    assert.equal(describeText(7, []), undefined);
    assert.equal(describeText('x'.repeat(1000), [])?.length, 301);
  });
});
