/**
 * `cms exim-config --try`: every step of a delivery but the mail. What depends on the MTA's permissions is done as the
 * MTA's user, with exim itself asking the socket; the connection and the login are ours, with the same certificates.
 */
import type { MailServer } from '../accounts/account.ts';
import { CmsError } from '../errors.ts';
import type { Run } from './exim4.ts';
import { entryFor, fieldsOf, parseEntries } from './smart-hosts-file.ts';
import { quoted } from '../shell-word.ts';

export interface Step {
  step: 'line' | 'socket' | 'ready' | 'credentials' | 'connect' | 'certificate' | 'login';
  ok: boolean;
  detail: string;
}

export type Credentials = { user: string; accessToken: string } | { user: string; password: string };

/** What a trial login came to. `unreachable`, `certificate`: it got no further than that. */
export type LoginOutcome =
  { ok: true } | { ok: false; kind: 'refused' | 'unreachable' | 'certificate' | 'protocol'; detail: string };

export interface TryPorts {
  /** Runs a command as the MTA's user, where that is possible. */
  asMta: Run;
  /** Path of the exim binary. */
  binary: string;
  smartHostsFile: string;
  login: (server: MailServer, credentials: Credentials) => Promise<LoginOutcome>;
}

interface Line {
  server: MailServer;
  user: string;
  account: string;
  oauth: string;
  byPassword: boolean;
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
    detail: `${entry.key}: ${line.server.host}:${line.server.port} as ${line.user}`,
  });
  return line;
}

async function whyUnread(file: string, stderr: string, asMta: Run): Promise<string> {
  const { status } = await asMta(['test', '-e', file]);
  if (status !== 0) return `there is no ${file}: nothing is installed yet`;
  return `cannot read ${file}: ${firstLine(stderr).replace(/^.*: /, '')}`;
}

// What is put into an expansion for exim -be must mean itself there.
const PLAIN = /^[A-Za-z0-9!%&'+/=?^_`|~.@-]*$/;

function lineOf(fields: ReadonlyMap<string, string>): Line {
  const read = (name: string): string => fields.get(name) ?? '';
  const [, host = '', port = ''] = /^([^:]+)(?:::(\d+))?$/.exec(read('host')) ?? [];
  if (host === '') throw new FailedStep('line', 'the line has no host=NAME::PORT');
  const implicit = read('tls') === 'implicit' || port === '465';
  const user = read('user');
  const line: Line = {
    server: { host, port: Number(port || (implicit ? 465 : 587)), tls: implicit ? 'implicit' : 'starttls' },
    user,
    account: fields.get('account') ?? user,
    oauth: read('oauth'),
    byPassword: read('oauth') === '' || read('auth') === 'password',
    password: fields.get('password'),
  };
  if ([line.account, line.oauth].every((value) => PLAIN.test(value))) return line;
  throw new FailedStep('line', 'account= or oauth= of the line holds characters that cms does not write');
}

async function obtainCredentials(line: Line, ports: TryPorts, steps: Step[]): Promise<Credentials> {
  if (line.oauth === '') {
    if (line.password === undefined) throw new FailedStep('credentials', 'the line has neither oauth= nor password=');
    return { user: line.user, password: line.password };
  }
  const option = line.byPassword ? ',password' : '';
  const reason = await ask(line, `${option},ready`, ports);
  steps.push({ step: 'socket', ok: true, detail: line.oauth });
  if (reason !== '') throw new FailedStep('ready', reason);
  steps.push({ step: 'ready', ok: true, detail: line.account });
  const answer = await ask(line, option, ports);
  const credentials = line.byPassword ? passwordOf(line, answer) : tokenOf(line, answer);
  steps.push({ step: 'credentials', ok: true, detail: `for ${credentials.user}` });
  return credentials;
}

/** Asks the broker as exim does, by exim. */
async function ask({ oauth, account }: Line, options: string, { asMta, binary }: TryPorts): Promise<string> {
  const expansion = `\${readsocket{${oauth}}{SMTP${options} ${account}}{20s}}`;
  const { stdout, stderr } = await asMta([binary, '-be', expansion]);
  const answer = stdout.replace(/\n$/, '');
  if (answer.startsWith('Failed: ')) throw new FailedStep('socket', firstLine(answer.slice('Failed: '.length)));
  if (answer === '' && stderr.trim() !== '') throw new FailedStep('socket', firstLine(stderr));
  return answer;
}

// What exim itself demands of the answer.
const XOAUTH2 = /^user=([^\x01]+)\x01auth=Bearer ([-A-Za-z0-9._~+/]+=*)\x01\x01$/;

function tokenOf({ user, account }: Line, answer: string): Credentials {
  const [, named = '', accessToken] = XOAUTH2.exec(answer) ?? [];
  if (accessToken === undefined) throw new FailedStep('credentials', NO_ANSWER);
  return { user: user === '' || user === account ? named : user, accessToken };
}

function passwordOf({ user }: Line, answer: string): Credentials {
  if (answer === '') throw new FailedStep('credentials', NO_ANSWER);
  return { user, password: answer };
}

const NO_ANSWER = 'the broker gives nothing for this account on this socket; its log says why';

function loginSteps({ host, port, tls }: MailServer, outcome: LoginOutcome): Step[] {
  const connect: Step = { step: 'connect', ok: true, detail: `${host}:${port}` };
  const certificate: Step = {
    step: 'certificate',
    ok: true,
    detail: `${tls === 'implicit' ? 'TLS' : 'STARTTLS'}, verified`,
  };
  if (outcome.ok) return [connect, certificate, { step: 'login', ok: true, detail: 'accepted' }];
  const { kind, detail } = outcome;
  if (kind === 'unreachable') return [{ step: 'connect', ok: false, detail }];
  if (kind === 'certificate') return [connect, { step: 'certificate', ok: false, detail }];
  return [connect, certificate, { step: 'login', ok: false, detail }];
}

function firstLine(text: string): string {
  return text.trim().split('\n')[0] ?? '';
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
