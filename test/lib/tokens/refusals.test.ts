import assert from 'node:assert/strict';
import { stateOfGrant } from '../../../src/lib/accounts/view.ts';
import { authorizationRequired, exchangeFailed } from '../../../src/lib/tokens/refusals.ts';

const address = 'jane@example.org';
const secrets = { binding: { client_id: 'client-7', token_endpoint: 'https://login.example.org/token' } };
const failure = {
  code: 'client_invalid',
  message: 'invalid_client (wrong secret)',
  ...{ at: 1, since: 1, count: 1, retry_at: 1 },
} as const;
const reason = { error: 'invalid_grant', description: 'AADSTS65001: no consent', at: 1 };

describe('advice about a client', () => {
  it('names the client of the grant, where the exchange failed', () => {
    const { suggestions } = exchangeFailed({ address, secrets }, failure, 0);
    assert.match(suggestions.join('\n'), /--client-id client-7 /);
    assert.doesNotMatch(suggestions.join('\n'), /CLIENT_ID/);
  });

  it('names it where nobody has consented to it', () => {
    const { suggestions } = authorizationRequired({ address, secrets, reason, signed_in_at: 0 });
    assert.match(suggestions.join('\n'), /client_id=client-7/);
  });

  it('says what opens the way where something else answered, and asks nobody again who was asked too often', () => {
    const after = (message: string) => {
      const { suggestions } = exchangeFailed({ address }, { ...failure, code: 'temporarily_unavailable', message }, 0);
      return suggestions.map((line) => line.replace(/ {3}#.*/, ''));
    };
    const force = `cms token ${address} --force-refresh`;
    const portal = after('the token endpoint answered 200: a web page instead of JSON (captive portal or proxy?)');
    assert.match(portal[0] ?? '', /^open any web page in a browser/);
    assert.equal(portal[1], force);
    assert.equal(after('cannot reach login.example.org: no such host (DNS)')[0], force);
    assert.deepEqual(
      after('the token endpoint answered 429: an empty page').filter((line) => line === force),
      [],
    );
    const header = { address, state: 'active', signed_in_at: 0 } as const;
    const busy = {
      ...failure,
      code: 'temporarily_unavailable',
      message: 'the token endpoint answered 429: x',
    } as const;
    assert.doesNotMatch(stateOfGrant({ ...header, failure: busy } as never, {}, true).remedy ?? '', /at once/);
  });

  it('names that of the account, where the grant is not open', () => {
    const header = { address, state: 'active', signed_in_at: 0, failure } as unknown as Parameters<
      typeof stateOfGrant
    >[0];
    assert.match(stateOfGrant(header, { clientId: 'client-7' }).remedy ?? '', /--client-id client-7 /);
  });
});
