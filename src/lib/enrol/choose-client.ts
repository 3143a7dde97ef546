/** Which client signs in: the one that flags, the organisation or an earlier sign-in name, else one that is asked for. */
import type { Account, Protocol } from '../accounts/account.ts';
import { CmsError } from '../core/errors.ts';
import { discover } from '../oauth/client/discover.ts';
import type { Endpoints, OAuthProvider } from '../providers/provider.ts';
import type { Secret } from '../core/secret.ts';
import type { ClientWishes } from './plan.ts';
import { quoted } from '../core/shell-word.ts';

/** What a person says where no client is known. */
export type ClientAnswer =
  | {
      kind: 'client';
      wishes: ClientWishes;
      /** The file that it was read from: Google's, or one with the secret. */
      file?: { flag: '--client-file' | '--client-secret-file'; path: string };
    }
  /** cms shall register itself (RFC 7591). */
  | { kind: 'register'; wishes: ClientWishes }
  /** No OAuth after all. */
  | { kind: 'password'; password: Secret };

export interface ClientQuestion {
  provider: OAuthProvider;
  address: string;
  protocols: readonly Protocol[];
  before: ClientWishes;
  /** Where cms can register itself. */
  registration_endpoint?: string;
}

export interface ClientSearch {
  provider: OAuthProvider;
  address: string;
  protocols: readonly Protocol[];
  before: Account | undefined;
  /** What flags said, and after them the organisation. */
  wishes: ClientWishes;
  issuer: string | undefined;
  /** `--register` */
  register: boolean;
  ask: ((question: ClientQuestion) => Promise<ClientAnswer>) | undefined;
  /** Told what of the server's metadata cannot be used. */
  note?: (text: string) => void;
}

export type ChosenClient =
  /** `explained`: the user who named it has been told what it is. */
  | { kind: 'client'; wishes: ClientWishes; explained?: boolean }
  | { kind: 'register'; wishes: ClientWishes; registration_endpoint: string }
  | { kind: 'password'; password: Secret };

/**
 * Discovers the endpoints where an issuer says where they are.
 * @throws CmsError `client_invalid` where cms cannot register itself, or could and was not told to; as `discover`, and
 * what `ask` throws
 */
export async function chooseClient(search: ClientSearch): Promise<ChosenClient> {
  const { provider, before, register, ask, address, protocols } = search;
  const old = before?.kind === 'oauth' && before.provider === provider.id ? before.client : undefined;
  const { registration_endpoint, ...found } = await discovered(search);
  const wishes = { ...search.wishes, endpoints: { ...found, ...search.wishes.endpoints } };
  if (register) {
    if (registration_endpoint === undefined) throw noRegistration(search);
    return { kind: 'register', wishes, registration_endpoint };
  }
  if (wishes.clientId !== undefined || old !== undefined) return { kind: 'client', wishes };
  if (ask === undefined) {
    if (registration_endpoint !== undefined) throw couldRegister(address, registration_endpoint);
    return { kind: 'client', wishes };
  }
  const offered = registration_endpoint === undefined ? {} : { registration_endpoint };
  const answer = await ask({ provider, address, protocols, before: wishes, ...offered });
  if (answer.kind === 'password') return answer;
  const all = { ...wishes, ...answer.wishes };
  if (answer.kind === 'register' && registration_endpoint !== undefined)
    return { kind: 'register', wishes: all, registration_endpoint };
  return { kind: 'client', wishes: all, explained: true };
}

function noRegistration({ provider, address }: ClientSearch): CmsError {
  return new CmsError('client_invalid', `${provider.name}: no registration endpoint, so cms cannot register itself`, {
    suggestions: [`cms account add ${quoted(address)} --client-id ID`, 'with --register give --issuer URL, too'],
  });
}

function couldRegister(address: string, endpoint: string): CmsError {
  const { host } = new URL(endpoint);
  return new CmsError('client_invalid', `no client id for ${host}, which lets programs register themselves`, {
    suggestions: [`cms account add ${quoted(address)} --register`, '--client-id ID'],
  });
}

async function discovered({ provider, issuer, wishes, note }: ClientSearch): Promise<Discovered> {
  const { issuer: own, token_endpoint } = { ...provider.endpoints, ...wishes.endpoints };
  const where = issuer ?? (token_endpoint === undefined ? own : undefined);
  return where === undefined ? {} : discover(where, wishes.caFile, undefined, { note, given: wishes.endpoints });
}

type Discovered = Endpoints & { registration_endpoint?: string };
