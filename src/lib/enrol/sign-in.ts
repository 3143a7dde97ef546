/** One sign-in from beginning to stored: the chosen flow, the question of identity, and the vault. */
import type { OAuthAccount } from '../accounts/account.ts';
import { parseLoginName } from '../accounts/address.ts';
import type { Context } from '../context.ts';
import { CmsError, toCmsError } from '../errors.ts';
import { type CheckAnswer, signInManually, signInWithBrowser } from '../oauth/authorization-code.ts';
import { type DeviceCode, signInWithDevice } from '../oauth/device.ts';
import { judgeIdentity, type Verdict } from '../oauth/identity.ts';
import { failurePage, type PageContent, questionPage, signedInPage } from '../oauth/page.ts';
import type { SignedIn, SignInOptions } from '../oauth/sign-in.ts';
import type { Flow } from '../providers/provider.ts';
import type { OtherWay } from './flow.ts';
import { type ClientSecrets, storeSignIn } from './store-account.ts';

/** The person in front of it, as far as a sign-in needs one. */
export interface SignInDialogue {
  /** Opens or shows the URL; the browser comes back to `redirectUri`. */
  openBrowser: (url: string, redirectUri: string) => void | Promise<void>;
  showDeviceCode: (code: DeviceCode) => void;
  /** Shows the URL, unless it was shown already, and returns what was pasted. */
  askForResponse: (url: string | undefined, check: CheckAnswer, signal: AbortSignal) => Promise<string>;
  /** While a browser or device is waited for: resolves with what the person turns to instead. Stops at the signal. */
  whileWaiting?: (ways: readonly OtherWay[], signal: AbortSignal) => Promise<OtherWay>;
  /** Whether `identity` may be kept as the login of `address`; undefined where nobody can be asked. */
  confirmIdentity?: (identity: string, account: OAuthAccount) => Promise<boolean>;
}

export interface SignInPlan {
  account: OAuthAccount;
  secrets: ClientSecrets;
  /** What is made as late as when there is something to store, such as the key of the vault. */
  beforeStoring?: () => Promise<void>;
  flow: Flow;
  /** What the person may turn to while the browser is waited for. */
  otherWays: readonly OtherWay[];
  signal: AbortSignal;
}

export interface Outcome {
  account: OAuthAccount;
  signedIn: SignedIn;
  verdict: Verdict;
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
    ...(clientSecret !== undefined && { clientSecret }),
  };
  switch (plan.flow) {
    case 'browser': {
      const early = await signInWithBrowser({
        ...options,
        open: dialogue.openBrowser,
        finish: (signedIn) => finishInBrowser(context, plan, dialogue, signedIn),
        failurePage: (error) => pageOf(error),
        byHand: (check, over) => turnOrPaste(plan, dialogue, check, over),
      });
      return early.stored ? early : askAndStore(context, plan, dialogue, early.signedIn);
    }
    case 'device':
      return judgeAndStore(context, plan, dialogue, await signInByDevice(options, dialogue));
    case 'manual': {
      const ask = (url: string, check: CheckAnswer) => dialogue.askForResponse(url, check, signal);
      return judgeAndStore(context, plan, dialogue, await signInManually({ ...options, ask }));
    }
  }
}

/** The URL is the same, and the listener goes on listening, while somebody pastes. */
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

type Finished = Outcome & { stored: boolean };

/** The browser waits: what is clear is stored and shown; a question is left to the terminal. */
async function finishInBrowser(
  context: Context,
  plan: SignInPlan,
  dialogue: SignInDialogue,
  signedIn: SignedIn,
): Promise<{ page: PageContent; value: Finished }> {
  const { account } = plan;
  const verdict = judgeIdentity(account.login, signedIn.identity);
  if (verdict === 'mismatch' && signedIn.identity !== undefined && dialogue.confirmIdentity) {
    const value = { account, signedIn, verdict, stored: false };
    return { page: questionPage(signedIn.identity, account.login), value };
  }
  const outcome = await judgeAndStore(context, plan, dialogue, signedIn);
  return { page: signedInPage(signedIn.identity, account.address), value: { ...outcome, stored: true } };
}

async function judgeAndStore(
  context: Context,
  plan: SignInPlan,
  dialogue: SignInDialogue,
  signedIn: SignedIn,
): Promise<Outcome> {
  const { account } = plan;
  const verdict = judgeIdentity(account.login, signedIn.identity);
  if (verdict === 'mismatch') return askAndStore(context, plan, dialogue, signedIn);
  await store(context, plan, account, signedIn);
  return { account, signedIn, verdict };
}

async function askAndStore(
  context: Context,
  plan: SignInPlan,
  dialogue: SignInDialogue,
  signedIn: SignedIn,
): Promise<Outcome> {
  const identity = signedIn.identity ?? '';
  if (!(await dialogue.confirmIdentity?.(identity, plan.account))) throw identityMismatch(plan.account, identity);
  // What a provider calls a person may hold what no mail server takes.
  const account = { ...plan.account, login: parseLoginName(identity) };
  await store(context, plan, account, signedIn);
  return { account, signedIn, verdict: 'match' };
}

async function store(context: Context, plan: SignInPlan, account: OAuthAccount, signedIn: SignedIn): Promise<void> {
  plan.signal.throwIfAborted();
  await plan.beforeStoring?.();
  await storeSignIn(context, account, signedIn, plan.secrets);
}

function identityMismatch({ address, login }: OAuthAccount, identity: string): CmsError {
  return new CmsError('identity_mismatch', `${identity} signed in, not ${login}; nothing was stored`, {
    suggestions: [
      `cms account add ${address}   # and sign in as ${login}, in a private window if need be`,
      // Nothing to be pasted into a shell that the provider could have chosen freely.
      ...(/^[\w.+@-]+$/.test(identity)
        ? [`cms account add ${address} --login ${identity}   # if ${identity} may use this mailbox`]
        : []),
    ],
  });
}

function pageOf(error: unknown): PageContent {
  const { message, suggestions } = toCmsError(error);
  // What stands behind the # is for the terminal, where all suggestions are shown.
  const command = suggestions.find((line) => line.startsWith('cms '))?.replace(/\s+# .*$/, '');
  return failurePage(message, command);
}
