/** The person in front of the browser, scripted. The work is done in plain JavaScript, see browser-person.mjs. */
import { fileURLToPath } from 'node:url';
import { visit } from './browser-person.mjs';
import type { Person, Visit } from './browser-person.mjs';

export type { Person, Visit } from './browser-person.mjs';

/** An executable for `$BROWSER`: signs in as CMS_TEST_LOGIN and answers the consent page with CMS_TEST_CONSENT. */
export const BROWSER_PERSON = fileURLToPath(new URL('browser-person.mjs', import.meta.url));

/** Signs in and decides on the consent page; by default also fetches the callback, whose page is then in `body`. */
export function signIn(authorizationUrl: string, person: Person): Promise<Visit> {
  return visit(authorizationUrl, person);
}

/** Signs in up to the redirect and returns the callback's address unvisited, as a person pastes it. */
export async function signInForCallbackUrl(authorizationUrl: string, person: Person): Promise<string> {
  const { finalUrl } = await visit(authorizationUrl, { ...person, callback: 'stop' });
  return finalUrl;
}

/** Types the user code, signs in, decides. @see RFC 8628 section 3.3 */
export function approveDevice(verificationUri: string, userCode: string, person: Person): Promise<Visit> {
  return visit(verificationUri, { ...person, userCode });
}
