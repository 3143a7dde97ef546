/**
 * `account add` without its flags and prompts: from what was said and can be asked to an account that is signed in,
 * stored and tried. `EnrolDialogue` is the person who can be asked; without one, a missing answer is an error
 * that names its flag.
 */
import {
  type Account,
  caFileOf,
  type MailServer,
  type OAuthAccount,
  type OAuthClient,
  type PasswordAccount,
  type Protocol,
  withAuthority,
} from '../accounts/account.ts';
import { CmsError, type ErrorCode } from '../core/errors.ts';
import type { Context } from '../context.ts';
import { type RegisteredClient, registerClient, unregisterClient } from '../oauth/client/register.ts';
import { domainOf, refuseFlagLike } from '../accounts/address.ts';
import { nearest } from '../core/nearest.ts';
import { presetOf } from '../providers/autoconfig.ts';
import { detectProvider, type Detection } from '../providers/detect.ts';
import { resolveMx } from '../providers/mx.ts';
import type { Flow, OAuthProvider, Provider } from '../providers/provider.ts';
import { findProvider, providerIds } from '../providers/table.ts';
import type { KeyStore } from '../vault/key-source.ts';
import type { Secret } from '../core/secret.ts';
import { quoted } from '../core/shell-word.ts';
import type { SignedIn } from '../oauth/sign-in/sign-in.ts';
import { type MissingScope, missingScopes, namesOf } from '../providers/missing-scopes.ts';
import type { Vault } from '../vault/vault.ts';
import { readProviders } from '../config/settings.ts';
import { readAuthorities } from '../os/tls-authorities.ts';
import { chooseClient, type ChosenClient, type ClientAnswer, type ClientQuestion } from './choose-client.ts';
import { withDefaults } from './defaults.ts';
import { chooseFlow, otherWays } from './flow.ts';
import { type Credential, type LoginReport, testLogins, withWorkingUsers } from '../account-test/login.ts';
import {
  type AccountWishes,
  type ClientWishes,
  planAccount,
  planClient,
  protocolsFor,
  refuseTakenAliases,
} from './plan.ts';
import { type Outcome, signIn, type SignInDialogue, type SignInPlan } from './sign-in.ts';
import { probeStores } from './prepare.ts';
import { type Proposal, proposeServers } from './propose.ts';
import { type ClientSecrets, keepProven, storePassword } from './store-account.ts';

export interface EnrolRequest {
  address: string;
  providerId?: string | undefined;
  issuer?: string | undefined;
  account: AccountWishes;
  client: ClientWishes;
  /** cms shall register itself as a client (RFC 7591). */
  register?: boolean;
  /** An app password: no OAuth. */
  password?: Secret | undefined;
  flow?: Flow | undefined;
  noBrowser: boolean;
  store?: KeyStore | undefined;
  /** Log in at the mail servers afterwards. */
  test: boolean;
}

/** What can be asked of a person. Each has a flag that answers it. */
export interface Questions {
  provider: (
    address: string,
    own: readonly Provider[],
    proposal: Proposal | undefined,
  ) => Promise<{ provider: Provider; issuer?: string }>;
  /** For a server that nothing is known of but that it is one of its own. */
  issuer: () => Promise<string>;
  /** Where no client is known for the provider. */
  client: (question: ClientQuestion) => Promise<ClientAnswer>;
  /** For a provider that has no OAuth for everybody: the app password, or undefined to go on with OAuth. */
  password: (provider: Provider) => Promise<Secret | undefined>;
  server: (protocol: Protocol, address: string, proposed?: MailServer) => Promise<Partial<MailServer> | undefined>;
  store: () => Promise<KeyStore>;
  /** The file of the authority that has signed the certificate of a mail server; undefined: leave it at that. */
  authority: (report: LoginReport) => Promise<string | undefined>;
  /** Less was allowed than was asked for: whether to sign in again. */
  again: (missing: readonly MissingScope[]) => Promise<boolean>;
}

export interface EnrolDialogue extends SignInDialogue {
  questions?: Questions;
  detected: (detection: Detection) => void;
  note: (text: string) => void;
  stored: (outcome: Outcome) => void;
  testing: (account: Account) => void;
  /** As soon as a mail server has answered. */
  tested: (report: LoginReport, account: Account) => void;
  /** Less was granted than was asked for. */
  lacking: (missing: readonly MissingScope[], account: Account) => void;
  signal: AbortSignal;
  /** Whether the keyring may open its dialog. */
  interactive: boolean;
}

export interface Enrolled {
  account: Account;
  reports: LoginReport[];
  /** Of this sign-in, for what comes after it. */
  credential: Credential;
  /** What was asked for and not granted. */
  missing: MissingScope[];
}

/** @throws CmsError of every kind that the parts throw; then nothing of the account was changed */
export async function enrol(context: Context, request: EnrolRequest, dialogue: EnrolDialogue): Promise<Enrolled> {
  const before = (await context.accounts.read()).accounts[request.address];
  if (before === undefined) refuseFlagLike(request.address);
  const own = await readProviders(context.paths);
  const found = await findOut(request, before, own, dialogue);
  const { provider, issuer } = found;
  const wishes = await withDefaults(request.client, provider);
  if (wishes.caFile !== undefined) await readAuthorities(wishes.caFile);
  const password = await passwordFor({ ...request, client: wishes }, provider, before, dialogue);
  const protocols = protocolsFor(request.account, before, provider);
  const servers = await withServers(request, protocols, before, found, dialogue);
  const plan = planAccount(request.address, servers, before, provider, new Date().toISOString());
  // Again when it is stored; but a sign-in must not be in vain.
  refuseTakenAliases(plan, (await context.accounts.read()).accounts);
  const withPassword = (secret: Secret): Promise<Enrolled> => {
    const caFile = wishes.caFile ?? (before && caFileOf(before));
    const account = { ...plan, ...(caFile !== undefined && { ca_file: caFile }) };
    return enrolPassword(context, request, account, secret, dialogue);
  };
  if (password !== undefined) return withPassword(password);
  if (provider.oauth === 'none') throw needsPassword(request.address, provider);
  const ask = dialogue.questions?.client;
  const register = request.register ?? false;
  const { address } = request;
  const chosen = await chooseClient({
    ...{ provider, address, protocols, before, wishes, issuer, register, ask },
    note: (text) => dialogue.note(text),
  });
  if (chosen.kind === 'password') return withPassword(chosen.password);
  return enrolOAuth(context, request, { plan, provider, before, chosen }, dialogue);
}

interface OAuthEnrolment {
  plan: PasswordAccount;
  provider: OAuthProvider;
  before: Account | undefined;
  chosen: Exclude<ChosenClient, { kind: 'password' }>;
}

async function enrolOAuth(
  context: Context,
  request: EnrolRequest,
  { plan, provider, before, chosen }: OAuthEnrolment,
  dialogue: EnrolDialogue,
): Promise<Enrolled> {
  const { address } = request;
  const { protocols } = plan;
  const hadSecret = before?.kind === 'oauth' && before.client.token_endpoint_auth_method !== 'none';
  // The id comes from the server; all else can be judged before anything is registered there.
  const wishes = chosen.kind === 'register' ? { ...chosen.wishes, clientId: 'unregistered' } : chosen.wishes;
  const client = planClient(provider, { address, protocols, wishes, before, hadSecret });
  const hasDeviceEndpoint = client.device_authorization_endpoint !== undefined;
  const flow = chooseFlow(provider, {
    env: context.env,
    platform: process.platform,
    wanted: request.flow ?? provider.defaults?.flow,
    noBrowser: request.noBrowser,
    hasDeviceEndpoint,
    canTurn: dialogue.whileWaiting !== undefined,
  });
  const whose = nameOnConsentPage(provider, client, chosen);
  if (whose !== undefined) dialogue.note(whose);
  const beforeStoring = await probeStores(context, keyWishes(request, dialogue));
  const registered = await register(client, chosen, dialogue);
  const account = { ...plan, kind: 'oauth' as const, client: { ...client, ...registered?.client } };
  const secrets = registered ? secretsOf(registered) : await secretsFor(context, account, wishes, before);
  const works = isActive(context.vault, address);
  const signInPlan: SignInPlan = {
    account,
    secrets,
    beforeStoring,
    admit: (signedIn) => {
      if (works) refuseLess(account, signedIn);
    },
    prove: request.test
      ? async (unproven, signedIn) => {
          dialogue.testing(unproven);
          const credential = { accessToken: signedIn.access_token, granted: signedIn.scope };
          return logIn(unproven, credential, dialogue, signedIn.username);
        }
      : undefined,
    flow,
    otherWays: otherWays(provider, hasDeviceEndpoint),
    signal: dialogue.signal,
  };
  const outcome = await signInOrUnregister(context, signInPlan, dialogue, registered);
  const missing = missingScopes(outcome.account, outcome.signedIn.scope);
  dialogue.stored(outcome);
  if (missing.length > 0) dialogue.lacking(missing, outcome.account);
  const { access_token: accessToken, scope: granted, username } = outcome.signedIn;
  const credential = { accessToken, granted };
  const { reports } = outcome;
  if (reports !== undefined) return { account: outcome.account, reports, credential, missing };
  return { ...(await tryOut(context, request, outcome.account, credential, dialogue, username)), missing };
}

/**
 * Again for as long as less is granted than was asked for, and the user wants to try again. What was stored stays until
 * the next sign-in is.
 */
async function signInFully(context: Context, plan: SignInPlan, dialogue: EnrolDialogue): Promise<Outcome> {
  const again = async (missing: readonly MissingScope[]): Promise<boolean> =>
    missing.length > 0 && ((await dialogue.questions?.again(missing)) ?? false);
  let stored: Outcome | undefined;
  for (;;) {
    try {
      stored = await signIn(context, plan, dialogue);
      if (!(await again(missingScopes(plan.account, stored.signedIn.scope)))) return stored;
    } catch (error) {
      // Given up at the next try: what the one before it has brought is there.
      if (stored !== undefined) return stored;
      if (!(error instanceof LessGranted) || !(await again(error.missing))) throw error;
    }
  }
}

class LessGranted extends CmsError {
  readonly missing: readonly MissingScope[];

  constructor(address: string, missing: readonly MissingScope[]) {
    super('protocol_not_granted', `not granted: ${namesOf(missing)}; the sign-in before, which works, was kept`, {
      suggestions: [`cms account add ${quoted(address)}   # allow everything that is asked for`],
    });
    this.missing = missing;
  }
}

/** A grant that works is not replaced by one that is good for less. @throws LessGranted */
function refuseLess(account: OAuthAccount, { scope }: SignedIn): void {
  const missing = missingScopes(account, scope);
  if (missing.length > 0) throw new LessGranted(account.address, missing);
}

function isActive(vault: Vault, address: string): boolean {
  try {
    return vault.readHeader(address)?.state === 'active';
  } catch {
    // What cannot be read is about to be replaced.
    return false;
  }
}

/** Whose name the consent page shows; undefined where that has been said, or is about to be. */
function nameOnConsentPage(
  { name, defaults }: OAuthProvider,
  { client_id, authorization_endpoint, token_endpoint }: OAuthClient,
  chosen: OAuthEnrolment['chosen'],
): string | undefined {
  if (defaults?.client_id === client_id)
    return `the client is that of ${name} (${defaults.from}); the consent page shows the name it has there`;
  if (chosen.kind === 'register' || chosen.explained) return undefined;
  const { host } = new URL(authorization_endpoint ?? token_endpoint);
  return `the consent page will show the name that the client was given at ${host}`;
}

async function register(
  client: OAuthClient,
  chosen: OAuthEnrolment['chosen'],
  dialogue: EnrolDialogue,
): Promise<RegisteredClient | undefined> {
  if (chosen.kind !== 'register') return undefined;
  const { redirect, ca_file } = client;
  const device = client.device_authorization_endpoint !== undefined;
  const { registration_endpoint } = chosen;
  const registered = await registerClient({ registration_endpoint, redirect, device, ca_file });
  dialogue.note(`registered at ${new URL(registration_endpoint).host}; the consent page will show the name cms`);
  return registered;
}

function secretsOf({ client_secret, registration_access_token }: RegisteredClient): ClientSecrets {
  return { clientSecret: client_secret, registrationAccessToken: registration_access_token };
}

/** What was given, else what the sign-in before left, as far as it belongs to the same client. */
async function secretsFor(
  context: Context,
  { address, client }: OAuthAccount,
  { clientSecret }: ClientWishes,
  before: Account | undefined,
): Promise<ClientSecrets> {
  const registered = before?.kind === 'oauth' && client.registration_client_uri !== undefined;
  const record = registered ? await context.vault.read(address).catch(() => undefined) : undefined;
  const registrationAccessToken = record?.secrets.registration_access_token;
  const wantsSecret = client.token_endpoint_auth_method !== 'none';
  return {
    clientSecret: clientSecret ?? (wantsSecret ? await keptSecret(context, address) : undefined),
    registrationAccessToken,
  };
}

/** A client that was registered for a sign-in that came to nothing is not left behind. */
async function signInOrUnregister(
  context: Context,
  plan: SignInPlan,
  dialogue: EnrolDialogue,
  registered: RegisteredClient | undefined,
): Promise<Outcome> {
  try {
    return await signInFully(context, plan, dialogue);
  } catch (error) {
    if (registered !== undefined) await unregisterClient(plan.account.client, registered.registration_access_token);
    throw error;
  }
}

interface Found {
  provider: Provider;
  issuer?: string | undefined;
  /** What the network proposes, where no preset knows the domain. */
  proposal?: Proposal | undefined;
}

/** For all look-ups together, in milliseconds, and the part of it that the name service may take. */
const LOOKUP_MS = 5000;
const DNS_MS = 2500;

async function findOut(
  request: EnrolRequest,
  before: Account | undefined,
  own: readonly Provider[],
  dialogue: EnrolDialogue,
): Promise<Found> {
  const { providerId, issuer, address } = request;
  if (providerId !== undefined) {
    const provider = named(providerId, own);
    const asksIssuer = needsIssuer(provider, request, before);
    return { provider, issuer: asksIssuer ? await issuerFor(request, dialogue) : issuer };
  }
  const custom = issuer !== undefined || request.client.endpoints?.token_endpoint !== undefined;
  if (custom) return { provider: named('custom', own), issuer };
  if (before !== undefined) return { provider: named(before.provider, own) };
  const deadline = AbortSignal.any([dialogue.signal, AbortSignal.timeout(LOOKUP_MS)]);
  const detection = await detectProvider(address, { resolveMx, own, note: dialogue.note, timeoutMs: DNS_MS });
  if (detection !== undefined) {
    dialogue.detected(detection);
    return { provider: detection.provider };
  }
  if (request.password !== undefined) return { provider: named('custom', own) };
  const proposal = await proposeServers(domainOf(address), deadline);
  const preset = proposal && presetOf(proposal, own);
  if (preset !== undefined) {
    dialogue.detected({ provider: preset, because: `the servers that ${proposal?.from ?? ''} names` });
    return { provider: preset, proposal };
  }
  if (dialogue.questions) return { ...(await dialogue.questions.provider(address, own, proposal)), proposal };
  throw new CmsError('usage', `cannot tell which provider ${address} belongs to`, {
    suggestions: [
      `cms account add ${quoted(address)} --provider ID   # ${providerIds(own).slice(0, 4).join(', ')}, …`,
      ...(proposal === undefined ? [] : [proposedCommand(address, proposal)]),
      `cms account add ${quoted(address)} --issuer URL --client-id ID`,
    ],
  });
}

/** Nothing leads to its endpoints. */
function needsIssuer(provider: Provider, { issuer, client, password }: EnrolRequest, before?: Account): boolean {
  if (provider.id !== 'custom' || before?.provider === 'custom' || password !== undefined) return false;
  return issuer === undefined && client.endpoints?.token_endpoint === undefined;
}

function issuerFor({ address }: EnrolRequest, { questions }: EnrolDialogue): Promise<string> {
  if (questions !== undefined) return questions.issuer();
  throw new CmsError('usage', `where does ${address} sign in? nothing names the authorization server`, {
    suggestions: [
      `cms account add ${quoted(address)} --issuer URL --client-id ID`,
      'or name the endpoints: --authorization-endpoint URL --token-endpoint URL',
    ],
  });
}

/** Nothing is taken from the network unless a person confirms it. */
function proposedCommand(address: string, { from, servers, issuer = 'URL' }: Proposal): string {
  const flags = (['smtp', 'imap'] as const).flatMap((protocol) => {
    const server = servers[protocol];
    if (server === undefined) return [];
    return [`--${protocol}-host ${server.host} --${protocol}-port ${server.port} --${protocol}-tls ${server.tls}`];
  });
  return `cms account add ${quoted(address)} --issuer ${issuer} ${flags.join(' ')}   # as ${from} proposes`;
}

function named(id: string, own: readonly Provider[]): Provider {
  const provider = findProvider(id, own);
  if (provider !== undefined) return provider;
  const ids = providerIds(own);
  const meant = nearest(id, ids);
  throw new CmsError('usage', `no provider ${id}`, {
    suggestions: [...(meant === undefined ? [] : [`--provider ${meant}`]), `--provider ${ids.join('|')}`],
  });
}

/** The app password to use, or undefined to sign in with OAuth. */
async function passwordFor(
  request: EnrolRequest,
  provider: Provider,
  before: Account | undefined,
  dialogue: EnrolDialogue,
): Promise<Secret | undefined> {
  if (request.password !== undefined) return request.password;
  const wantsOAuth = request.client.clientId !== undefined || before?.kind === 'oauth';
  if (provider.oauth !== 'none' && (wantsOAuth || provider.oauth === 'supported') && before?.kind !== 'password')
    return undefined;
  if (provider.oauth !== 'none' && request.client.clientId !== undefined) return undefined;
  const password = await dialogue.questions?.password(provider);
  if (password !== undefined) return password;
  if (provider.oauth === 'restricted' && dialogue.questions) return undefined;
  throw needsPassword(request.address, provider);
}

function needsPassword(address: string, provider: Provider): CmsError {
  const reason =
    provider.oauth === 'supported' ? 'the account logs in with an app password' : provider.reason.replace(/\.$/, '');
  const way = provider.app_password;
  const how = way === undefined ? [] : 'url' in way ? [`${way.url}   # ${way.how}`] : [way.unavailable];
  return new CmsError('config_invalid', `${provider.name}: ${reason}`, {
    suggestions: [`cms account add ${quoted(address)} --password-file FILE   # with an app password`, ...how],
  });
}

async function withServers(
  request: EnrolRequest,
  protocols: readonly Protocol[],
  before: Account | undefined,
  { provider, proposal }: Found,
  { questions }: EnrolDialogue,
): Promise<AccountWishes> {
  const servers = { ...request.account.servers };
  for (const protocol of protocols) {
    const known = servers[protocol]?.host ?? before?.servers[protocol]?.host ?? provider.servers[protocol]?.[0]?.host;
    const said =
      known === undefined ? await questions?.server(protocol, request.address, proposal?.servers[protocol]) : undefined;
    if (said !== undefined) servers[protocol] = { ...said, ...servers[protocol] };
  }
  return { ...request.account, servers };
}

function keyWishes(request: EnrolRequest, { questions, interactive }: EnrolDialogue) {
  return { store: request.store, ask: questions?.store, interactive };
}

/**
 * The client secret of the sign-in before.
 * @throws CmsError `client_invalid` when it cannot be read any more
 */
async function keptSecret({ vault }: Context, address: string): Promise<Secret> {
  const secret = await vault.read(address).then(
    (record) => record?.secrets.client_secret,
    (error: unknown) => {
      if (!(error instanceof CmsError && LOST.has(error.code))) throw error;
      return undefined;
    },
  );
  if (secret !== undefined) return secret;
  throw new CmsError('client_invalid', `the client secret of ${address} is lost; it has to be given again`, {
    suggestions: [`cms account add ${quoted(address)} --client-secret-file FILE`],
  });
}

/** The sealed file is damaged, or its key is gone: a new sign-in replaces it. */
const LOST: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['data_invalid', 'store_unavailable']);

async function enrolPassword(
  context: Context,
  request: EnrolRequest,
  account: Account,
  password: Secret,
  dialogue: EnrolDialogue,
): Promise<Enrolled> {
  const beforeStoring = await probeStores(context, keyWishes(request, dialogue));
  dialogue.signal.throwIfAborted();
  await beforeStoring();
  await storePassword(context, account, password);
  return tryOut(context, request, account, { password }, dialogue);
}

/** What the mail servers say is reported; the account is kept in any case. */
async function tryOut(
  context: Context,
  request: EnrolRequest,
  account: Account,
  credential: Credential,
  dialogue: EnrolDialogue,
  username?: string,
): Promise<Enrolled> {
  if (!request.test) return { account, reports: [], credential, missing: [] };
  dialogue.testing(account);
  const { account: proven, reports } = await logIn(account, credential, dialogue, username);
  if (JSON.stringify(proven) !== JSON.stringify(account)) await keepProven(context, proven);
  return { account: proven, reports, credential, missing: [] };
}

/** Logs in everywhere; again with a CA that the user names for a server that this computer does not trust. */
async function logIn<T extends Account>(
  account: T,
  credential: Credential,
  dialogue: EnrolDialogue,
  username: string | undefined,
): Promise<{ account: T; reports: LoginReport[] }> {
  const reports = await testLogins(account, credential, (report) => dialogue.tested(report, account), username);
  const untrusted = reports.find(({ explanation }) => explanation?.id === 'certificate-untrusted');
  const caFile = untrusted && (await dialogue.questions?.authority(untrusted));
  if (caFile !== undefined) return logIn(withAuthority(account, caFile), credential, dialogue, username);
  return { account: withWorkingUsers(account, reports), reports };
}
