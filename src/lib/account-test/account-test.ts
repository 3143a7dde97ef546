/** `account test` without its flags: real logins at the servers of an account, each step told as it happens. */
import { type Account, caFileOf, type MailServer, type Protocol, saslUser } from '../accounts/account.ts';
import { subjectOf } from '../accounts/subject.ts';
import { MAX_TOKEN_BYTES } from '../core/bearer.ts';
import { type Credential, explainFailure, revealed, testKeptLogin } from './login.ts';
import { CmsError } from '../core/errors.ts';
import { type Explanation, explain } from '../explain/explain.ts';
import { reach } from '../mail/reach.ts';
import { smtpSend } from '../mail/smtp.ts';
import { base64, xoauth2 } from '../core/sasl.ts';
import type { Vault } from '../vault/vault.ts';
import { trustedAuthorities } from '../os/tls-authorities.ts';
import { testMessage } from './message.ts';
import { quoted } from '../core/shell-word.ts';

export interface TestStep {
  step: 'resolve' | 'connect' | 'tls' | 'login' | 'send';
  ok: boolean;
  /** Milliseconds that it took. */
  ms: number;
  detail: string;
}

export interface ProtocolTest extends MailServer {
  protocol: Protocol;
  steps: TestStep[];
  ok: boolean;
  /** The user name that was taken, and the mechanism of SASL, where that is known. */
  user?: string;
  mechanism?: string;
  /** What failed, with the server's words verbatim. */
  error?: string;
  explanation?: Explanation;
}

export interface AccountTestRequest {
  credential: Credential;
  protocols: readonly Protocol[];
  /** What the provider calls the person, where that is another name than the mail address. */
  username?: string | undefined;
  /** Send a mail with this Message-ID to the account itself. */
  messageId?: string | undefined;
  /** Milliseconds since the epoch. */
  now: () => number;
  begun: (protocol: Protocol, server: MailServer) => void;
  step: (step: TestStep) => void;
}

/**
 * The protocols to test: those that were named, else those of the account that have a server.
 * @throws CmsError `config_invalid` where there is no server
 */
export function protocolsToTest(account: Account, named: readonly Protocol[] | undefined): Protocol[] {
  const wanted = named ?? account.protocols;
  const found = wanted.filter((protocol) => account.servers[protocol] !== undefined);
  const missing =
    named === undefined ? (found.length === 0 ? wanted[0] : undefined) : wanted.find((each) => !found.includes(each));
  if (missing === undefined) return found;
  throw new CmsError('config_invalid', `no ${missing.toUpperCase()} server is known for ${account.address}`, {
    suggestions: [
      missing === 'pop'
        ? `cms account add ${quoted(account.address)} --protocol pop`
        : `cms account add ${quoted(account.address)} --${missing}-host HOST`,
    ],
  });
}

/** One after the other. What a server refuses is a result. @throws CmsError `config_invalid`, `protocol_error` */
export async function testAccount(account: Account, request: AccountTestRequest): Promise<ProtocolTest[]> {
  const tests: ProtocolTest[] = [];
  for (const protocol of request.protocols) {
    const server = account.servers[protocol];
    if (server === undefined) continue;
    request.begun(protocol, server);
    tests.push(await testProtocol(account, protocol, server, request));
  }
  return tests;
}

async function testProtocol(
  account: Account,
  protocol: Protocol,
  server: MailServer,
  request: AccountTestRequest,
): Promise<ProtocolTest> {
  const test: ProtocolTest = { protocol, ...server, steps: [], ok: false };
  let since = request.now();
  const record = (step: TestStep['step'], ok: boolean, detail: string): void => {
    const now = request.now();
    const done = { step, ok, ms: now - since, detail };
    since = now;
    test.steps.push(done);
    request.step(done);
  };
  const failed = (step: TestStep['step'], error: string, explanation: Explanation): ProtocolTest => {
    record(step, false, error);
    return { ...test, error, explanation };
  };
  const ca = await trustedAuthorities(caFileOf(account));
  const trust = ca === undefined ? {} : { ca };
  const unreached = await reach({ protocol, server, ...trust, done: (step, detail) => record(step, true, detail) });
  if (unreached !== undefined) {
    const { step, failure } = unreached;
    return failed(step, failure.detail, explainFailure(account, protocol, failure));
  }
  const login = await testKeptLogin(account, protocol, request.credential, request.username);
  if (login?.user === undefined) {
    const failure = { ok: false, kind: 'protocol', detail: login?.refused ?? '' } as const;
    return failed('login', failure.detail, login?.explanation ?? explainFailure(account, protocol, failure));
  }
  const { user, mechanism } = login;
  record('login', true, `as ${user}${mechanism === undefined ? '' : ` by ${mechanism}`}`);
  const taken = { user, ...(mechanism !== undefined && { mechanism }) };
  if (protocol !== 'smtp' || request.messageId === undefined) return { ...test, ok: true, ...taken };
  const message = testMessage({ address: account.address, messageId: request.messageId, now: request.now() });
  const sent = await smtpSend({ server, user, ...trust, ...revealed(request.credential) }, message);
  if (!sent.ok) return { ...failed('send', sent.detail, explainFailure(account, protocol, sent)), ...taken };
  record('send', true, `accepted for ${account.address}, Message-ID <${request.messageId}>`);
  return { ...test, ok: true, ...taken };
}

/** The name that the provider told at the sign-in. What cannot be read is told by those who need it. */
export function usernameAt(vault: Vault, { address }: Account): string | undefined {
  try {
    return vault.readHeader(address)?.username;
  } catch {
    return undefined;
  }
}

/** exim's line, without the line end: more would freeze the message. */
const EXIM_LINE_BYTES = 4094;

/** What is wrong with a token that mail servers may well take here, but exim not there. */
export function tokenWarning(account: Account, credential: Credential): Explanation | undefined {
  if ('password' in credential) return undefined;
  const token = credential.accessToken.reveal();
  const line = base64(xoauth2(saslUser(account, 'smtp'), token)).length;
  if (token.length <= MAX_TOKEN_BYTES && line <= EXIM_LINE_BYTES) return undefined;
  const text = `the token has ${token.length} bytes, its line for AUTH ${line}; more than ${MAX_TOKEN_BYTES} or ${EXIM_LINE_BYTES} is too much`;
  return explain({ ...subjectOf(account), source: 'token', text });
}
