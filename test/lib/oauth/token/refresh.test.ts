import assert from 'node:assert/strict';
import type { OAuthClient } from '../../../../src/lib/accounts/account.ts';
import { exchangeRefreshToken, refreshRequest } from '../../../../src/lib/oauth/token/refresh.ts';
import { Secret } from '../../../../src/lib/core/secret.ts';

const TOKEN = new Secret('1//refresh+token/=&');
const CLIENT: OAuthClient = {
  client_id: 'mail:er',
  token_endpoint: 'https://login.example.org/token',
  token_endpoint_auth_method: 'client_secret_post',
  scope: 'mail',
  authorization_params: {},
  redirect: { host: '127.0.0.1', path: '/' },
};

function sent(client: OAuthClient, secret?: string) {
  const { headers, body } = refreshRequest(client, TOKEN, secret === undefined ? undefined : new Secret(secret));
  return { authorization: headers.authorization, form: Object.fromEntries(new URLSearchParams(body.toString())) };
}

const FORM = { grant_type: 'refresh_token', refresh_token: TOKEN.reveal() };

describe('the request of a refresh', () => {
  it('names a client without a secret in the form', () => {
    for (const method of ['none', 'client_secret_post', 'client_secret_basic'] as const) {
      assert.deepEqual(sent({ ...CLIENT, token_endpoint_auth_method: method }), {
        authorization: undefined,
        form: { ...FORM, client_id: 'mail:er' },
      });
    }
  });

  it('sends a secret in the form', () => {
    assert.deepEqual(sent(CLIENT, 's&3=cr et'), {
      authorization: undefined,
      form: { ...FORM, client_id: 'mail:er', client_secret: 's&3=cr et' },
    });
  });

  it('sends a secret in Authorization, encoded so that a colon in the id is part of the id', () => {
    const { authorization, form } = sent({ ...CLIENT, token_endpoint_auth_method: 'client_secret_basic' }, 'a b:%+ü');
    assert.deepEqual(form, FORM);
    const [, digits = ''] = /^Basic (.*)$/.exec(authorization ?? '') ?? [];
    assert.equal(Buffer.from(digits, 'base64').toString(), 'mail%3Aer:a+b%3A%25%2B%C3%BC');
  });

  it('asks for the scope that the provider wants at refresh, and for none otherwise', () => {
    assert.deepEqual(sent({ ...CLIENT, refresh_scope: 'a b' }).form, { ...FORM, client_id: 'mail:er', scope: 'a b' });
  });

  it('is never sent in clear text to another machine', async () => {
    const outcome = await exchangeRefreshToken({ ...CLIENT, token_endpoint: 'http://login.example.org/token' }, TOKEN);
    assert.equal(outcome.kind, 'config_invalid');
  });
});
