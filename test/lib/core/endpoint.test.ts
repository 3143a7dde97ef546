import assert from 'node:assert/strict';
import { CmsError } from '../../../src/lib/core/errors.ts';
import { isLoopbackUrl, parseEndpoint } from '../../../src/lib/core/endpoint.ts';

function refusal(text: string): CmsError {
  try {
    parseEndpoint(text, 'token endpoint');
  } catch (error) {
    assert.ok(error instanceof CmsError);
    return error;
  }
  return assert.fail(`accepted ${text}`);
}

describe('parseEndpoint', () => {
  for (const text of [
    'https://login.example.org/token',
    'https://login.example.org:8443/oauth2/token?realm=mail',
    'https://[2001:db8::1]/token',
    'http://localhost:8080/token',
    'http://127.0.0.1/token',
    'http://127.8.9.10:1/token',
    'http://[::1]:8080/token',
  ]) {
    it(`takes ${text}`, () => assert.equal(parseEndpoint(text, 'token endpoint').href, text));
  }

  for (const [text, reason] of [
    ['http://login.example.org/token', /plain http to login\.example\.org/],
    ['http://10.0.0.1/token', /plain http/],
    ['http://127.0.0.1.example.org/token', /plain http/],
    ['http://localhost.example.org/token', /plain http/],
    ['http://[::ffff:127.0.0.1]/token', /plain http/],
    ['https://user@login.example.org/', /credentials/],
    ['https://login.example.org/#part', /fragment/],
    ['https://login.example.org/#', /fragment/],
    ['https:login.example.org', /not an http or https URL/],
    ['https:\\\\login.example.org\\token', /not an http or https URL/],
    [' https://login.example.org/', /not an http or https URL/],
    ['https://login.exam\nple.org/', /not an http or https URL/],
    ['https://', /not an http or https URL/],
    ['https://:443/', /not an http or https URL/],
    ['ftp://login.example.org/', /not an http or https URL/],
    ['', /not an http or https URL/],
  ] as const) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      const error = refusal(text);
      assert.equal(error.code, 'config_invalid');
      assert.match(error.message, /^the token endpoint /);
      assert.match(error.message, reason);
      assert.ok(error.suggestions.length > 0);
    });
  }

  it('does not repeat a password that stands in the URL', () => {
    const error = refusal('https://jane:hunter2@login.example.org/');
    assert.doesNotMatch(JSON.stringify(error) + String(error.stack), /hunter2/);
  });
});

describe('isLoopbackUrl', () => {
  it('tells this machine from others', () => {
    assert.deepEqual(
      ['http://127.0.0.1:1/', 'https://localhost/', 'http://[::1]/', 'http://localhost.example/', 'x'].map(
        isLoopbackUrl,
      ),
      [true, true, true, false, false],
    );
  });
});
