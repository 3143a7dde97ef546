/**
 * The lines of exim's smart-hosts file (an lsearch file): which server, user and socket belong to a sender. This is the
 * only place where account data meets exim, so every value is checked against a narrow grammar before it is written: a
 * newline, blank or quote would add fields or whole entries.
 */
import type { Account, MailServer } from '../../accounts/account.ts';
import { domainOf, parseAddress, parseDomain, parseLoginName } from '../../accounts/address.ts';
import { CmsError } from '../../core/errors.ts';
import { DETAIL, LONGEST_REQUEST, longestRequest } from '../render/line-fields.ts';
import { socketPath } from '../render/options.ts';
import { quoted } from '../../core/shell-word.ts';

export interface SmartHost {
  /** An address, a domain, or `*`. */
  key: string;
  server: MailServer;
  /** What SASL says. */
  user: string;
  /** What the broker is asked for. */
  account: string;
  /** Socket of the broker. */
  oauth: string;
  /** The broker hands out an app password for this account, not a token. */
  auth?: 'password';
}

export interface SmartHostsRequest {
  socket: string;
  /** The account for root, cron, bounces and unknown senders; no `*` line when absent. */
  defaultAddress?: string;
}

export interface SmartHosts {
  lines: SmartHost[];
  /** What was left out and why, for people. */
  remarks: string[];
}

// Besides the address grammar's own set nothing is needed: names of hosts and users, sockets.
const VALUE = /^[A-Za-z0-9!%&'+/=?^_`|~.@-]+$/;
const KEY = /^(?:\*|[a-z0-9!%&'+/=?^_`|~.@-]+)$/;

/**
 * The lines for all accounts that can send: each address, then the aliases, then `*` for the default account.
 * @throws CmsError `account_unknown`, `config_invalid` for a default account that is not there or cannot send;
 *   `data_invalid` for a value that cannot be written safely
 */
export function smartHostsOf(accounts: readonly Account[], request: SmartHostsRequest): SmartHosts {
  const socket = socketPath(request.socket);
  const remarks: string[] = [];
  const lines = new Map<string, SmartHost>();
  const add = (key: string, account: Account, server: MailServer): void => {
    const other = lines.get(key);
    if (other === undefined) lines.set(key, smartHost(key, account, server, socket));
    else if (other.account !== account.address)
      remarks.push(`${key} is left to ${other.account}, not given to ${account.address}`);
  };
  const able = ableAccounts(accounts, remarks);
  for (const { account, server } of able) add(account.address, account, server);
  for (const { account, server } of able) {
    for (const alias of account.aliases) add(alias.replace(/^@/, ''), account, server);
  }
  if (request.defaultAddress !== undefined) {
    lines.set('*', { ...defaultLine(lines, accounts, request.defaultAddress), key: '*' });
  }
  return { lines: [...lines.values()], remarks };
}

/** The accounts that can send, each with its server. @param remarks takes what was left out and why */
export function ableAccounts(
  accounts: readonly Account[],
  remarks: string[] = [],
): { account: Account; server: MailServer }[] {
  return accounts.flatMap((account) => {
    const server = sendingServer(account);
    if (typeof server !== 'string') return [{ account, server }];
    remarks.push(`${account.address} is left out: ${server}`);
    return [];
  });
}

/** The server that takes the account's mail, or why there is none. */
function sendingServer(account: Account): MailServer | string {
  if (!account.protocols.includes('smtp'))
    return `it is not for sending; cms account add ${quoted(account.address)} --protocol smtp`;
  return account.servers.smtp ?? `it has no SMTP server; cms account add ${quoted(account.address)} --smtp-host NAME`;
}

/** The line of the default account, which may be named by an alias. */
function defaultLine(lines: ReadonlyMap<string, SmartHost>, accounts: readonly Account[], text: string): SmartHost {
  const address = parseAddress(text);
  const line = lines.get(address) ?? lines.get(domainOf(address));
  if (line !== undefined) return line;
  const account = accounts.find((one) => one.address === address);
  if (account !== undefined) throw cannotSend(account);
  throw new CmsError('account_unknown', `no account ${address} for the default line`, {
    suggestions: ['cms account list', `cms account add ${quoted(address)}`],
  });
}

function cannotSend(account: Account): CmsError {
  return new CmsError('config_invalid', `${account.address} cannot be the default: it cannot send`, {
    suggestions: [`cms account add ${quoted(account.address)} --protocol smtp`],
  });
}

function smartHost(key: string, account: Account, server: MailServer, oauth: string): SmartHost {
  const { address, smtp_user: user, kind } = account;
  return { key, server, user, account: address, oauth, ...(kind === 'password' && { auth: 'password' as const }) };
}

/**
 * One line of the file. `account=` is written where it differs from `user=`, `tls=` where it is implicit.
 * @throws CmsError `data_invalid` for a value outside the grammar, and for names so long that the broker would not
 *   answer what exim asks
 */
export function renderSmartHost(line: SmartHost): string {
  const { key, server, user, account, oauth, auth } = line;
  requireAskable(line);
  const fields = [
    `host=${hostName(server.host)}::${port(server.port)}`,
    ...(server.tls === 'implicit' ? ['tls=implicit'] : []),
    `user=${value(parseLoginName(user))}`,
    ...(account === user ? [] : [`account=${value(parseAddress(account))}`]),
    `oauth=${socketPath(oauth)}`,
    ...(auth === undefined ? [] : ['auth=password']),
  ];
  return `${lookupKey(key)}: ${fields.join(' ')}`;
}

function requireAskable({ key, server, account, auth }: SmartHost): void {
  const bytes = longestRequest({ host: server.host, port: `${server.port}`, account, auth: auth ?? 'token' });
  if (bytes <= LONGEST_REQUEST) return;
  throw new CmsError(
    'data_invalid',
    `the line of ${key} would make exim ask the broker with ${bytes} bytes, and it takes ${LONGEST_REQUEST}: the address ${account} and the server ${server.host} are too long together`,
    { suggestions: [`cms account add ${quoted(account)} --smtp-host NAME   # a shorter name of the server`] },
  );
}

function hostName(host: string): string {
  return value(parseDomain(host));
}

function port(number: number): number {
  if (Number.isInteger(number) && number > 0 && number < 65536) return number;
  throw new CmsError('data_invalid', `not a port: ${number}`);
}

function lookupKey(key: string): string {
  if (!KEY.test(key)) throw unsafe(key);
  if (key === '*') return key;
  return key.includes('@') ? parseAddress(key) : parseDomain(key);
}

function value(text: string): string {
  if (!VALUE.test(text)) throw unsafe(text);
  return text;
}

function unsafe(text: string): CmsError {
  return new CmsError('data_invalid', `cannot stand in exim's smart-hosts file: ${JSON.stringify(text.slice(0, 80))}`);
}

/** The keys under which exim looks for a sender's line, in its order. `<>` has an empty sender. */
export function lookupKeys(sender: string): string[] {
  const lower = sender.toLowerCase();
  if (lower === '') return ['*'];
  return [...new Set([lower, lower.replace(new RegExp(DETAIL), '$1@'), domainOf(lower), '*'])];
}
