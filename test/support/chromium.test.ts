import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import { approveDeviceWithChromium, signInWithChromium, withPage } from './chromium.ts';
import { ENDPOINT, startProvider } from './provider.ts';
import type { EmbeddedProvider } from './provider.ts';
import { closeServer, listen } from './provider/gateway.ts';
import { requires } from './requirements.ts';

const JANE = 'jane@example.org';

describe('the person with a real browser', function () {
  requires(this, 'chromium');
  let provider: EmbeddedProvider;
  let callback: Server;
  let redirectUri: string;

  before(async () => {
    provider = await startProvider();
    callback = createServer((request, response) => {
      const { searchParams } = new URL(request.url ?? '/', redirectUri);
      response.setHeader('content-type', 'text/html');
      response.end(
        `<body>got ${searchParams.get('error') ?? (searchParams.has('code') ? 'a code' : 'nothing')}</body>`,
      );
    });
    redirectUri = `http://127.0.0.1:${await listen(callback)}/`;
  });
  after(async () => {
    await provider.stop();
    await closeServer(callback);
  });

  function authorizationUrl(): string {
    const query = new URLSearchParams({
      client_id: provider.clientId,
      redirect_uri: redirectUri,
      response_type: 'code',
      scope: 'openid offline_access mail.smtp',
      prompt: 'consent',
      code_challenge: 'x'.repeat(43),
      code_challenge_method: 'S256',
    });
    return `${provider.issuer}${ENDPOINT.authorization}?${query.toString()}`;
  }

  it('signs in and sees the page of the callback', async () => {
    const { finalUrl, status, body } = await withPage((page) =>
      signInWithChromium(page, authorizationUrl(), { login: JANE }),
    );
    assert.deepEqual([status, body.trim()], [200, 'got a code']);
    assert.ok(finalUrl.startsWith(redirectUri));
  });

  it('declines', async () => {
    const person = { login: JANE, consent: 'deny' as const };
    const { body } = await withPage((page) => signInWithChromium(page, authorizationUrl(), person));
    assert.equal(body.trim(), 'got access_denied');
  });

  it('connects a device', async () => {
    const body = new URLSearchParams({ client_id: provider.clientId, scope: 'openid offline_access mail.smtp' });
    const asked = await fetch(provider.issuer + ENDPOINT.deviceAuthorization, { method: 'POST', body });
    const device = (await asked.json()) as Record<'device_code' | 'user_code' | 'verification_uri', string>;
    const last = await withPage((page) =>
      approveDeviceWithChromium(page, device.verification_uri, device.user_code, { login: JANE }),
    );
    assert.match(last.body, /Device connected/);
    const parameters = {
      client_id: provider.clientId,
      grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
      device_code: device.device_code,
    };
    const answer = await fetch(provider.tokenEndpoint, { method: 'POST', body: new URLSearchParams(parameters) });
    assert.equal(answer.status, 200);
  });
});
