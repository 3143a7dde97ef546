/**
 * What the keyring means by its messages. The binding has one error class and one code for everything, so the text is
 * all there is to go by; this file is the only place that looks at it.
 */
import { CmsError } from '../../core/errors.ts';

export type KeyringErrorKind = 'unavailable' | 'locked' | 'dismissed' | 'missing' | 'denied' | 'timeout';

/** First match wins: the Secret Service wraps one message into another. */
const KINDS: readonly [RegExp, KeyringErrorKind][] = [
  [/prompt was dismissed|user canceled|user interaction is not allowed/i, 'dismissed'],
  [/IsLocked|\blocked (?:object|collection|item)\b/i, 'locked'],
  [/AccessDenied|access denied|not authorized|authorization/i, 'denied'],
  [/did not receive a reply|timed? ?out/i, 'timeout'],
  [/NoEntry|no matching entry|NoSuchObject/i, 'missing'],
];

/** The kind of failure that a message of the keyring's tells of; what is not known is `unavailable`. */
export function keyringErrorKind(message: string): KeyringErrorKind {
  return KINDS.find(([pattern]) => pattern.test(message))?.[1] ?? 'unavailable';
}

/** A failure of the keyring. Its message is the keyring's own; no secret was part of it. */
export class KeyringError extends Error {
  override readonly name = 'KeyringError';
  readonly kind: KeyringErrorKind;

  constructor(kind: KeyringErrorKind, message: string) {
    super(message);
    this.kind = kind;
  }
}

const ON_A_LOCKED_ONE = [
  'cms unlock',
  'cms store move file   # once it is unlocked: for hosts without a desktop login',
];

/**
 * A keyring's failure as `store_locked` (a person has to unlock it) or `store_unavailable`.
 * Anything else is passed through.
 */
export function keyringFailure(error: unknown): unknown {
  if (!(error instanceof KeyringError)) return error;
  switch (error.kind) {
    case 'locked':
      return new CmsError('store_locked', 'the keyring is locked', { suggestions: ON_A_LOCKED_ONE, cause: error });
    case 'dismissed':
      return new CmsError(
        'store_locked',
        'the keyring stays locked: the prompt to unlock it was dismissed or could not be shown',
        {
          suggestions: [
            ...ON_A_LOCKED_ONE,
            'gnome-keyring-daemon --replace --unlock --components=secrets   # on a host without a desktop; reads the password from stdin',
          ],
          cause: error,
        },
      );
    case 'missing':
      return new CmsError('store_unavailable', 'the keyring has no item of service cms, user vault-key', {
        suggestions: ['secret-tool search service cms', GIVE_UP_KEY],
        cause: error,
      });
    case 'timeout':
      return unreachable(`the keyring does not answer (${error.message})`, error);
    case 'denied':
      return unreachable(`the keyring refuses access (${error.message})`, error);
    case 'unavailable':
      return unreachable(`the keyring cannot be reached (${error.message})`, error, [BROKER_OF_THE_SESSION]);
  }
}

/** Where the keyring is not to be had. */
export const IN_THE_SESSION = 'run it in your desktop session, where DBUS_SESSION_BUS_ADDRESS is set';

/** Where a key is lost for good. */
export const GIVE_UP_KEY =
  'cms account add ADDRESS --store file   # gives the lost key up: every account has to sign in again';

/** cron, timers and other logins need no keyring where the broker of the session answers them. */
const BROKER_OF_THE_SESSION =
  'cms service install --now --linger   # in your desktop session: the broker then serves cron and timers as well';

function unreachable(message: string, cause: KeyringError, first: readonly string[] = []): CmsError {
  return new CmsError('store_unavailable', message, {
    suggestions: [...first, IN_THE_SESSION, 'cms store move file   # there, for hosts without a desktop login'],
    cause,
  });
}
