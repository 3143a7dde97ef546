import assert from 'node:assert/strict';
import { manualRedirectUri } from '../../../../src/lib/oauth/sign-in/authorization-code.ts';
import { PRESETS } from '../../../../src/lib/providers/table.ts';

describe('manualRedirectUri', () => {
  it('names a port where nobody listens, unless one is registered', () => {
    assert.match(manualRedirectUri({ host: '127.0.0.1', path: '/' }), /^http:\/\/127\.0\.0\.1:\d+\/$/);
    assert.equal(manualRedirectUri({ host: 'localhost', path: '/x', port: 4711 }), 'http://localhost:4711/x');
  });

  it('is, for a provider that wants https or a fixed port, the URI to register', () => {
    const fixed = PRESETS.flatMap((provider) => (provider.oauth === 'none' ? [] : [provider])).filter(
      ({ redirect }) => redirect.scheme === 'https' || redirect.port !== undefined,
    );
    assert.ok(fixed.length > 4);
    for (const { id, redirect, client } of fixed) {
      assert.equal(manualRedirectUri(redirect), client.redirect_to_register, id);
    }
  });
});
