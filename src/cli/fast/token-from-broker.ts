/**
 * `cms token` while a broker runs: its answer is final. All that the usual call loads is here. Success is one line on
 * stdout and nothing on stderr, because exim's `${run}` and shell scripts would take a word on stderr for the token.
 */
import { writeSync } from 'node:fs';
import { parseAddress } from '../../lib/accounts/address.ts';
import { ask, askForToken, parseAnswer } from '../../lib/broker/client.ts';
import { brokerSocket } from '../../lib/broker/find.ts';
import { MAX_WAIT_SECONDS, type TokenAnswer } from '../../lib/broker/wire.ts';
import { type CmsError, systemErrorCode, toCmsError } from '../../lib/core/errors.ts';
import { type Environment, resolvePaths } from '../../lib/os/paths.ts';
import { cannotPrint, reportFailure } from '../report-failure.ts';
import { Secret } from '../../lib/core/secret.ts';
import { parseTokenArguments, render, type TokenArguments } from './token-arguments.ts';

/** Where tokens and app passwords come from; undefined if no broker is running. */
export interface TokenSource {
  token: (request: TokenWishes, env: Environment) => Promise<TokenAnswer | undefined>;
  password: (request: PasswordWishes, env: Environment) => Promise<Secret | undefined>;
}

const STDOUT = 1;

export type TokenWishes = Pick<TokenArguments, 'address' | 'protocol' | 'minValiditySeconds' | 'forceRefresh'>;
export type PasswordWishes = Pick<TokenArguments, 'address' | 'protocol'>;

/** Runs the command with the broker. @returns its exit status, or undefined where no broker runs */
export async function tokenFromBroker(
  argv: readonly string[],
  env: Environment,
  inFull?: Completion,
): Promise<number | undefined> {
  return printToken(argv, env, { token: askBrokerForToken, password: askBrokerForPassword }, inFull);
}

/** Adds to a failure what takes more to know than is loaded here. */
export type Completion = (failure: CmsError) => CmsError | Promise<CmsError>;

/** Prints what the source has. @returns the exit status, or undefined where the source is none */
export async function printToken(
  argv: readonly string[],
  env: Environment,
  source: TokenSource,
  inFull: Completion = (failure) => failure,
): Promise<number | undefined> {
  const wantsJson = /(^| )(--json|-o ?json|--output[ =]json)( |$)/.test(argv.join(' '));
  try {
    const request = parseTokenArguments(argv);
    const text = await textFrom(source, request, env);
    if (text === undefined) return undefined;
    print(Buffer.from(request.newline ? `${text}\n` : text));
    return 0;
  } catch (error) {
    const failure = await inFull(toCmsError(error));
    reportFailure(failure, wantsJson);
    return failure.exitStatus;
  }
}

/**
 * On stdout, without `process.stdout`: for a pipe, that loads all that sockets need.
 * @throws CmsError `io_error`
 */
function print(bytes: Buffer): void {
  for (let written = 0; written < bytes.length;) {
    try {
      written += writeSync(STDOUT, bytes, written);
    } catch (error) {
      // A pipe that does not block and is full: rare, so that trying again is no waste.
      if (systemErrorCode(error) !== 'EAGAIN') throw cannotPrint(error);
    }
  }
}

async function textFrom(source: TokenSource, request: TokenArguments, env: Environment): Promise<string | undefined> {
  if (request.output === 'password') return (await source.password(request, env))?.reveal();
  const answer = await source.token(request, env);
  return answer && render(request, answer);
}

/** The token, from the broker if one runs. @throws CmsError as `askForToken` */
export async function askBrokerForToken(request: TokenWishes, env: Environment): Promise<TokenAnswer | undefined> {
  const socket = brokerSocket(resolvePaths(env));
  const { protocol, minValiditySeconds } = request;
  const address = parseAddress(request.address);
  if (request.forceRefresh) {
    const answer = await ask(socket, { kind: 'refresh', address });
    if (answer !== undefined) parseAnswer(answer, socket);
  }
  return askForToken(socket, {
    protocol,
    address,
    waitSeconds: MAX_WAIT_SECONDS,
    ...(minValiditySeconds !== undefined && { minValiditySeconds }),
  });
}

/** The app password, on the same way. An empty answer is none: why is found out without the broker. */
export async function askBrokerForPassword(request: PasswordWishes, env: Environment): Promise<Secret | undefined> {
  const answered = await ask(brokerSocket(resolvePaths(env)), {
    kind: 'token',
    protocol: request.protocol,
    address: parseAddress(request.address),
    form: 'password',
    waitSeconds: MAX_WAIT_SECONDS,
  });
  return answered === undefined || answered === '' ? undefined : new Secret(answered);
}
