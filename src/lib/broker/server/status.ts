/** What the broker says about itself. No secret in it. */
import { setImmediate as breathe } from 'node:timers/promises';
import type { Account } from '../../accounts/account.ts';
import { subjectOf } from '../../accounts/subject.ts';
import { iso, stateOfGrant, stateOfTrouble, type StateView } from '../../accounts/view.ts';
import { elapsedMs } from '../../os/monotonic.ts';
import type { CmsError } from '../../core/errors.ts';
import { refreshTokenLifetimes } from '../../providers/presets/refresh-token-lifetimes.ts';
import type { GrantHeader } from '../../vault/grant.ts';
import { forecast, type Forecast } from '../../tokens/forecast.ts';
import type { TokenService } from '../../tokens/service.ts';
import type { Trouble } from '../../tokens/troubles.ts';
import { isUnexpired } from '../../tokens/schedule.ts';
import type { Broker } from './broker.ts';
import type { AccountDirectory } from './directory.ts';
import type { SocketPolicy } from './policy.ts';
import { quoted } from '../../core/shell-word.ts';

export interface AccountStatus extends StateView {
  address: string;
  kind: Account['kind'];
  provider?: string;
  /** ISO 8601. */
  signed_in_at?: string;
  access_token_expires_at?: string;
  last_refresh_at?: string;
  last_asked_at?: string;
  /** When a person will have to sign in again; `at` is ISO 8601. */
  next_sign_in?: Omit<Forecast, 'at'> & { at?: string };
}

export interface SocketStatus {
  path: string;
  /** Octal. */
  mode: string;
  private: boolean;
  passwords: boolean;
  group?: string;
  protocols?: string[];
  accounts?: string[];
  users?: string[];
  /** Why it is not there. */
  error?: string;
  /** Commands that help there. */
  suggestions?: readonly string[];
}

export interface BrokerStatus {
  version: 1;
  broker: { pid: number; cms: string; started_at: string; requests: number; failures: number };
  sockets: SocketStatus[];
  accounts: AccountStatus[];
}

export interface StatusParts {
  version: string;
  startedAt: number;
  now: number;
  directory: AccountDirectory;
  broker: Broker;
  tokens: TokenService;
  sockets: readonly SocketPolicy[];
  missing: ReadonlyMap<string, CmsError>;
}

/** What the state of an account is told from. */
export type StateParts = Pick<StatusParts, 'now' | 'tokens'> & {
  broker: Pick<Broker, 'refusedSince' | 'reported'>;
};

/** Pure. */
export function brokerStatus(parts: StatusParts): BrokerStatus {
  return { ...statusOfBroker(parts), accounts: accountStatuses(parts.directory.all, parts) };
}

/** Accounts are told of for so long before others get a turn. */
const STRETCH_MS = 3;

/**
 * The same as JSON, written account by account: requests for tokens do not wait for ten thousand of them.
 * @param written what each piece of the text passes through
 */
export async function brokerStatusText(parts: StatusParts, written: (text: string) => string): Promise<string> {
  const { unstored } = parts.tokens;
  const pieces: string[] = [];
  let turn = elapsedMs();
  for (const account of parts.directory.all) {
    pieces.push(written(JSON.stringify(accountStatus(account, parts, unstored))));
    if (elapsedMs() - turn < STRETCH_MS) continue;
    await breathe();
    turn = elapsedMs();
  }
  const head = written(JSON.stringify(statusOfBroker(parts)));
  return `${head.slice(0, -1)},"accounts":[${pieces.join(',')}]}`;
}

function statusOfBroker(parts: StatusParts): Omit<BrokerStatus, 'accounts'> {
  const { broker, sockets, missing } = parts;
  return {
    version: 1,
    broker: {
      pid: process.pid,
      cms: parts.version,
      started_at: new Date(parts.startedAt).toISOString(),
      requests: broker.requests,
      failures: broker.failures,
    },
    sockets: [
      ...sockets.map(socketStatus),
      ...[...missing].map(([path, error]) => ({
        path,
        mode: '-',
        private: false,
        passwords: false,
        error: error.message,
        suggestions: error.suggestions,
      })),
    ],
  };
}

function accountStatuses(accounts: readonly Account[], parts: StatusParts): AccountStatus[] {
  const { unstored } = parts.tokens;
  return accounts.map((account) => accountStatus(account, parts, unstored));
}

/** The forecast as it is told; none for an app password, which no sign-in brought. */
export function nextSignIn(account: Account, grant: GrantHeader, now: number): Pick<AccountStatus, 'next_sign_in'> {
  if (account.kind === 'password') return {};
  const { at, ...rest } = forecast(grant, refreshTokenLifetimes(account.client.token_endpoint), now);
  return { next_sign_in: { ...rest, ...(at !== undefined && { at: iso(at) }) } };
}

function socketStatus(policy: SocketPolicy): SocketStatus {
  const { path, mode, passwords, group, protocols, accounts, users } = policy;
  return {
    path,
    mode: mode.toString(8).padStart(4, '0'),
    private: policy.private,
    passwords,
    ...(group !== undefined && { group }),
    ...(protocols && { protocols }),
    ...(accounts && { accounts }),
    ...(users && { users }),
  };
}

type Unstored = TokenService['unstored'];

function accountStatus(account: Account, parts: StatusParts, unstored: Unstored): AccountStatus {
  const { address, kind, provider } = account;
  const record = parts.tokens.known(address);
  const asked = parts.broker.lastAskedAt(address);
  return {
    address,
    kind,
    provider,
    ...stateOf(account, parts, unstored),
    ...(record !== undefined && { signed_in_at: iso(record.signed_in_at) }),
    ...(record?.expires_at !== undefined && { access_token_expires_at: iso(record.expires_at) }),
    ...(record?.issued_at !== undefined && { last_refresh_at: iso(record.issued_at) }),
    ...(asked > 0 && { last_asked_at: iso(asked) }),
    ...(record !== undefined && nextSignIn(account, record, parts.now)),
  };
}

/** How an account is doing. @param unstored what `parts.tokens.unstored` says, asked once for all accounts */
export function stateOf(account: Account, parts: StateParts, unstored: Unstored): StateView {
  const { address, kind } = account;
  const { tokens, broker, now } = parts;
  const record = tokens.known(address);
  const trouble = tokens.troubles.of(address);
  if (record === undefined && trouble !== undefined) return stateOfTrouble(address, trouble.error, trouble.since);
  const degradedSince = unstored.get(address);
  if (degradedSince !== undefined) return degraded(degradedSince);
  if (record === undefined) return { state: kind === 'password' ? 'ok' : 'unknown' };
  if (trouble !== undefined && record.state === 'active') return troubled(address, trouble);
  const refusedSince = broker.refusedSince(address);
  const view = stateOfGrant(record, subjectOf(account), true);
  if (view.state === 'ok' && refusedSince !== undefined) return refused(address, refusedSince);
  if (view.state !== 'ok' || kind === 'password' || isUnexpired(record, now)) return view;
  return { state: 'ok', reason: 'refreshed when asked for' };
}

/** The grant is known, and no new token comes of it. */
function troubled(address: string, { step, error, since }: Trouble): StateView {
  const view = stateOfTrouble(address, error, since);
  return step === 'read' || view.state === 'authorization_required' ? view : { ...view, state: 'failing' };
}

function degraded(since: number): StateView {
  return {
    state: 'degraded',
    code: 'io_error',
    reason: 'the newest grant is in memory only: it cannot be stored',
    since: iso(since),
    remedy: 'make room in the state folder, or let it be written to (df -h, ls -ld); it is then stored by itself',
  };
}

function refused(address: string, since: number): StateView {
  return {
    state: 'refused',
    code: 'access_denied',
    reason: 'the mail server refuses even a fresh token',
    since: iso(since),
    remedy: `cms account add ${quoted(address)}   # tries the login and shows the server's own words`,
  };
}
