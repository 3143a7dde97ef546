import assert from 'node:assert/strict';
import { CmsError } from '../../../../src/lib/core/errors.ts';
import { KeyringError, keyringErrorKind, keyringFailure } from '../../../../src/lib/vault/keyring/keyring-errors.ts';

/** As the binding said them, word for word. */
const MESSAGES = [
  ["Couldn't access platform storage: Secret Service: unlock prompt was dismissed", 'dismissed'],
  ['zbus error: org.freedesktop.Secret.Error.IsLocked: Cannot get secret of a locked object', 'locked'],
  ["Couldn't access platform storage: Secret Service: no result found", 'unavailable'],
  ['Platform failure: DBus error: Using X11 for dbus-daemon autolaunch was disabled at compile time', 'unavailable'],
  ['Platform failure: DBus error: Failed to connect to socket /nonexist: No such file or directory', 'unavailable'],
  ['DBus error: The session does not exist', 'unavailable'],
  ['The session wrapping the secret does not exist', 'unavailable'],
  ['DBus error: Connection is closed', 'unavailable'],
  ['Connection was disconnected before a reply was received', 'unavailable'],
  ['no secret service provider or dbus session found', 'unavailable'],
  ['DBus error: Did not receive a reply. Possible causes include: the remote application did not send', 'timeout'],
  ['AccessDenied', 'denied'],
  ['something nobody has seen yet', 'unavailable'],
] as const;

describe('the messages of the keyring', () => {
  for (const [message, kind] of MESSAGES) {
    it(`"${message}" means ${kind}`, () => assert.equal(keyringErrorKind(message), kind));
  }

  it('become store_locked only where unlocking helps, each with a way out', () => {
    const codes = (['locked', 'dismissed', 'missing', 'denied', 'timeout', 'unavailable'] as const).map((kind) => {
      const failure = keyringFailure(new KeyringError(kind, 'why'));
      assert.ok(failure instanceof CmsError);
      assert.ok(failure.suggestions.length > 0);
      return failure.code;
    });
    const unavailable = 'store_unavailable';
    assert.deepEqual(codes, ['store_locked', 'store_locked', unavailable, unavailable, unavailable, unavailable]);
  });

  it('pass other errors through', () => {
    const other = new Error('not the keyring');
    assert.equal(keyringFailure(other), other);
  });
});
