/** The SASL mechanisms of exim's configuration and of every login that imitates exim. Pure. */

export type Mechanism = 'XOAUTH2' | 'OAUTHBEARER' | 'PLAIN' | 'LOGIN';

/** In the order of the authenticators: exim uses the first one that the server offers. */
export const TOKEN_MECHANISMS: readonly Mechanism[] = ['XOAUTH2', 'OAUTHBEARER'];
export const PASSWORD_MECHANISMS: readonly Mechanism[] = ['PLAIN', 'LOGIN'];

/** In exim's PLAIN a password cannot begin with ^, which stands for NUL there. */
export function passwordMechanisms(password: string): readonly Mechanism[] {
  return password.startsWith('^') ? ['LOGIN'] : PASSWORD_MECHANISMS;
}

/**
 * The mechanisms that a server offers in its answer to EHLO, as exim reads it: the first AUTH line with a blank after
 * the word, and none where that line holds anything but names.
 * @see RFC 4954 section 3; AUTHS_REGEX of exim's smtp transport
 */
export function offeredMechanisms(ehlo: string): string[] {
  const names = /\n250[ -]AUTH[ \t]+([-\w \t]+)(?:\r?\n|$)/.exec(ehlo)?.[1] ?? '';
  return names.split(/[ \t]+/).flatMap((name) => (name === '' ? [] : [name.toUpperCase()]));
}

export function commonMechanisms(offered: readonly string[], spoken: readonly Mechanism[]): Mechanism[] {
  return spoken.filter((mechanism) => offered.includes(mechanism));
}

/** Why exim cannot log in at all; one clause. */
export function noCommonMechanism(offered: readonly string[], spoken: readonly Mechanism[]): string {
  const theirs = offered.length === 0 ? 'no login' : `logins by ${offered.join(', ')}`;
  const credential = spoken === TOKEN_MECHANISMS ? 'a token' : 'a password';
  return `no common login mechanism: the server offers ${theirs}; exim uses ${spoken.join(' or ')} for ${credential}`;
}
