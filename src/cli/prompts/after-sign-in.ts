/** What comes after a sign-in: a mail to oneself, exim, the broker at login, and what works now. */
import { hostname, userInfo } from 'node:os';
import type { Account } from '../../lib/accounts/account.ts';
import type { Context } from '../../lib/context.ts';
import type { Enrolled } from '../../lib/enrol/enrol.ts';
import { readSplit, splitSteps } from '../../lib/doctor/checks/split.ts';
import { diffToInstalled } from '../../lib/exim/install/diff.ts';
import { findExim4 } from '../../lib/exim/binary.ts';
import { run } from '../../lib/os/process.ts';
import { type Installed, readInstalled, smartHostsState } from '../../lib/exim/install/installed.ts';
import { ownerOf } from '../../lib/os/owner.ts';
import { type EximRequest, planExim } from '../../lib/exim/install/plan.ts';
import { advice } from '../../lib/explain/advice.ts';
import { authorityBefore, eximAuthority } from '../../lib/exim/trust/exim-authority.ts';
import { sendToSelf } from '../../lib/account-test/send.ts';
import { serviceState } from '../../lib/service/offer.ts';
import { askChoice, askYesNo } from './ask.ts';
import { quoted } from '../../lib/core/shell-word.ts';

export interface GoOnOptions {
  say: (line: string) => void;
  /** Lines that must not be wrapped: a diff, and text to copy. */
  show: (lines: string) => void;
  /** Whether a person can be asked, and has not accepted the defaults with a flag. */
  asks: boolean;
  /** What flags say: true and false are not asked about. */
  wishes: { send: boolean | undefined; exim: boolean | undefined; service: boolean | undefined };
  /** The account is one of the system's broker: only root sets up more than that. */
  ofSystem: boolean;
  /** One that knows of the account. */
  brokerRuns: boolean;
  /** Other commands of cms, with their arguments. */
  installExim: (argv: string[]) => Promise<unknown>;
  installService: (argv: string[]) => Promise<unknown>;
}

/** Asks and does; what fails here leaves the account as it is. @returns whether a mail was sent, where one was to be */
export async function goOn(context: Context, enrolled: Enrolled, options: GoOnOptions): Promise<boolean | undefined> {
  const done: Partial<Done> = {};
  try {
    done.sent = await maybeSend(enrolled, options);
    // exim first: the units of the broker then listen on its socket as well.
    done.exim = await maybeExim(context, enrolled, options);
    done.service = await maybeService(context, options);
  } catch (error) {
    // Ctrl-C at one of these questions: the account is there, and that is what counts.
    if (!(error instanceof Error && error.name === 'ExitPromptError')) throw error;
    options.say('the rest was left out; the account is kept');
  }
  const asIs = { ...options, asks: false, wishes: { send: false, exim: false, service: false } };
  sayWhatWorks(options, enrolled, {
    exim: done.exim ?? (await maybeExim(context, enrolled, asIs)),
    service: done.service ?? (await maybeService(context, asIs)),
  });
  return done.sent;
}

interface Done {
  sent: boolean | undefined;
  exim: EximState;
  service: ServiceState;
}

async function maybeSend(
  { account, reports, credential }: Enrolled,
  options: GoOnOptions,
): Promise<boolean | undefined> {
  const { say, asks, wishes } = options;
  const canSend = reports.some(({ protocol, user }) => protocol === 'smtp' && user !== undefined);
  const wanted = wishes.send ?? (asks && canSend && (await askYesNo('Send yourself a test mail?', true)));
  if (!wanted) return undefined;
  const sent = await sendToSelf(account, credential, Date.now());
  if (sent.ok) say(`sent: ${sent.server} has accepted a mail to ${account.address}, Message-ID <${sent.messageId}>`);
  else for (const line of [`not sent: ${sent.detail}`, ...advice(sent.explanation, account.address)]) say(line);
  return sent.ok;
}

type EximState = 'absent' | 'open' | 'stale' | 'configured' | { steps: string[] };

async function maybeExim(context: Context, { account, reports }: Enrolled, options: GoOnOptions): Promise<EximState> {
  const { wishes, asks, installExim } = options;
  const installed = await readInstalled(context.paths);
  const accounts = await context.accounts.list();
  const split = await readSplit();
  if (split !== undefined && !split.overridden && wishes.exim !== true) return { steps: splitSteps(split, accounts) };
  const state = smartHostsState(installed, accounts);
  if (state === 'not_installed' && wishes.exim !== true && !hasExim(context)) return 'absent';
  if (state === 'current' && wishes.exim !== true) return 'configured';
  // If no login was tried, it may well work; if it was refused, exim would only collect mail that it cannot send.
  const refused = reports.some(({ protocol, user }) => protocol === 'smtp' && user === undefined);
  const sends = account.servers.smtp !== undefined && !refused;
  if (wishes.exim ?? (asks && sends)) {
    const defaultAddress = installed?.default_address ?? account.address;
    if (wishes.exim ?? (await askExim(context, { defaultAddress }, installed, options)))
      await installExim(['--install', '--yes', ...defaultFlag(account, installed)]);
  }
  const after = smartHostsState(await readInstalled(context.paths), await context.accounts.list());
  return after === 'current' ? 'configured' : after === 'stale' ? 'stale' : 'open';
}

function hasExim({ env }: Context): boolean {
  try {
    return findExim4(env) !== '';
  } catch {
    return false;
  }
}

/** The first account that can send is the one for root and cron. */
function defaultFlag({ address }: Account, installed: Installed | undefined): string[] {
  return installed?.default_address === undefined ? ['--default', address] : [];
}

async function askExim(
  context: Context,
  request: EximRequest,
  installed: Installed | undefined,
  { say, show }: GoOnOptions,
): Promise<boolean> {
  const answer = await askChoice('exim4 is installed. Have it send through this account?', [
    { name: 'show first what would change', value: 'show' as const },
    { name: 'yes, write its configuration (with sudo)', value: 'yes' as const },
    { name: 'no', value: 'no' as const },
  ]);
  if (answer !== 'show') return answer === 'yes';
  const plan = await planFor(context, request, installed);
  for (const remark of plan.remarks) say(`note: ${remark}`);
  const text = await diffToInstalled(plan, run);
  if (text === '') say('nothing would change');
  else show(text.trimEnd());
  say('EVERY LOCAL USER can then send as this account: cms exim-config --help');
  return askYesNo('Write it? (a script is run as root, with a backup)', false);
}

async function planFor(context: Context, request: EximRequest, installed: Installed | undefined) {
  const caller = { uid: process.getuid?.(), name: userInfo().username, env: context.env };
  const { name } = await ownerOf(caller, run);
  const accounts = await context.accounts.list();
  const before = await authorityBefore(context.env, run, installed);
  const { caFile } = await eximAuthority({ accounts, before });
  return planExim({ ...request, caFile }, { user: name, hostName: hostname(), accounts, installed });
}

type ServiceState = Awaited<ReturnType<typeof serviceState>>;

async function maybeService(context: Context, { asks, wishes, installService }: GoOnOptions): Promise<ServiceState> {
  const state = (): Promise<ServiceState> => serviceState(run, context.env, process.getuid?.());
  if (wishes.service === undefined) {
    const before = await state();
    if (!asks || before !== 'possible' || !(await askYesNo('Start the broker now and at each login?', true)))
      return before;
  }
  if (wishes.service === false) return state();
  await installService(['--now', '--yes']);
  return state();
}

/** How exim comes to know the accounts of the system's broker, and that broker exim's socket. */
export const EXIM_OF_SYSTEM =
  'cms service run exim-config --install </dev/null >install.sh && sudo sh install.sh && cms service install --system --now';

/** The end of `account add`, for people: a few lines that can be copied. */
function sayWhatWorks(
  { say, show, ofSystem, brokerRuns }: Pick<GoOnOptions, 'say' | 'show' | 'ofSystem' | 'brokerRuns'>,
  { account, reports }: Pick<Enrolled, 'account' | 'reports'>,
  { exim, service }: Pick<Done, 'exim' | 'service'>,
): void {
  const { address, kind } = account;
  if (reports.some(({ refused }) => refused !== undefined))
    say(`The account is kept. Once that is fixed: cms account test ${quoted(address)}`);
  if (ofSystem) {
    if (exim === 'open' || exim === 'stale') show(`exim:   ${EXIM_OF_SYSTEM}`);
    return say('next:   cms status');
  }
  const token = kind === 'password' ? 'cms token -o password' : 'cms token';
  const { smtp, imap } = account.servers;
  if (smtp !== undefined) show(`msmtp:  passwordeval "${token} ${address}"`);
  if (imap !== undefined && kind === 'oauth')
    show(`mutt:   set imap_oauth_refresh_command = "${token} --protocol imap ${address}"`);
  if (imap !== undefined) show(`mbsync: PassCmd "${token} --protocol imap ${address}"`);
  if (typeof exim === 'object') {
    say("exim uses Debian's split configuration and the lines of cms; the new lines:");
    for (const step of exim.steps) show(step);
  }
  if (exim === 'stale') say('exim does not know of this yet: cms exim-config --install');
  const next = [
    ...(service === 'installed' || brokerRuns
      ? []
      : [service === 'possible' ? 'cms service install --now' : 'cms serve']),
    ...(exim === 'open' && smtp !== undefined ? ['cms exim-config --install'] : []),
    ...(exim === 'configured' ? ['cms exim-config --check'] : []),
    'cms status',
  ];
  say(`next:   ${next.join(' · ')}`);
}
