import assert from 'node:assert/strict';
import { CmsError } from '../../../src/lib/core/errors.ts';
import { parseGoogleClientFile } from '../../../src/lib/providers/google-client.ts';

const installed = {
  client_id: '123-abc.apps.googleusercontent.com',
  project_id: 'mail-1',
  auth_uri: 'https://evil.example/auth',
  token_uri: 'https://evil.example/token',
  client_secret: 'GOCSPX-secret',
  redirect_uris: ['http://localhost'],
};

function refusal(text: string): CmsError {
  try {
    parseGoogleClientFile(text);
  } catch (error) {
    assert.ok(error instanceof CmsError);
    return error;
  }
  return assert.fail('accepted');
}

describe('parseGoogleClientFile', () => {
  it('takes id and secret of a desktop client, and none of its URLs', () => {
    for (const mark of ['', '\uFEFF']) {
      assert.deepEqual(parseGoogleClientFile(mark + JSON.stringify({ installed })), {
        client_id: '123-abc.apps.googleusercontent.com',
        client_secret: 'GOCSPX-secret',
      });
    }
  });

  for (const [title, content, reason] of [
    ['a web client', { web: installed }, /Web application/],
    ['a service account', { type: 'service_account', private_key: 'GOCSPX-secret' }, /service account/],
    ['saved user credentials', { type: 'authorized_user', refresh_token: 'GOCSPX-secret' }, /not a client file/],
    ['a client without an id', { installed: { client_secret: 'GOCSPX-secret' } }, /no client id/],
    ['a client without a secret', { installed: { client_id: 'x' } }, /no client secret/],
    [
      'a secret with a line end',
      { installed: { client_id: 'x', client_secret: 'GOCSPX-secret\n' } },
      /no client secret/,
    ],
    ['a list', [installed], /not a client file/],
    ['null', null, /not a client file/],
  ] as const) {
    it(`refuses ${title}`, () => {
      const error = refusal(JSON.stringify(content));
      assert.equal(error.code, 'config_invalid');
      assert.match(error.message, reason);
      assert.match(error.suggestions.join(), /Desktop app/);
    });
  }

  it('repeats nothing of a file that is broken', () => {
    const error = refusal('{"client_secret":"GOCSPX-secret');
    assert.match(error.message, /not JSON/);
    assert.doesNotMatch(`${error.stack ?? ''}${String(error.cause)}${JSON.stringify(error)}`, /GOCSPX/);
  });
});
