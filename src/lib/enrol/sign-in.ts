/** One sign-in from beginning to stored: the chosen flow, the question of identity, and the vault. */
import type { OAuthAccount } from '../accounts/account.ts';
import { parseLoginName, refuseFlagLike } from '../accounts/address.ts';
import type { Context } from '../context.ts';
import { uninterrupted } from '../os/ending.ts';
import { CmsError, messageOf, toCmsError } from '../core/errors.ts';
import { type CheckAnswer, signInManually, signInWithBrowser } from '../oauth/sign-in/authorization-code.ts';
import { type DeviceCode, signInWithDevice } from '../oauth/sign-in/device.ts';
import { judgeIdentity, type Verdict } from '../oauth/sign-in/identity.ts';
import { failurePage, type PageContent, questionPage, signedInPage, unknownPage } from '../oauth/sign-in/page.ts';
import { revokeRefreshToken } from '../oauth/token/revoke.ts';
import type { SignedIn, SignInOptions } from '../oauth/sign-in/sign-in.ts';
import type { Flow } from '../providers/provider.ts';
import { quoted } from '../core/shell-word.ts';
import type { OtherWay } from './flow.ts';
import type { LoginReport } from '../account-test/login.ts';
import { type ClientSecrets, storeSignIn } from './store-account.ts';

/** The person in front of it, as far as a sign-in needs one. */
export interface SignInDialogue {
  /** Shows `url` and opens `oneTime`, or either; the browser comes back to `redirectUri`. */
  openBrowser: (url: string, redirectUri: string, oneTime: string) => void | Promise<void>;
  /** What came to the redirect URI without being the answer, while it is waited for. */
  meanwhile?: (words: string) => void;
  showDeviceCode: (code: DeviceCode) => void;
  /** Shows the URL, unless it was shown already, and returns what was pasted. */
  askForResponse: (url: string | undefined, check: CheckAnswer, signal: AbortSignal) => Promise<string>;
  /** While a browser or device is waited for: resolves with what the person turns to instead. Stops at the signal. */
  whileWaiting?: (ways: readonly OtherWay[], signal: AbortSignal) => Promise<OtherWay>;
  /** Whether `identity` may be kept as the login of `address`; undefined if no person can be asked. */
  confirmIdentity?: (identity: string, account: OAuthAccount) => Promise<boolean>;
  /** Whether a sign-in counts that nothing shows to be that of ADDRESS; undefined if no person can be asked. */
  confirmUnknown?: (account: OAuthAccount) => Promise<boolean>;
}

/** What logins at the mail servers have shown, before anything is stored. */
interface Proof {
  /** With the names that worked. */
  account: OAuthAccount;
  reports: LoginReport[];
}

export interface SignInPlan {
  account: OAuthAccount;
  secrets: ClientSecrets;
  /** What is made as late as when there is something to store, such as the key of the vault. */
  beforeStoring?: () => Promise<void>;
  /** Throws for a sign-in that must not be stored, no matter who signed in. */
  admit?: (signedIn: SignedIn) => void;
  /** Where the provider does not say who signed in. Undefined where no login is tried. */
  prove?: ((account: OAuthAccount, signedIn: SignedIn) => Promise<Proof>) | undefined;
  flow: Flow;
  /** What the person may turn to while the browser is waited for. */
  otherWays: readonly OtherWay[];
  signal: AbortSignal;
}

export interface Outcome {
  account: OAuthAccount;
  signedIn: SignedIn;
  verdict: Verdict;
  /** Of logins that were tried before it was stored. */
  reports?: LoginReport[] | undefined;
}

/**
 * Signs in and stores the grant.
 * @throws CmsError `identity_mismatch` (nothing stored, nothing revoked), and as the flows and the stores throw
 */
export async function signIn(context: Context, plan: SignInPlan, dialogue: SignInDialogue): Promise<Outcome> {
  try {
    return await signInBy(context, plan, dialogue);
  } catch (error) {
    if (error instanceof TurnTo) return signIn(context, { ...plan, flow: error.flow }, dialogue);
    throw error;
  }
}

/** Ends one way of signing in, for another to begin. */
class TurnTo extends Error {
  readonly flow: OtherWay;

  constructor(flow: OtherWay) {
    super(flow);
    this.flow = flow;
  }
}

async function signInBy(context: Context, plan: SignInPlan, dialogue: SignInDialogue): Promise<Outcome> {
  const { account, signal } = plan;
  const { clientSecret } = plan.secrets;
  const options = {
    client: account.client,
    login: account.login,
    address: account.address,
    signal,
    abandoned: (signedIn: SignedIn) => whatBecameOf(context, plan, signedIn),
    ...(clientSecret !== undefined && { clientSecret }),
  };
  switch (plan.flow) {
    case 'browser': {
      const early = await signInWithBrowser({
        ...options,
        open: dialogue.openBrowser,
        tell: dialogue.meanwhile,
        finish: (signedIn) =>
          whileWanted(context, plan, signedIn, (wanted) => finishInBrowser(context, wanted, dialogue, signedIn)),
        failurePage: (error) => pageOf(error),
        byHand: (check, over) => turnOrPaste(plan, dialogue, check, over),
      });
      const { stored, ...judged } = early;
      return stored
        ? judged
        : whileWanted(context, plan, judged.signedIn, (wanted) => settle(context, wanted, dialogue, judged));
    }
    case 'device':
      return judgeAndStore(context, plan, dialogue, await signInByDevice(options, dialogue));
    case 'manual': {
      const ask = (url: string, check: CheckAnswer) => dialogue.askForResponse(url, check, signal);
      return judgeAndStore(context, plan, dialogue, await signInManually({ ...options, ask }));
    }
  }
}

/** The URL is the same, and the listener goes on listening, while the user pastes. */
async function turnOrPaste(
  { otherWays }: SignInPlan,
  { whileWaiting, askForResponse }: SignInDialogue,
  check: CheckAnswer,
  over: AbortSignal,
): Promise<string> {
  const way = await (whileWaiting?.(otherWays, over) ?? new Promise<never>(() => undefined));
  if (way === 'device') throw new TurnTo(way);
  return askForResponse(undefined, check, over);
}

async function signInByDevice(options: SignInOptions, dialogue: SignInDialogue): Promise<SignedIn> {
  const over = new AbortController();
  const signal = AbortSignal.any([options.signal, over.signal]);
  try {
    return await new Promise<SignedIn>((resolve, reject) => {
      const show = (code: DeviceCode): void => {
        dialogue.showDeviceCode(code);
        // When it is over, that is told by whatever ended it.
        dialogue.whileWaiting?.(['manual'], signal).then(
          (way) => reject(new TurnTo(way)),
          () => undefined,
        );
      };
      signInWithDevice({ ...options, signal, show }).then(resolve, reject);
    });
  } finally {
    over.abort();
  }
}

/** `settled`: it is clear that it may be stored. */
type Judged = Outcome & { settled: boolean };
type Finished = Judged & { stored: boolean };

/** Who that was: by what the provider says, or else by a login at a mail server as ADDRESS. */
async function judge({ account, admit, prove }: SignInPlan, signedIn: SignedIn): Promise<Judged> {
  admit?.(signedIn);
  const verdict = judgeIdentity(account.login, signedIn.identity);
  if (verdict !== 'unverified') return { account, signedIn, verdict, settled: verdict === 'match' };
  const proof = await prove?.(account, signedIn);
  if (proof === undefined) return { account, signedIn, verdict, settled: false };
  const settled = proof.reports.some(({ user }) => user !== undefined);
  return { ...proof, signedIn, verdict, settled };
}

/** The browser waits: what is clear is stored and shown; a question is left to the terminal. */
async function finishInBrowser(
  context: Context,
  plan: SignInPlan,
  dialogue: SignInDialogue,
  signedIn: SignedIn,
): Promise<{ page: PageContent; value: Finished }> {
  const { address, login } = plan.account;
  const judged = await judge(plan, signedIn);
  const { identity } = signedIn;
  if (!judged.settled && identity !== undefined && dialogue.confirmIdentity)
    return { page: questionPage(identity, login), value: { ...judged, stored: false } };
  if (!judged.settled && identity === undefined && dialogue.confirmUnknown)
    return { page: unknownPage(address), value: { ...judged, stored: false } };
  const outcome = await settle(context, plan, dialogue, judged);
  return { page: signedInPage(identity, address), value: { ...outcome, settled: true, stored: true } };
}

async function judgeAndStore(
  context: Context,
  plan: SignInPlan,
  dialogue: SignInDialogue,
  signedIn: SignedIn,
): Promise<Outcome> {
  return whileWanted(context, plan, signedIn, async (wanted) =>
    settle(context, wanted, dialogue, await judge(wanted, signedIn)),
  );
}

/**
 * What is done with a grant that is there, until it is stored. Given up before that, it is taken care of.
 * @throws what became of it
 */
async function whileWanted<T>(
  context: Context,
  plan: SignInPlan,
  signedIn: SignedIn,
  work: (plan: SignInPlan) => Promise<T>,
): Promise<T> {
  const { signal } = plan;
  let storing = false;
  const beforeStoring = async (): Promise<void> => {
    storing = true;
    await plan.beforeStoring?.();
  };
  const over = new AbortController();
  const givenUp = new Promise<never>((_resolve, reject) => {
    const giveUp = (): void => {
      if (!storing) reject(signal.reason as Error);
    };
    if (signal.aborted) giveUp();
    else signal.addEventListener('abort', giveUp, { signal: over.signal });
  });
  try {
    return await Promise.race([work({ ...plan, beforeStoring }), givenUp]);
  } catch (error) {
    if (!signal.aborted) throw error;
    throw await uninterrupted(() => whatBecameOf(context, plan, signedIn));
  } finally {
    over.abort();
  }
}

/**
 * Of a sign-in that was given up when the grant was there already: it takes the place of the one before, or is given
 * back. Not where that could cost another grant, as a provider may take back all of one person and client.
 */
async function whatBecameOf(context: Context, plan: SignInPlan, signedIn: SignedIn): Promise<Error> {
  const { account, secrets, signal } = plan;
  const { identity } = signedIn;
  const reason = toCmsError(signal.reason);
  const but = (words: string): CmsError =>
    reason.inOtherWords(`${reason.message.replace(/; nothing.*/, '')}, but the provider had granted it: ${words}`, []);
  try {
    const { accounts } = await context.accounts.read();
    const others = Object.values(accounts).filter(
      (each): each is OAuthAccount => each.kind === 'oauth' && isSameClient(each, account),
    );
    if (
      others.some(({ address }) => address === account.address) &&
      judgeIdentity(account.login, identity) === 'match'
    ) {
      plan.admit?.(signedIn);
      await storeSignIn(context, account, signedIn, secrets);
      return but('it takes the place of the sign-in before');
    }
    if (others.some(({ login }) => judgeIdentity(login, identity) !== 'mismatch'))
      return but('it was not kept, nor given back, which could end another sign-in of yours');
    const revoked = await revokeRefreshToken(account.client, signedIn.refresh_token, secrets.clientSecret);
    return revoked === 'revoked' ? reason : but('it was not kept, and the provider does not take it back');
  } catch (error) {
    return but(`it was not kept (${messageOf(error)})`);
  }
}

function isSameClient({ client }: OAuthAccount, { client: ours }: OAuthAccount): boolean {
  return client.client_id === ours.client_id && client.token_endpoint === ours.token_endpoint;
}

/**
 * Stores what is clear, and what the user says yes to.
 * @throws CmsError `identity_mismatch`, `temporarily_unavailable`
 */
async function settle(
  context: Context,
  plan: SignInPlan,
  dialogue: SignInDialogue,
  { settled, ...outcome }: Judged,
): Promise<Outcome> {
  const { account, signedIn, verdict } = outcome;
  const { identity = '' } = signedIn;
  if (!settled && verdict === 'mismatch') {
    if (!(await dialogue.confirmIdentity?.(identity, account))) throw identityMismatch(account, identity);
    // What a provider calls a person may hold what no mail server takes.
    const other = { ...account, login: refuseFlagLike(parseLoginName(identity)) };
    await store(context, plan, other, signedIn);
    return { account: other, signedIn, verdict: 'match' };
  }
  if (!settled && !(await dialogue.confirmUnknown?.(account))) throw identityUnknown(account, outcome.reports ?? []);
  await store(context, plan, account, signedIn);
  return outcome;
}

async function store(context: Context, plan: SignInPlan, account: OAuthAccount, signedIn: SignedIn): Promise<void> {
  plan.signal.throwIfAborted();
  await plan.beforeStoring?.();
  await uninterrupted(() => storeSignIn(context, account, signedIn, plan.secrets));
}

function identityMismatch({ address, login }: OAuthAccount, identity: string): CmsError {
  return new CmsError('identity_mismatch', `${identity} signed in, not ${login}; nothing was stored`, {
    suggestions: [
      `cms account add ${quoted(address)}   # and sign in as ${login}, in a private window if need be`,
      // Nothing to be pasted into a shell that the provider could have chosen freely.
      ...(/^[\w.+@-]+$/.test(identity)
        ? [`cms account add ${quoted(address)} --login ${identity}   # if ${identity} may use this mailbox`]
        : []),
    ],
  });
}

/** Anybody may have answered: only a login at the mail server, or a person, could tell. */
function identityUnknown({ address, login }: OAuthAccount, reports: readonly LoginReport[]): CmsError {
  const passes = reports.every(({ explanation }) => PASSES.has(explanation?.class ?? 'unknown'));
  const unreached = reports.length > 0 && passes;
  const why =
    reports.length === 0
      ? 'no login at a mail server was tried'
      : unreached
        ? 'no mail server could be asked'
        : 'no mail server accepted the login';
  const said = reports.flatMap(({ refused }) => refused ?? []);
  return new CmsError(
    unreached ? 'temporarily_unavailable' : 'identity_mismatch',
    `the provider does not say who signed in, and ${[why, ...said].join(': ')}; nothing was stored`,
    {
      suggestions: [
        `cms account add ${quoted(address)}   # sign in as ${login}; at a terminal cms asks whether to keep it`,
        ...reports.flatMap(
          ({ explanation }) => explanation?.fix.filter((line) => !line.startsWith('cms account test')) ?? [],
        ),
      ],
    },
  );
}

const PASSES: ReadonlySet<string> = new Set(['transient', 'back off']);

function pageOf(error: unknown): PageContent {
  const { message, suggestions } = toCmsError(error);
  // What stands behind the # is for the terminal, where all suggestions are shown.
  const command = suggestions.find((line) => line.startsWith('cms '))?.replace(/\s+# .*$/, '');
  return failurePage(message, command);
}
