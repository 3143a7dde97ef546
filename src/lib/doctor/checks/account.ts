/** The links of one account: token, scopes, audience, logins. */
import type { Account, Protocol } from '../../accounts/account.ts';
import { subjectOf } from '../../accounts/subject.ts';
import type { Context } from '../../context.ts';
import type { Credential } from '../../account-test/login.ts';
import { type CmsError, toCmsError } from '../../core/errors.ts';
import { explain, type Explanation, fromWords } from '../../explain/explain.ts';
import { explainReason } from '../../explain/grant.ts';
import type { Secret } from '../../core/secret.ts';
import type { GrantHeader } from '../../vault/grant.ts';
import { type ProtocolTest, testAccount, usernameAt } from '../../account-test/account-test.ts';
import { codeOfClass } from '../../account-test/verdict.ts';
import { neverSignedIn } from '../../tokens/failures.ts';
import { authorizationRequired } from '../../tokens/refusals.ts';
import { answers, DEFAULT_MIN_VALIDITY_SECONDS } from '../../tokens/schedule.ts';
import {
  type Actor,
  because,
  failed,
  failure,
  isBroken,
  type Judgement,
  keyOf,
  ok,
  skipped,
  warning,
} from '../check.ts';
import { judgeAudience, judgeScopes, type MissingScope, missingScopes } from './scopes.ts';
import type { Step } from '../run-checks.ts';
import { quoted } from '../../core/shell-word.ts';

/** How tokens and passwords are had: from the broker, else done here, as `cms token` does. */
export interface TokenPorts {
  obtainToken: (request: { address: string; protocol: Protocol; forceRefresh: boolean }) => Promise<Secret>;
  obtainPassword: (request: { address: string; protocol: Protocol }) => Promise<Secret>;
}

export interface AccountLook {
  context: Context;
  account: Account;
  ports: TokenPorts;
  /** Exchange although the token at hand may be good. */
  refresh: boolean;
  brokerRuns: boolean;
  /** Why a broker that is there gives no answer, to this command as little as to any other. */
  brokerError: CmsError | undefined;
  /** Keys of checks: of the files, of the vault key, and of the provider's answer where there is one. */
  files: readonly string[];
  key: string;
  provider: string | undefined;
  now: () => number;
}

/** What the checks of one account hand on to each other. */
interface Known {
  credential?: Credential;
  missing: readonly MissingScope[];
  /** Logins that were made to see whether the token at hand is good. */
  tests: Map<Protocol, ProtocolTest>;
}

/** A broker waits for a slow provider for so long; after it nothing is to be expected. */
const TOKEN_LIMIT_MS = 25_000;
const LOGIN_LIMIT_MS = 20_000;

export function accountSteps(look: AccountLook): Step[] {
  const { account, files, key } = look;
  const { address } = account;
  const known: Known = { missing: [], tests: new Map() };
  const token = keyOf({ id: 'token', subject: address });
  const scope = keyOf({ id: 'token.scope', subject: address });
  const audience = keyOf({ id: 'token.audience', subject: address });
  const steps: Step[] = [
    {
      id: 'token',
      subject: address,
      needs: files,
      after: [key, ...(look.provider === undefined ? [] : [look.provider])],
      limitMs: TOKEN_LIMIT_MS,
      look: (result) => {
        if (look.brokerError !== undefined)
          return Promise.resolve(because({ ...failed(look.brokerError), id: 'broker', subject: '', ms: 0 }));
        const vault = result(key);
        // A broker has opened the vault long ago.
        if (!look.brokerRuns && isBroken(vault)) return Promise.resolve(because(vault));
        if (account.kind === 'password') return passwordOf(look, known);
        return tokenOf(look, known, look.provider === undefined ? undefined : result(look.provider));
      },
    },
  ];
  if (account.kind === 'oauth') {
    steps.push(
      {
        id: 'token.scope',
        subject: address,
        needs: [token, key],
        look: async (result) => {
          if (result(key)?.status === 'warning') return skipped('the vault cannot be opened here now');
          const record = await look.context.vault.read(address);
          if (record?.secrets.scope === undefined) return skipped('the provider does not say what it granted');
          known.missing = missingScopes(account, record.secrets.scope);
          return judgeScopes(account, known.missing);
        },
      },
      {
        id: 'token.audience',
        subject: address,
        needs: [token],
        look: () => Promise.resolve(judgeAudienceOf(look, known)),
      },
    );
  }
  const logins = account.protocols.map((protocol): Step =>
    loginStep(look, known, protocol, { token, scope, audience }),
  );
  return [...steps, ...logins];
}

function judgeAudienceOf({ account }: AccountLook, { credential }: Known): Judgement {
  if (account.kind !== 'oauth' || credential === undefined || 'password' in credential) return skipped('no token');
  return judgeAudience(account, credential.accessToken.reveal());
}

async function passwordOf({ account, ports }: AccountLook, known: Known): Promise<Judgement> {
  const [protocol = 'smtp'] = account.protocols;
  known.credential = { password: await ports.obtainPassword({ address: account.address, protocol }) };
  return ok('the app password is there');
}

async function tokenOf(look: AccountLook, known: Known, provider: Parameters<typeof isBroken>[0]): Promise<Judgement> {
  const { context, account, refresh, now } = look;
  const { address } = account;
  const header = context.vault.readHeader(address);
  if (header === undefined) return failed(neverSignedIn(address));
  const fresh = isFresh(header, now());
  // Nothing could come of an exchange; a token that still lives is good for logins all the same.
  if ((refresh || !fresh) && isBroken(provider)) return because(provider);
  try {
    await obtain(look, known, refresh);
    if (!fresh || refresh) return ok('refreshed');
    return (await proven(look, known)) ?? judgeHeader(look, context.vault.readHeader(address) ?? header);
  } catch (error) {
    return withActor(look, toCmsError(error), context.vault.readHeader(address));
  }
}

function isFresh(header: GrantHeader, now: number): boolean {
  return answers(header, { began: now, minValiditySeconds: DEFAULT_MIN_VALIDITY_SECONDS, force: false }, now);
}

async function obtain({ context, account, ports }: AccountLook, known: Known, forceRefresh: boolean): Promise<void> {
  const [protocol = 'smtp'] = account.protocols;
  const accessToken = await ports.obtainToken({ address: account.address, protocol, forceRefresh });
  const record = await context.vault.read(account.address).catch(() => undefined);
  known.credential = { accessToken, granted: record?.secrets.scope };
}

/**
 * Whether a server takes the token at hand. One that is refused although it is fresh is exchanged once, which tells a
 * sign-in that has ended from a server that does not let this account in.
 * @returns undefined where there is nothing to say
 */
async function proven(look: AccountLook, known: Known): Promise<Judgement | undefined> {
  const [protocol] = look.account.protocols.filter((each) => look.account.servers[each] !== undefined);
  if (protocol === undefined) return undefined;
  const test = await login(look, known, protocol);
  if (test?.ok !== false || test.explanation?.class !== 'sign in again') return undefined;
  const record = await look.context.vault.read(look.account.address).catch(() => undefined);
  const isMissing = (each: MissingScope): boolean => each.protocols.includes(protocol);
  // A new token would be refused just as well.
  if (judgeAudienceOf(look, known).status === 'failure') return undefined;
  if (look.account.kind === 'oauth' && missingScopes(look.account, record?.secrets.scope).some(isMissing))
    return undefined;
  known.tests.clear();
  await obtain(look, known, true);
  return ok('the token at hand was refused by the mail server; refreshed');
}

/** What else fails a refresh passes by itself. */
const WHO_MENDS: Readonly<Partial<Record<string, Actor>>> = { client_invalid: 'client owner', config_invalid: 'you' };

/** What the vault says of a token that is there. */
function judgeHeader({ account, now }: AccountLook, header: GrantHeader): Judgement {
  const { state, failure: trouble, expires_at: expires = 0 } = header;
  if (state === 'authorization_required') return judgeEnded(account, header, authorizationRequired(header));
  const left = `${Math.max(0, Math.round((expires - now()) / 60_000))} min left`;
  if (trouble === undefined) return ok(`fresh, ${left}`);
  return warning(`fresh, ${left}, but the last refresh failed: ${trouble.message}`, {
    fix: [`cms token ${quoted(account.address)} --force-refresh   # tries again`],
    who: WHO_MENDS[trouble.code] ?? 'nobody: wait',
    ...meaning(trouble.message),
  });
}

/** What the words of a failed refresh mean, where the catalogue knows. */
function meaning(words: string): Pick<Judgement, 'cause' | 'who'> {
  const { class: kind, sentence, who } = explain({ source: 'oauth', ...fromWords(words) });
  return kind === 'unknown' ? {} : { cause: sentence, who };
}

function withActor({ account }: AccountLook, error: CmsError, header: GrantHeader | undefined): Judgement {
  const trouble = header?.failure;
  if (error.code === 'client_invalid' && trouble !== undefined) {
    const explained = explain({ ...subjectOf(account), source: 'oauth', ...fromWords(trouble.message) });
    return withMail(failed(error, explained.class === 'unknown' ? 'client owner' : explained.who), explained, account);
  }
  if (error.code === 'temporarily_unavailable' && trouble !== undefined)
    return { ...failed(error), ...meaning(trouble.message) };
  if (error.code !== 'authorization_required' || header === undefined) return failed(error);
  return judgeEnded(account, header, error);
}

function judgeEnded(account: Account, header: GrantHeader, error: CmsError): Judgement {
  const explained = explainReason(header, subjectOf(account));
  return withMail(failed(error, explained?.who), explained, account);
}

/** Few people know who to write to, and what. */
function withMail(
  judged: Judgement,
  explained: Explanation | undefined,
  { address }: Pick<Account, 'address'>,
): Judgement {
  if (explained?.admin === undefined) return judged;
  const write = `cms account test ${quoted(address)} --admin-mail   # writes the mail to the administrator`;
  return { ...judged, fix: [...(judged.fix ?? []), write] };
}

function loginStep(
  look: AccountLook,
  known: Known,
  protocol: Protocol,
  { token, scope, audience }: Record<'token' | 'scope' | 'audience', string>,
): Step {
  return {
    id: `login.${protocol}`,
    subject: look.account.address,
    needs: [token, audience],
    after: [scope],
    limitMs: LOGIN_LIMIT_MS,
    look: async (result) => {
      const scopes = result(scope);
      const lacks = known.missing.some(({ protocols }) => protocols.includes(protocol));
      if (lacks && isBroken(scopes)) return because(scopes);
      const test = known.tests.get(protocol) ?? (await login(look, known, protocol));
      return test === undefined ? skipped('the account has no server for it') : judgeLogin(test, look.account);
    },
  };
}

async function login(
  { context, account, now }: AccountLook,
  { credential, tests }: Known,
  protocol: Protocol,
): Promise<ProtocolTest | undefined> {
  if (credential === undefined) return undefined;
  const quiet = { now, begun: () => undefined, step: () => undefined };
  const username = usernameAt(context.vault, account);
  const [test] = await testAccount(account, { credential, protocols: [protocol], username, ...quiet });
  if (test !== undefined) tests.set(protocol, test);
  return test;
}

/** What a trial login came to. Pure. */
function judgeLogin(test: ProtocolTest, account: Pick<Account, 'address'>): Judgement {
  const { host, port, user, ok: accepted, steps, error = '', explanation } = test;
  if (accepted) return ok(`${host}:${port} as ${user ?? '?'}`);
  const step = steps.at(-1)?.step ?? 'login';
  const code = codeOfClass(explanation?.class ?? 'unknown');
  if (explanation === undefined || explanation.class === 'unknown')
    return failure(code, `${step}: ${error}`, { cause: 'cms does not know this answer', fix: explanation?.fix ?? [] });
  const { sentence: cause, fix, who } = explanation;
  return withMail(failure(code, `${step}: ${error}`, { cause, fix, who }), explanation, account);
}
