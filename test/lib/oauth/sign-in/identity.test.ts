import assert from 'node:assert/strict';
import { claimsOfIdToken, identityOf, judgeIdentity, usernameOf } from '../../../../src/lib/oauth/sign-in/identity.ts';

describe('who signed in', () => {
  for (const [what, idToken, userinfo, expected] of [
    ['the id_token’s address first', { email: 'a@x' }, { email: 'b@x' }, 'a@x'],
    ['then that of userinfo', { preferred_username: 'c@x' }, { email: 'b@x' }, 'b@x'],
    ['then the user name', { preferred_username: 'c@x' }, undefined, 'c@x'],
    ['then the user name of userinfo', {}, { preferred_username: 'd@x' }, 'd@x'],
    ['no address that is not verified', { email: 'a@x', email_verified: false }, undefined, undefined],
    ['nor one that says so in words', { email: 'a@x', email_verified: 'false' }, undefined, undefined],
    ['one whose verification is not mentioned', { email: 'a@x' }, undefined, 'a@x'],
    ['nothing that could write to a terminal', { email: 'a\x1b[2J@x' }, undefined, undefined],
    ['nothing but text', { email: ['a@x'] }, { email: { a: 1 } }, undefined],
    ['nobody where nothing is said', undefined, undefined, undefined],
    ['an international domain', { email: 'jane@Bücher.example' }, undefined, 'jane@xn--bcher-kva.example'],
    ['one in decomposed letters', { email: 'jane@bu\u0308cher.example' }, undefined, 'jane@xn--bcher-kva.example'],
    ['one of the UPN', { preferred_username: 'j@straße.example' }, undefined, 'j@xn--strae-oqa.example'],
    ['no local part that is not ASCII', { email: 'jäne@bücher.example' }, undefined, undefined],
    ['no domain that there cannot be', { email: 'jane@bü cher.example' }, undefined, undefined],
  ] as const) {
    it(`is read from ${what}`, () => {
      assert.equal(identityOf(idToken, userinfo), expected);
    });
  }

  for (const [login, identity, verdict] of [
    ['jane@x.org', 'jane@x.org', 'match'],
    ['jane@x.org', 'Jane@X.org', 'match'],
    ['jane@x.org', 'ja.ne@x.org', 'mismatch'],
    ['jane.doe@gmail.com', 'janedoe@googlemail.com', 'match'],
    ['jane+list@gmail.com', 'jane@gmail.com', 'mismatch'],
    ['jane@x.org', 'jane@x.org.evil.com', 'mismatch'],
    ['jane@gmail.com.evil.com', 'jane@gmail.com', 'mismatch'],
    ['k@x.org', '\u212a@x.org', 'mismatch'],
    ['jane@xn--bcher-kva.example', 'Jane@BÜCHER.example', 'match'],
    ['jane@xn--bcher-kva.example', 'jane@bucher.example', 'mismatch'],
    ['jane@x.org', undefined, 'unverified'],
  ] as const) {
    it(`is judged for ${login} and ${String(identity)}: ${verdict}`, () => {
      assert.equal(judgeIdentity(login, identity), verdict);
    });
  }
});

describe('the name that a person signs in with', () => {
  for (const [what, idToken, userinfo, expected] of [
    ['a UPN beside the mail address', { email: 'jane@x.org', preferred_username: 'jd@x.tst' }, undefined, 'jd@x.tst'],
    ['the claim of older tokens', { email: 'jane@x.org', upn: 'jd@x.tst' }, undefined, 'jd@x.tst'],
    ['userinfo', undefined, { email: 'jane@x.org', preferred_username: 'jd' }, 'jd'],
    ['nothing that is the identity anyway', { preferred_username: 'jd@x.tst' }, undefined, undefined],
    ['nothing at all', undefined, undefined, undefined],
  ] as const) {
    it(`is read from ${what}`, () => assert.equal(usernameOf(idToken, userinfo), expected));
  }
});

describe('an id_token whose issuer is a template', () => {
  const claims = { iss: 'https://l/T1/v2.0', tid: 'T1', aud: 'client', exp: 1000, nonce: 'n', email: 'a@x' };
  const expected = { issuerTemplate: 'https://l/{tenantid}/v2.0', client_id: 'client', nonce: 'n', now: 900 };
  const encode = (value: unknown): string =>
    `e30.${Buffer.from(JSON.stringify(value)).toString('base64url')}.signature`;

  it('gives its claims', () => {
    assert.deepEqual(claimsOfIdToken(encode(claims), expected), claims);
    assert.deepEqual(claimsOfIdToken(encode({ ...claims, aud: ['x', 'client'] }), expected).email, 'a@x');
  });

  for (const [what, change] of [
    ['another issuer', { iss: 'https://evil/T1/v2.0' }],
    ['another tenant than it says', { tid: 'T2' }],
    ['a tenant that is a path', { tid: '../T1' }],
    ['no tenant', { tid: undefined }],
    ['no issuer and no tenant', { tid: undefined, iss: false }],
    ['another audience', { aud: 'other' }],
    ['no audience', { aud: undefined }],
    ['an expiry that has passed', { exp: 500 }],
    ['no expiry', { exp: undefined }],
    ['another nonce', { nonce: 'm' }],
    ['no nonce', { nonce: undefined }],
  ] as const) {
    it(`is refused with ${what}`, () => {
      assert.throws(() => claimsOfIdToken(encode({ ...claims, ...change }), expected), { code: 'protocol_error' });
    });
  }

  it('is refused when it cannot be read', () => {
    for (const text of ['', 'a.b', 'a.!.c', `a.${Buffer.from('null').toString('base64url')}.c`]) {
      assert.throws(() => claimsOfIdToken(text, expected), { code: 'protocol_error' });
    }
  });
});
