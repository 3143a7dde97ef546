/** What `cms token` is asked for, and how the answer is printed. Pure. */
import { parseArgs } from 'node:util';
import { oneOf, parsed, usage } from './arguments.ts';
import type { Protocol } from '../../lib/accounts/account.ts';
import { parseAddress } from '../../lib/accounts/address.ts';
import type { TokenAnswer } from '../../lib/broker/wire.ts';
import { base64, oauthbearer, xoauth2 } from '../../lib/core/sasl.ts';

const OUTPUTS = ['token', 'xoauth2', 'xoauth2-b64', 'oauthbearer', 'oauthbearer-b64', 'json', 'password'] as const;
type Output = (typeof OUTPUTS)[number];
const PROTOCOL_NAMES: readonly Protocol[] = ['smtp', 'imap', 'pop'];

export interface TokenArguments {
  address: string;
  output: Output;
  protocol: Protocol;
  minValiditySeconds?: number;
  forceRefresh: boolean;
  newline: boolean;
  host?: string;
  port?: number;
}

/** @throws CmsError `usage`, `data_invalid` */
export function parseTokenArguments(argv: readonly string[]): TokenArguments {
  const { values, positionals } = parse(argv);
  const [address, ...more] = positionals;
  if (address === undefined || more.length > 0) throw usage('token', 'give one address');
  const port = values.port === undefined ? undefined : wholeNumber('--port', values.port, 65_535);
  const minimum = values['min-validity'];
  return {
    address: parseAddress(address),
    output: oneOf('token', '--output', values.output ?? (values.json ? 'json' : 'token'), OUTPUTS),
    protocol: oneOf('token', '--protocol', values.protocol ?? 'smtp', PROTOCOL_NAMES),
    forceRefresh: values['force-refresh'] ?? false,
    newline: !values['no-newline'],
    ...(minimum !== undefined && { minValiditySeconds: wholeNumber('--min-validity', minimum, 999_999) }),
    ...(values.host !== undefined && { host: hostName(values.host) }),
    ...(port !== undefined && { port }),
  };
}

function parse(argv: readonly string[]) {
  return parsed('token', () =>
    parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        output: { type: 'string', short: 'o' },
        protocol: { type: 'string' },
        'min-validity': { type: 'string' },
        'no-newline': { type: 'boolean' },
        'force-refresh': { type: 'boolean' },
        host: { type: 'string' },
        port: { type: 'string' },
        json: { type: 'boolean' },
      },
    }),
  );
}

/** The token in the form that was asked for, without a newline. */
export function render({ output, host, port }: TokenArguments, answer: TokenAnswer): string {
  const { user } = answer;
  const access_token = answer.access_token.reveal();
  const target = { ...(host !== undefined && { host }), ...(port !== undefined && { port }) };
  switch (output) {
    case 'token':
    case 'password':
      return access_token;
    case 'xoauth2':
      return xoauth2(user, access_token);
    case 'xoauth2-b64':
      return base64(xoauth2(user, access_token));
    case 'oauthbearer':
      return oauthbearer(user, access_token, target);
    case 'oauthbearer-b64':
      return base64(oauthbearer(user, access_token, target));
    case 'json':
      return JSON.stringify({
        access_token,
        token_type: 'Bearer',
        expires_at: Math.floor(answer.expires_at / 1000),
        user,
      });
  }
}

function wholeNumber(flag: string, text: string, most: number): number {
  if (/^\d{1,6}$/.test(text) && Number(text) <= most) return Number(text);
  throw usage('token', `${flag} takes a whole number up to ${most}`);
}

function hostName(text: string): string {
  if (/^[A-Za-z0-9.-]{1,253}$/.test(text)) return text;
  throw usage('token', '--host takes the name of a host');
}
