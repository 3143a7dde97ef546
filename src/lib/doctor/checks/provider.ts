/** The way to the authorization server: name, addresses, TLS, proxy, answer, clock. */
import { lookup } from 'node:dns/promises';
import { connect, isIP } from 'node:net';
import { type Account, type OAuthAccount } from '../../accounts/account.ts';
import { parseEndpoint } from '../../core/endpoint.ts';
import { CmsError, systemErrorCode, toCmsError } from '../../core/errors.ts';
import { clockAheadSeconds, type HttpAnswer, NoAnswer, request } from '../../oauth/http/http.ts';
import { IPV6_ALONE, troubleOf } from '../../oauth/http/network-error.ts';
import { proxyFor, proxyName } from '../../oauth/http/proxy.ts';
import { because, failed, failure, isBroken, type Judgement, keyOf, ok, skipped, warning } from '../check.ts';
import type { Step } from '../run-checks.ts';
import { quoted } from '../../core/shell-word.ts';

/** Accounts of one authorization server share its checks. */
export interface Endpoint {
  url: URL;
  caFile: string | undefined;
  /** `host:port`, unless another endpoint is called so as well. */
  subject: string;
}

export interface Attempt {
  address: string;
  family: number;
  /** Milliseconds that it took. */
  ms: number;
  /** The system's error code; absent when the connection was made. */
  error?: string;
}

/** More addresses than these say nothing more. */
const ADDRESSES_OF_A_FAMILY = 2;
const CONNECT_TIMEOUT_MS = 4000;
/** Clocks on the network differ by less. */
const CLOCK_WARNING_SECONDS = 60;
/** Beyond it an id_token is refused at sign-in, and a token is served after its end. */
const CLOCK_FAILURE_SECONDS = 300;

/** Of the accounts whose token endpoint is one; for the others see `endpointSteps`. */
export function endpointsOf(accounts: readonly Account[]): Map<string, Endpoint> {
  const endpoints = new Map<string, Endpoint>();
  for (const account of accounts) {
    const url = account.kind === 'oauth' ? tokenEndpointOf(account) : undefined;
    if (account.kind !== 'oauth' || url === undefined) continue;
    const same = [...endpoints.values()].filter(({ subject }) => subject.startsWith(url.host)).length;
    const key = endpointKey(account);
    if (endpoints.has(key)) continue;
    endpoints.set(key, {
      url,
      caFile: account.client.ca_file,
      subject: `${url.host}${same === 0 ? '' : ` (${same + 1})`}`,
    });
  }
  return endpoints;
}

/** Empty where nothing can be sent to the token endpoint. */
export function endpointKey(account: OAuthAccount): string {
  const url = tokenEndpointOf(account);
  return url === undefined ? '' : `${url.origin} ${account.client.ca_file ?? ''}`;
}

function tokenEndpointOf({ client }: OAuthAccount): URL | undefined {
  try {
    return parseEndpoint(client.token_endpoint, 'token endpoint');
  } catch {
    return undefined;
  }
}

const ENDPOINTS = [
  'token_endpoint',
  'authorization_endpoint',
  'device_authorization_endpoint',
  'revocation_endpoint',
  'userinfo_endpoint',
] as const;

/** A check that fails for each account with an endpoint that nothing can be sent to, as after a slip by hand. */
export function endpointSteps(accounts: readonly Account[], accountsFile: string): Step[] {
  return accounts.flatMap((account): Step[] => {
    const error = account.kind === 'oauth' ? endpointFault(account) : undefined;
    if (error === undefined) return [];
    const fix = [`edit ${accountsFile}`, `cms account add ${quoted(account.address)}   # or sign in again`];
    const look = (): Promise<Judgement> => Promise.resolve(failure(error.code, error.message, { fix }));
    return [{ id: ENDPOINT_ID, subject: account.address, look }];
  });
}

export const ENDPOINT_ID = 'provider.endpoint';

function endpointFault({ client }: OAuthAccount): CmsError | undefined {
  for (const name of ENDPOINTS) {
    const url = client[name];
    try {
      if (url !== undefined) parseEndpoint(url, name.replaceAll('_', ' '));
    } catch (error) {
      return toCmsError(error);
    }
  }
  return undefined;
}

export function providerSteps(endpoint: Endpoint, needs: readonly string[], now: () => number): Step[] {
  const { url, caFile, subject } = endpoint;
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  let addresses: { address: string; family: number }[] = [];
  let answer: HttpAnswer | undefined;
  const [name, connection, answered] = ['provider.name', 'provider.connection', 'provider.answer'].map((id) =>
    keyOf({ id, subject }),
  ) as [string, string, string];
  return [
    {
      id: 'provider.name',
      subject,
      needs,
      look: async () => {
        if ((await Promise.resolve(proxyFor(url))) !== undefined) return skipped('the proxy looks the name up');
        if (isIP(host) !== 0) {
          addresses = [{ address: host, family: isIP(host) }];
          return ok('is an address');
        }
        try {
          addresses = await lookup(host, { all: true });
          return ok([...new Set(addresses.map(({ address }) => address))].join(', '));
        } catch (error) {
          return failed(unreached(host, error));
        }
      },
    },
    {
      id: 'provider.connection',
      subject,
      needs: [name],
      look: async () => {
        const proxy = await Promise.resolve(proxyFor(url));
        if (proxy !== undefined) return skipped(`through ${proxyName(proxy)}`);
        const port = Number(url.port || (url.protocol === 'https:' ? 443 : 80));
        const attempts = await Promise.all(chosen(addresses).map((each) => attempt(each, port, now)));
        return judgeAttempts(attempts, { host, first: addresses[0]?.family });
      },
    },
    {
      id: 'provider.answer',
      subject,
      needs: [name, connection],
      limitMs: 12_000,
      look: async () => {
        const began = now();
        try {
          answer = await request(url.href, { caFile });
        } catch (error) {
          if (!(error instanceof NoAnswer)) throw error;
          return failure('temporarily_unavailable', `cannot reach ${error.message}`, { fix: error.suggestions });
        }
        return judgeAnswer(answer.status, Math.round(now() - began));
      },
    },
    {
      id: 'provider.clock',
      subject,
      after: [answered],
      look: async (result) => {
        const before = result(answered);
        if (isBroken(before)) return because(before);
        return Promise.resolve(judgeClock(answer && clockAheadSeconds(answer.headers, now())));
      },
    },
  ];
}

/** Any answer proves TLS, the proxy and the way; nothing was asked for. Pure. */
function judgeAnswer(status: number, ms: number): Judgement {
  if (status < 500) return ok(`answers in ${ms} ms`);
  return warning(`answers ${status}: it has a problem at the moment`, {
    fix: ['wait, then: cms doctor'],
    who: 'nobody: wait',
  });
}

/** @param ahead seconds by which this clock is ahead. Pure. */
export function judgeClock(ahead: number | undefined): Judgement {
  if (ahead === undefined) return skipped('its answer has no date');
  const off = Math.abs(ahead);
  const summary = `the clock of this machine is ${off} s ${ahead > 0 ? 'ahead of' : 'behind'} the provider's`;
  const fix = ['sudo timedatectl set-ntp true', 'timedatectl   # shows whether the clock is kept right'];
  if (off > CLOCK_FAILURE_SECONDS)
    return failure('config_invalid', summary, { cause: 'tokens are taken for fresh or stale at the wrong time', fix });
  return off > CLOCK_WARNING_SECONDS ? warning(summary, { fix }) : ok(`within ${off} s of the provider's`);
}

/**
 * A family that leads nowhere immediately does no harm; one that is silent and comes first is waited for at each
 * connection. Pure.
 */
export function judgeAttempts(
  attempts: readonly Attempt[],
  { host, first: preferred }: { host: string; first: number | undefined },
): Judgement {
  const told = attempts.map(
    ({ address, family, ms, error }) =>
      `IPv${family} ${address}: ${error === undefined ? `${ms} ms` : troubleOf(coded(error)).reason}`,
  );
  const said = told.join('; ');
  const reached = attempts.filter(({ error }) => error === undefined);
  if (reached.length === 0) {
    const [first] = attempts;
    const alone = attempts.every(({ family }) => family === 6);
    const usual = first?.error === undefined ? [] : troubleOf(coded(first.error)).suggestions;
    const fix = (alone ? IPV6_ALONE : usual).map((line) => line.replace('HOST', host));
    return failure('temporarily_unavailable', `no connection: ${said}`, { fix });
  }
  const silent = attempts.find(({ family, error }) => family === preferred && error === 'ETIMEDOUT');
  if (silent === undefined) return ok(said);
  return warning(`IPv${silent.family} leads nowhere: ${said}`, {
    cause: `each connection waits a second for ${silent.address} first`,
    fix: [
      `ip -${silent.family} route   # is there a route? fix it, or stop what announces one`,
      ...(silent.family === 6 ? [IPV4_FIRST] : []),
    ],
    who: 'root',
  });
}

/** @see gai.conf(5) */
const IPV4_FIRST = "echo 'precedence ::ffff:0:0/96 100' | sudo tee -a /etc/gai.conf   # IPv4 first, until then";

function chosen<T extends { family: number }>(addresses: readonly T[]): T[] {
  return [4, 6].flatMap((family) => addresses.filter((each) => each.family === family).slice(0, ADDRESSES_OF_A_FAMILY));
}

function attempt(
  { address, family }: { address: string; family: number },
  port: number,
  now: () => number,
): Promise<Attempt> {
  const began = now();
  return new Promise((resolve) => {
    const socket = connect({ host: address, port });
    const end = (error?: string): void => {
      socket.destroy();
      resolve({ address, family, ms: Math.round(now() - began), ...(error !== undefined && { error }) });
    };
    socket.setTimeout(CONNECT_TIMEOUT_MS, () => end('ETIMEDOUT'));
    socket.once('connect', () => end());
    socket.once('error', (error) => end(systemErrorCode(error) ?? error.message));
  });
}

function unreached(host: string, error: unknown): CmsError {
  const { reason, suggestions } = troubleOf(error);
  const fix = suggestions.map((line) => line.replace('HOST', host));
  return new CmsError('temporarily_unavailable', `${host}: ${reason}`, { suggestions: fix, cause: error });
}

function coded(code: string): Error {
  return Object.assign(new Error(code), { code });
}
