/**
 * `account add` without its flags and prompts: from what was said and can be asked to an account that is signed in,
 * stored and tried. Whoever can be asked stands behind `EnrolDialogue`; where nobody can, a missing answer is an error
 * that names its flag.
 */
import type { Account, MailServer, Protocol } from '../accounts/account.ts';
import { CmsError, type ErrorCode } from '../errors.ts';
import type { Context } from '../context.ts';
import { discover } from '../oauth/discover.ts';
import { detectProvider, type Detection } from '../providers/detect.ts';
import { resolveMx } from '../providers/mx.ts';
import type { Endpoints, Flow, OAuthProvider, Provider } from '../providers/provider.ts';
import { findProvider, providerIds } from '../providers/table.ts';
import type { KeyStore } from '../store/key-source.ts';
import type { Secret } from '../secret.ts';
import { chooseFlow } from './flow.ts';
import { type Credential, type LoginReport, testLogins, withWorkingUsers } from './login-test.ts';
import {
  type AccountWishes,
  type ClientWishes,
  planAccount,
  planClient,
  protocolsFor,
  refuseTakenAliases,
} from './plan.ts';
import { type Outcome, signIn, type SignInDialogue } from './sign-in.ts';
import { prepareVault, storePassword, updateAccount } from './store-account.ts';

export interface EnrolRequest {
  address: string;
  providerId?: string | undefined;
  issuer?: string | undefined;
  account: AccountWishes;
  client: ClientWishes;
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
  provider: (address: string) => Promise<{ provider: Provider; issuer?: string }>;
  client: (
    provider: OAuthProvider,
    protocols: readonly Protocol[],
    before: Partial<ClientWishes>,
  ) => Promise<ClientWishes>;
  /** For a provider that has no OAuth for everybody: the app password, or undefined to go on with OAuth. */
  password: (provider: Provider) => Promise<Secret | undefined>;
  server: (protocol: Protocol, address: string) => Promise<Partial<MailServer> | undefined>;
  store: () => Promise<KeyStore>;
}

export interface EnrolDialogue extends SignInDialogue {
  questions?: Questions;
  detected: (detection: Detection) => void;
  note: (text: string) => void;
  stored: (outcome: Outcome) => void;
  testing: (account: Account) => void;
  signal: AbortSignal;
  /** Whether the keyring may open its dialog. */
  interactive: boolean;
}

export interface Enrolled {
  account: Account;
  reports: LoginReport[];
}

/** @throws CmsError of every kind that the parts throw; then nothing of the account was changed */
export async function enrol(context: Context, request: EnrolRequest, dialogue: EnrolDialogue): Promise<Enrolled> {
  const before = (await context.accounts.read()).accounts[request.address];
  const { provider, issuer } = await findOut(request, before, dialogue);
  const password = await passwordFor(request, provider, before, dialogue);
  const protocols = protocolsFor(request.account, before, provider);
  const wishes = await withServers(request, protocols, before, provider, dialogue);
  const plan = planAccount(request.address, wishes, before, provider, new Date().toISOString());
  // Again when it is stored; but nobody shall sign in for nothing.
  refuseTakenAliases(plan, (await context.accounts.read()).accounts);
  if (password !== undefined) {
    return enrolPassword(context, request, plan, password, dialogue);
  }
  if (provider.oauth === 'none') throw needsPassword(request.address, provider);
  const client = await clientWishes(request, provider, protocols, before, issuer, dialogue);
  const hadSecret = before?.kind === 'oauth' && before.client.token_endpoint_auth_method !== 'none';
  const account = {
    ...plan,
    kind: 'oauth' as const,
    client: planClient(provider, { address: request.address, protocols, wishes: client, before, hadSecret }),
  };
  const flow = chooseFlow(provider, {
    env: context.env,
    platform: process.platform,
    wanted: request.flow,
    noBrowser: request.noBrowser,
    hasDeviceEndpoint: account.client.device_authorization_endpoint !== undefined,
  });
  await prepareVault(context, keyWishes(request, dialogue));
  const wantsSecret = account.client.token_endpoint_auth_method !== 'none';
  const clientSecret = client.clientSecret ?? (wantsSecret ? await keptSecret(context, request.address) : undefined);
  const outcome = await signIn(context, { account, clientSecret, flow, signal: dialogue.signal }, dialogue);
  dialogue.stored(outcome);
  return tryOut(context, request, outcome.account, { accessToken: outcome.signedIn.access_token }, dialogue);
}

interface Found {
  provider: Provider;
  issuer?: string | undefined;
}

async function findOut(request: EnrolRequest, before: Account | undefined, dialogue: EnrolDialogue): Promise<Found> {
  const { providerId, issuer, address } = request;
  if (providerId !== undefined) return { provider: named(providerId), issuer };
  const custom = issuer !== undefined || request.client.endpoints?.token_endpoint !== undefined;
  if (custom) return { provider: named('custom'), issuer };
  if (before !== undefined) return { provider: named(before.provider) };
  const detection = await detectProvider(address, { resolveMx, note: dialogue.note });
  if (detection !== undefined) {
    dialogue.detected(detection);
    return { provider: detection.provider };
  }
  if (request.password !== undefined) return { provider: named('custom') };
  if (dialogue.questions) return dialogue.questions.provider(address);
  throw new CmsError('usage', `cannot tell which provider ${address} belongs to`, {
    suggestions: [
      `cms account add ${address} --provider ID   # ${providerIds().slice(0, 4).join(', ')}, …`,
      `cms account add ${address} --issuer URL --client-id ID`,
    ],
  });
}

function named(id: string): Provider {
  const provider = findProvider(id);
  if (provider !== undefined) return provider;
  throw new CmsError('usage', `no provider ${id}`, { suggestions: [`--provider ${providerIds().join('|')}`] });
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
    suggestions: [`cms account add ${address} --password-file FILE   # with an app password`, ...how],
  });
}

async function withServers(
  request: EnrolRequest,
  protocols: readonly Protocol[],
  before: Account | undefined,
  provider: Provider,
  { questions }: EnrolDialogue,
): Promise<AccountWishes> {
  const servers = { ...request.account.servers };
  for (const protocol of protocols) {
    const known = servers[protocol]?.host ?? before?.servers[protocol]?.host ?? provider.servers[protocol]?.[0]?.host;
    const said = known === undefined ? await questions?.server(protocol, request.address) : undefined;
    if (said !== undefined) servers[protocol] = { ...said, ...servers[protocol] };
  }
  return { ...request.account, servers };
}

async function clientWishes(
  request: EnrolRequest,
  provider: OAuthProvider,
  protocols: readonly Protocol[],
  before: Account | undefined,
  issuer: string | undefined,
  { questions }: EnrolDialogue,
): Promise<ClientWishes> {
  const old = before?.kind === 'oauth' && before.provider === provider.id ? before.client : undefined;
  const discovered: Endpoints = issuer === undefined ? {} : await discover(issuer);
  const wishes: ClientWishes = { ...request.client, endpoints: { ...discovered, ...request.client.endpoints } };
  if (wishes.clientId !== undefined || old !== undefined || questions === undefined) return wishes;
  return { ...wishes, ...(await questions.client(provider, protocols, wishes)) };
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
    suggestions: [`cms account add ${address} --client-secret-file FILE`],
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
  await prepareVault(context, keyWishes(request, dialogue));
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
): Promise<Enrolled> {
  if (!request.test) return { account, reports: [] };
  dialogue.testing(account);
  const reports = await testLogins(account, credential);
  const proven = withWorkingUsers(account, reports);
  if (JSON.stringify(proven) !== JSON.stringify(account)) await updateAccount(context, proven);
  return { account: proven, reports };
}
