/** Where a redirect points, for people: nothing is ever sent there (RFC 9700 section 4.12). Pure. */
import type { HttpHeaders } from '../http/http.ts';

const LONGEST = 200;

/** Scheme, host and path; the rest may hold a secret. @returns undefined for an answer that points nowhere */
export function targetOf(
  { status, headers }: { status: number; headers: HttpHeaders },
  from: string,
): string | undefined {
  const location = headers.get('location');
  if (status < 300 || status > 399 || location === undefined || !URL.canParse(location, from)) return undefined;
  const { protocol, host, pathname } = new URL(location, from);
  if (protocol !== 'https:' && protocol !== 'http:') return undefined;
  // Sessions are kept in parameters of a path, too.
  const [path = ''] = pathname.split(';');
  return `${protocol}//${host}${path}`.slice(0, LONGEST);
}
