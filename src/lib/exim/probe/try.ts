/**
 * `cms exim-config --try`: every step of a delivery but the mail. What depends on the MTA's permissions is done as the
 * MTA's user, with exim itself asking the socket; the connection and the login are ours, with the same certificates.
 */
import type { MailServer } from '../../accounts/account.ts';
import { CmsError } from '../../core/errors.ts';
import { LONGEST_SASL } from '../render/authenticators.ts';
import { expand } from '../binary.ts';
import type { Run } from '../../os/process.ts';
import { type LineFields, lineFields, requestExpansion } from '../render/line-fields.ts';
import { entryFor, fieldsOf, parseEntries } from '../smart-hosts/smart-hosts-file.ts';
import { quoted } from '../../core/shell-word.ts';
import { firstLine } from '../../core/values.ts';

export interface Step {
  step: 'line' | 'socket' | 'ready' | 'credentials' | 'connect' | 'certificate' | 'login';
  ok: boolean;
  detail: string;
}

export type Credentials = { user: string; accessToken: string } | { user: string; password: string };

/** What a trial login came to. `unreachable`, `certificate`: it got no further than that. */
export type LoginOutcome =
  | { ok: true; mechanism?: string }
  | { ok: false; kind: 'refused' | 'unreachable' | 'certificate' | 'protocol'; detail: string };

export interface TryPorts {
  /** Runs a command as the MTA's user, where that is possible. */
  asMta: Run;
  /** Path of the exim binary. */
  binary: string;
  smartHostsFile: string;
  login: (server: MailServer, credentials: Credentials) => Promise<LoginOutcome>;
}

interface Line extends LineFields {
  server: MailServer;
  password: string | undefined;
}

/** The steps up to the first that fails. */
export async function trySender(sender: string, ports: TryPorts): Promise<Step[]> {
  const steps: Step[] = [];
  try {
    const line = await findLine(sender, ports, steps);
    const credentials = await obtainCredentials(line, ports, steps);
    steps.push(...loginSteps(line.server, await ports.login(line.server, credentials)));
  } catch (error) {
    if (!(error instanceof FailedStep)) throw error;
    steps.push(error.step);
  }
  return steps;
}

class FailedStep extends Error {
  readonly step: Step;

  constructor(step: Step['step'], detail: string) {
    super(detail);
    this.step = { step, ok: false, detail };
  }
}

async function findLine(sender: string, { asMta, smartHostsFile }: TryPorts, steps: Step[]): Promise<Line> {
  const { status, stdout, stderr } = await asMta(['cat', '--', smartHostsFile]);
  if (status !== 0) throw new FailedStep('line', await whyUnread(smartHostsFile, stderr, asMta));
  const entry = entryFor(parseEntries(stdout), sender);
  if (entry === undefined) {
    throw new FailedStep('line', `no line for <${sender}> and no * line in ${smartHostsFile}`);
  }
  const line = lineOf(fieldsOf(entry));
  steps.push({
    step: 'line',
    ok: true,
    detail: `${entry.key}: ${line.server.host}:${line.server.port} as ${line.user}${usersOf(line)}`,
  });
  return line;
}

async function whyUnread(file: string, stderr: string, asMta: Run): Promise<string> {
  const { status } = await asMta(['test', '-e', file]);
  if (status !== 0) return `there is no ${file}: nothing is installed yet`;
  return `cannot read ${file}: ${firstLine(stderr).replace(/^.*: /, '')}`;
}

function usersOf({ users }: Line): string {
  return users === '' ? '' : `, for these local users alone: ${users}`;
}

function lineOf(fields: ReadonlyMap<string, string>): Line {
  const line = lineFields(fields);
  // Without a socket, exim takes whatever its manualroute router does; one host of it can be tried.
  const host = line.host || (line.socket === '' ? (/^[^:,;\s]+/.exec(fields.get('host') ?? '')?.[0] ?? '') : '');
  if (host === '') throw new FailedStep('line', 'the line has no host=NAME::PORT');
  if (line.user === '') throw new FailedStep('line', 'the line has no user=');
  return { ...line, server: { host, port: Number(line.port), tls: line.tls }, password: fields.get('password') };
}

async function obtainCredentials(line: Line, ports: TryPorts, steps: Step[]): Promise<Credentials> {
  if (line.socket === '') {
    if (line.password === undefined) throw new FailedStep('credentials', 'the line has neither oauth= nor password=');
    return { user: line.user, password: line.password };
  }
  const reason = await ask(line, true, ports);
  steps.push({ step: 'socket', ok: true, detail: line.socket });
  if (reason !== '') throw new FailedStep('ready', reason);
  steps.push({ step: 'ready', ok: true, detail: line.account });
  const answer = await ask(line, false, ports);
  const credentials = line.auth === 'password' ? passwordOf(line, answer) : tokenOf(line, answer);
  steps.push({ step: 'credentials', ok: true, detail: `for ${credentials.user}` });
  return credentials;
}

/** Asks the broker what exim asks, by exim. */
async function ask(line: Line, ready: boolean, { asMta, binary }: TryPorts): Promise<string> {
  const expansion = requestExpansion(line, ready);
  if (expansion === undefined)
    throw new FailedStep('line', 'account= or oauth= of the line holds characters that cms does not write');
  const { stdout: answer, stderr } = await expand(asMta, [binary], expansion);
  if (answer.startsWith('Failed: ')) throw new FailedStep('socket', firstLine(answer.slice('Failed: '.length)));
  if (answer === '' && stderr.trim() !== '') throw new FailedStep('socket', firstLine(stderr));
  return answer;
}

// What exim itself demands of the answer.
const XOAUTH2 = /^user=([^\x01]+)\x01auth=Bearer ([-A-Za-z0-9._~+/]+=*)\x01\x01$/;

function tokenOf({ user, account }: Line, answer: string): Credentials {
  const [, named = '', accessToken] = XOAUTH2.exec(answer) ?? [];
  if (accessToken === undefined) throw new FailedStep('credentials', NO_ANSWER);
  if (Buffer.byteLength(answer) > LONGEST_SASL) throw new FailedStep('credentials', TOO_LONG);
  return { user: user === account ? named : user, accessToken };
}

function passwordOf({ user }: Line, answer: string): Credentials {
  if (answer === '' || /\p{Cc}/u.test(answer)) throw new FailedStep('credentials', NO_ANSWER);
  return { user, password: answer };
}

const TOO_LONG = `the token is longer than exim can send (${LONGEST_SASL} bytes with the user)`;
const NO_ANSWER = 'the broker gives nothing for this account on this socket; its log says why';

function loginSteps({ host, port, tls }: MailServer, outcome: LoginOutcome): Step[] {
  const connect: Step = { step: 'connect', ok: true, detail: `${host}:${port}` };
  const certificate: Step = {
    step: 'certificate',
    ok: true,
    detail: `${tls === 'implicit' ? 'TLS' : 'STARTTLS'}, verified`,
  };
  if (outcome.ok) {
    const by = outcome.mechanism === undefined ? '' : ` by ${outcome.mechanism}`;
    return [connect, certificate, { step: 'login', ok: true, detail: `accepted${by}` }];
  }
  const { kind, detail } = outcome;
  if (kind === 'unreachable') return [{ step: 'connect', ok: false, detail }];
  if (kind === 'certificate') return [connect, { step: 'certificate', ok: false, detail }];
  return [connect, certificate, { step: 'login', ok: false, detail }];
}

/** The exit status of a trial: a failed step is an error of its kind. @param caFile of the account that sends */
export function failureOf(sender: string, steps: readonly Step[], caFile = 'FILE'): CmsError | undefined {
  const failed = steps.find(({ ok }) => !ok);
  if (failed === undefined) return undefined;
  const code = failed.step === 'line' ? 'config_invalid' : 'temporarily_unavailable';
  return new CmsError(
    failed.step === 'login' ? 'access_denied' : code,
    `<${sender}> cannot send: ${failed.step}: ${failed.detail}`,
    {
      suggestions: [
        ...(failed.step === 'line' ? ['cms exim-config --install'] : []),
        ...(failed.step === 'certificate'
          ? [
              `cms exim-config --install --ca-file ${quoted(caFile)}   # its authority, for all accounts in place of the system's`,
            ]
          : []),
        'cms doctor   # every link on the way',
      ],
    },
  );
}
