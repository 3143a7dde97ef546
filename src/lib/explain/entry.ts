/** The vocabulary of the catalogue: what a provider or mail server said, what it means, and who can fix it. */

/** Who said it. `tls` and `net` are a connection that came to nothing, `token` is a token that exists but is no good. */
export type Source = 'oauth' | 'smtp' | 'imap' | 'pop' | 'tls' | 'net' | 'token';

export type ExplanationClass =
  | 'sign in again'
  | 'extra check'
  | 'consent'
  | 'administrator'
  | 'account'
  | 'client configuration'
  | 'transient'
  | 'back off'
  | 'unknown';

export type Who = 'you' | 'administrator' | 'client owner' | 'nobody: wait';

/** One cause. Names in braces in `sentence`, `fix` and `admin` are filled in; see `fill`. */
export interface Entry {
  id: string;
  sources: readonly Source[];
  match: Match;
  class: ExplanationClass;
  who: Who;
  /** What it means: one clause in ASCII, lower case, no full stop, to stand inside a message as well as alone. */
  sentence: string;
  /** Commands and steps, the most likely fix first. */
  fix: readonly string[];
  link?: string;
  /** What an administrator is asked for, where it takes one. */
  admin?: { subject: string; request: readonly string[] };
  /**
   * What such an error of the token endpoint makes of a grant; without it, nothing: the failure is temporary. Only for
   * errors that are matched by their code alone, and not for what passes by itself. @see RFC 6749 section 5.2
   */
  grant?: 'authorization_required' | 'client_invalid';
  /** The words as they come, one line; tests hold that they lead here. */
  example: string;
}

/** All that is given has to fit. */
interface Match {
  /** The `error` of RFC 6749. */
  errors?: readonly string[];
  /** Numbers of Microsoft's AADSTS codes. */
  aadsts?: readonly number[];
  /** Looked for in code and words together. */
  words?: RegExp;
  /** The server names a scope that the token has not. */
  missingScope?: true;
  /** What was presented at the login. */
  credential?: 'token' | 'password';
  /** Days between sign-in and refusal, both included. */
  age?: readonly [number, number];
}

/** Whether waiting is all that it takes. */
export function passesByItself({ class: kind, who }: Pick<Entry, 'class' | 'who'>): boolean {
  return kind === 'transient' || kind === 'back off' || who === 'nobody: wait';
}

/** An entry that holds for one OAuth error code whatever else is said. */
export function isPlain({ match }: Entry): boolean {
  return match.errors !== undefined && Object.keys(match).length === 1;
}
