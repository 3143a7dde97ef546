/** Expansions that read the sender's line, which the routers leave in `$address_data`. */

export type Field = 'host' | 'helo' | 'tls' | 'user' | 'account' | 'oauth' | 'auth' | 'password' | 'users';

/** Expansion: the value of one field of the line, empty when the line has none. */
export function field(name: Field): string {
  return `\${extract{${name}}{$address_data}}`;
}

/** Expansion: what the broker is asked for. The routers append `account=` for lines that have none. */
export const ACCOUNT = field('account');
