/**
 * What a line of the smart-hosts file says, read as the routers read it: the expressions are written here once, for
 * exim's configuration and for the code that imitates exim. Pure.
 */
import type { MailServer } from '../../accounts/account.ts';

/** Expressions that exim (PCRE) and JavaScript read alike. Of `host=NAME::PORT` the name, and the port. */
const HOST = '^([A-Za-z0-9.-]+)(::\\d+)?$';
const PORT = '::(\\d+)$';
/** A port that is TLS from the first byte. */
const IMPLICIT_PORT = ':465$';

/** The address without what follows a +; in front of the address that stays. */
export const DETAIL = '^([^+"]+)\\+[^@]*@';

/** The variables of exim for all that follows the router `cms_fields`, as lines of its configuration. */
export const FIELDS = `  set = r_user = \${extract{user}{$address_data}}
  set = r_account = \${extract{account}{$address_data}{$value}{$r_user}}
  set = r_socket = \${extract{oauth}{$address_data}}
  set = r_auth = \${if or{{eq{$r_socket}{}}{eq{\${extract{auth}{$address_data}}}{password}}}{password}{token}}
  set = r_host = \${if match{\${extract{host}{$address_data}}}{\\N${HOST}\\N}{$1}}
  set = r_tls = \${if or{{eq{\${extract{tls}{$address_data}}}{implicit}}{match{\${extract{host}{$address_data}}}{\\N${IMPLICIT_PORT}\\N}}}\\
    {implicit}{starttls}}
  set = r_port = \${if match{\${extract{host}{$address_data}}}{\\N${PORT}\\N}{$1}{\${if eq{$r_tls}{implicit}{465}{587}}}}
  set = r_ask = SMTP,host=$r_host,port=$r_port
  set = r_users = \${extract{users}{$address_data}}`;

export interface LineFields {
  /** Empty where exim knows none. */
  host: string;
  /** As it is written: exim sends it so. */
  port: string;
  tls: MailServer['tls'];
  user: string;
  account: string;
  /** Empty without a broker. */
  socket: string;
  auth: 'password' | 'token';
  /** The local users that the line serves; all where it is empty. */
  users: string;
}

/** The same as `FIELDS`. @param fields of the line, as `fieldsOf` reads them */
export function lineFields(fields: ReadonlyMap<string, string>): LineFields {
  const read = (name: string): string => fields.get(name) ?? '';
  const [target, user, socket] = [read('host'), read('user'), read('oauth')];
  const host = new RegExp(HOST).exec(target)?.[1] ?? '';
  const tls = read('tls') === 'implicit' || target.endsWith(':465') ? 'implicit' : 'starttls';
  const port = new RegExp(PORT).exec(target)?.[1] ?? (tls === 'implicit' ? '465' : '587');
  return {
    ...{ host, port, tls, user, socket },
    account: fields.get('account') ?? user,
    auth: socket === '' || read('auth') === 'password' ? 'password' : 'token',
    users: read('users'),
  };
}

export type RequestFields = Pick<LineFields, 'host' | 'port' | 'auth' | 'account'>;

/** The request of the authenticators for what the login takes, `r_ask` and all; `ready` is that of the routers. */
export function brokerRequest({ host, port, auth, account }: RequestFields, ready = false): string {
  return `SMTP,host=${host},port=${port}${auth === 'password' ? ',password' : ''}${ready ? ',ready' : ''} ${account}`;
}

/** In bytes: the broker takes 512 with an end of line, and exim sends none. */
export const LONGEST_REQUEST = 511;

/** Bytes of the longest request that exim makes for a line: `refused`, of tokens alone, has the longest word. */
export function longestRequest(line: RequestFields): number {
  const longer = line.auth === 'token' ? ',refused'.length - ',ready'.length : 0;
  return Buffer.byteLength(brokerRequest(line, true)) + longer;
}

// What is put into an expansion for exim -be must mean itself there.
const PLAIN = /^[A-Za-z0-9!%&'+/=?^_`|~.@-]*$/;

/** The request as an expansion of exim; undefined for a line with characters that cms does not write. */
export function requestExpansion(line: LineFields, ready = false): string | undefined {
  if (![line.account, line.socket].every((value) => PLAIN.test(value))) return undefined;
  return `\${readsocket{${line.socket}}{${brokerRequest(line, ready)}}{20s}}`;
}
