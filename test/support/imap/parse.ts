/** What an IMAP client says, in parts. */

export interface Command {
  tag: string;
  /** In upper case. */
  name: string;
  args: string[];
}

/** Atoms and quoted strings, which is all that signing in takes. @see RFC 3501 section 4 */
export function parseLine(line: string): Command {
  const words = [...line.matchAll(/"((?:[^"\\]|\\.)*)"|[^\s"]+/g)].map(([word, quoted]) =>
    quoted === undefined ? word : quoted.replace(/\\(.)/g, '$1'),
  );
  const [tag = '*', name = '', ...args] = words;
  return { tag, name: name.toUpperCase(), args };
}

export interface Credentials {
  user: string;
  token: string;
  password: string;
}

/** @see RFC 4616 for PLAIN, RFC 7628 section 3.1 for OAUTHBEARER */
export function parseInitialResponse(mechanism: string, base64: string): Credentials {
  const response = Buffer.from(base64, 'base64').toString();
  if (mechanism === 'PLAIN') {
    const [, user = '', password = ''] = response.split('\0');
    return { user, token: '', password };
  }
  const fields = response.split('\x01');
  const token = valueOf(fields, 'auth=Bearer ');
  if (mechanism === 'XOAUTH2') return { user: valueOf(fields, 'user='), token, password: '' };
  const user = /^n,a=([^,]*),$/.exec(fields[0] ?? '')?.[1] ?? '';
  return { user: user.replaceAll('=2C', ',').replaceAll('=3D', '='), token, password: '' };
}

function valueOf(fields: readonly string[], prefix: string): string {
  return fields.find((field) => field.startsWith(prefix))?.slice(prefix.length) ?? '';
}
