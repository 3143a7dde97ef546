/** exim: whether its configuration is ours and of now, whether exim takes it, and what each sender would use. */
import { readFile } from 'node:fs/promises';
import type { Account } from '../../accounts/account.ts';
import { CmsError, systemErrorCode, toCmsError } from '../../core/errors.ts';
import {
  checkSender,
  type CheckedSender,
  judgeConfig,
  NAMES_NO_SERVER,
  namesNoServer,
  sendersOf,
} from '../../exim/probe/check.ts';
import { findExim4 } from '../../exim/binary.ts';
import type { Run } from '../../os/process.ts';
import { EXIM_CONFIG_FILE } from '../../exim/install/install-script.ts';
import { type Installed, type SmartHostsState, smartHostsState } from '../../exim/install/installed.ts';
import { DEFAULT_OPTIONS, SYSTEM_TRUST } from '../../exim/render/options.ts';
import { type EximPlan, type EximRequest, planExim } from '../../exim/install/plan.ts';
import { type FrozenMail, frozenWords } from '../../exim/queue.ts';
import { findBlock, parseEntries } from '../../exim/smart-hosts/smart-hosts-file.ts';
import { readSmartHosts } from '../../exim/install/workspace.ts';
import type { Environment } from '../../os/paths.ts';
import { authorityBefore, type EximAuthority, eximAuthority } from '../../exim/trust/exim-authority.ts';
import { bySudo } from '../../os/sudo.ts';
import { because, failed, failure, isBroken, type Judgement, keyOf, ok, skipped, warning } from '../check.ts';
import { judgeSplit, linesCommand, requestOf, SPLIT_FOLDER, type SplitFacts, transportsCommands } from './split.ts';
import type { Step } from '../run-checks.ts';
import { quoted } from '../../core/shell-word.ts';

export interface EximLook {
  env: Environment;
  run: Run;
  accounts: readonly Account[];
  installed: Installed | undefined;
  /** Our sections in Debian's split configuration, where that is how exim was set up. */
  split: SplitFacts | undefined;
  user: string;
  hostName: string;
  frozen: () => Promise<FrozenMail | undefined>;
}

const INSTALL = 'cms exim-config --install';
const EXIM_LIMIT_MS = 15_000;
/** Each takes a process of exim. */
const SENDERS = 20;

/** Nothing of exim is looked at where cms has not installed anything for it. */
export async function eximSteps(look: EximLook, needs: readonly string[]): Promise<Step[]> {
  const { installed, split } = look;
  const binary = eximBinary(look.env);
  if (binary === undefined || (installed === undefined && split === undefined)) {
    const why = binary === undefined ? 'exim4 is not installed' : 'cms was not installed for it';
    return [
      {
        id: 'exim',
        subject: '',
        look: () => Promise.resolve(skipped(why, { fix: binary === undefined ? [] : [INSTALL] })),
      },
    ];
  }
  const before = await authorityBefore(look.env, look.run, installed);
  const request = {
    ...(split === undefined ? {} : requestOf(split, new Set(look.accounts.map(({ address }) => address)))),
    caFile: before,
  };
  const plan = planned(look, request);
  const file =
    plan instanceof CmsError ? (installed?.options ?? DEFAULT_OPTIONS).smartHostsFile : plan.options.smartHostsFile;
  const steps: Step[] = [
    {
      id: 'exim.judged',
      subject: '',
      limitMs: EXIM_LIMIT_MS,
      look: async () => {
        const verdict = await judgeConfig({ run: installedRun(look.run), binary, configFile: '' });
        return judgeVerdict(verdict, split === undefined ? [INSTALL] : []);
      },
    },
    {
      ...{ ...configStep(look), needs, after: ['exim.judged'] },
      look: async (result) => {
        if (plan instanceof CmsError) return failed(plan);
        const judged = split === undefined ? judgeInstalledConfig(await configText(), plan.config) : judgeSplit(split);
        const refused = result('exim.judged');
        // What was changed there is what exim refuses.
        return judged.status === 'warning' && isBroken(refused) ? because(refused) : judged;
      },
    },
    {
      id: 'exim.authority',
      subject: '',
      needs: [...needs, keyOf(configStep(look))],
      limitMs: EXIM_LIMIT_MS,
      look: async () => {
        const authority = await eximAuthority({ accounts: look.accounts, before });
        return judgeAuthority(authority, (caFile) =>
          split === undefined ? [installWith(caFile)] : transportsCommands(split, caFile),
        );
      },
    },
    {
      id: 'exim.accounts',
      subject: file,
      needs,
      look: async () => {
        const { text, closed } = await readSmartHosts(file);
        const block = closed ? undefined : (findBlock(text, installed?.user ?? look.user) ?? '');
        if (split === undefined) return judgeSmartHosts(smartHostsState(installed, look.accounts), block, plan);
        return judgeSmartHosts('current', block, plan, linesCommand(file, request));
      },
    },
  ];
  const queue: Step = {
    id: 'exim.queue',
    subject: '',
    limitMs: EXIM_LIMIT_MS,
    look: async () => judgeQueue(await look.frozen()),
  };
  if (plan instanceof CmsError) return [...steps, queue];
  return [...steps, ...senderSteps(look, plan, binary, needs), queue];
}

/** @param frozen undefined where exim shows the caller only a part of its queue. Pure. */
function judgeQueue(frozen: FrozenMail | undefined): Judgement {
  const list = 'sudo exim4 -bp   # lists the queue; look for *** frozen ***';
  if (frozen === undefined) return skipped('exim shows its queue to root and its own group alone', { fix: [list] });
  const words = frozenWords(frozen);
  if (words === undefined) return ok('no mail is frozen');
  return warning(words, {
    cause: 'exim could neither deliver nor return it, and deletes it after 7 days; mostly it is a bounce',
    fix: [list, 'sudo exim4 -Mvl ID   # what was tried, and why it failed', 'sudo exim4 -Mvb ID   # what it says'],
    who: 'root',
  });
}

function senderSteps(look: EximLook, plan: EximPlan, binary: string, needs: readonly string[]): Step[] {
  const file = plan.options.smartHostsFile;
  const ours = keyOf(configStep(look));
  const lines = keyOf({ id: 'exim.accounts', subject: file });
  const socket = keyOf({ id: 'socket', subject: plan.socket });
  return sendersOf(plan.lines)
    .slice(0, SENDERS)
    .map((sender) => ({
      id: 'exim.sender',
      subject: `<${sender}>`,
      needs: [...needs, 'exim.judged', ours, lines, 'broker', socket],
      limitMs: EXIM_LIMIT_MS,
      look: async () => {
        const { text, closed } = await readSmartHosts(file);
        const entries = parseEntries(closed ? plan.block : text);
        return judgeSender(
          await checkSender({ run: installedRun(look.run), binary, configFile: '' }, entries, sender),
          plan,
        );
      },
    }));
}

function configStep({ split }: EximLook): Pick<Step, 'id' | 'subject'> {
  return { id: 'exim.config', subject: split === undefined ? EXIM_CONFIG_FILE : SPLIT_FOLDER };
}

function eximBinary(env: Environment): string | undefined {
  try {
    return findExim4(env);
  } catch {
    return undefined;
  }
}

function planned({ user, hostName, accounts, installed }: EximLook, request: EximRequest): EximPlan | CmsError {
  try {
    return planExim(request, { user, hostName, accounts, installed });
  } catch (error) {
    return toCmsError(error);
  }
}

/** The configuration that is installed: exim keeps its privileges for no other. */
function installedRun(run: Run): Run {
  return ([binary = '', dash, file, ...rest], input) =>
    run(
      dash === '-C' ? [binary, ...rest] : [binary, ...[dash, file].filter((each) => each !== undefined), ...rest],
      input,
    );
}

async function configText(): Promise<string | undefined> {
  try {
    return await readFile(EXIM_CONFIG_FILE, 'utf8');
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** @param text of the installed file; undefined where there is none. Pure. */
export function judgeInstalledConfig(text: string | undefined, wanted: string): Judgement {
  if (text === wanted) return ok('ours, as it would be written now');
  const fix = [INSTALL];
  if (text === undefined) return failure('config_invalid', 'it is not there: exim uses another configuration', { fix });
  if (!text.includes('# Made by "cms exim-config"'))
    return failure('config_invalid', 'it is not ours', {
      cause: 'it was replaced; cms exim-config --install keeps a copy of it',
      fix,
    });
  return warning('ours, but not as it would be written now', {
    cause: namesNoServer(text) ? NAMES_NO_SERVER : 'it was written by an older cms, or changed since',
    fix,
  });
}

/** @param verdict what exim complains of. Pure. */
function judgeVerdict(verdict: string | undefined, fix: readonly string[] = [INSTALL]): Judgement {
  if (verdict === undefined) return ok('exim takes its configuration');
  const said = verdict.replace(/^\d{4}-\d\d-\d\d [\d:]+ |^\s*Configure owner: .*/gm, '').replace(/\s*\n\s*/g, ' ');
  return failure('config_invalid', `exim refuses its configuration: ${said}`, { fix: [...fix, 'sudo exim4 -bV'] });
}

function installWith(caFile: string): string {
  return `${INSTALL} --ca-file ${caFile}`;
}

/** @param commands that have exim trust a file, or `system`. Pure. */
function judgeAuthority(
  { caFile, ofAccounts, failing }: EximAuthority,
  commands: (caFile: string) => readonly string[],
): Judgement {
  if (ofAccounts)
    return failure('config_invalid', 'exim does not know the authority of the servers', {
      cause: `every account that sends has ${caFile}, exim has the system's certificates`,
      fix: commands(caFile),
    });
  const [first] = failing;
  if (first === undefined) return ok(`it trusts the servers of the accounts: ${caFile}`);
  const { host, address, why, command } = first;
  return failure('config_invalid', `exim sends nothing for ${address}: it does not trust the certificate of ${host}`, {
    cause: why,
    fix: [command, ...(caFile === SYSTEM_TRUST ? [] : commands(SYSTEM_TRUST))],
  });
}

/** @param block ours as it stands in the file; undefined where the file is closed to us. Pure. */
function judgeSmartHosts(
  state: SmartHostsState,
  block: string | undefined,
  plan: EximPlan | CmsError,
  command = INSTALL,
): Judgement {
  const fix = [command];
  if (state === 'stale')
    return failure('config_invalid', 'exim does not know of the accounts as they are now', {
      cause: 'accounts were added, changed or removed since the last installation',
      fix,
    });
  if (block === '') return failure('config_invalid', 'our lines are not in it', { fix });
  if (block === undefined && command !== INSTALL)
    return skipped('it is closed to you, and nothing notes what was written');
  if (block === undefined) return ok('as it was installed last; it is closed to you');
  if (!(plan instanceof CmsError) && block !== plan.block)
    return command === INSTALL
      ? warning('the lines of cms were changed', { cause: 'the next installation replaces them', fix })
      : failure('config_invalid', 'our lines do not say what the accounts say now', { fix });
  return ok('says what the accounts say');
}

/** Pure. */
function judgeSender(sender: CheckedSender, { user }: Pick<EximPlan, 'user'>): Judgement {
  const { account = '?', line = '-', host = '?', detail } = sender;
  if (sender.ok) return ok(`through ${account} at ${host} (line ${line}, ${detail}; route only, no login)`);
  return failure('temporarily_unavailable', `exim would not send now: ${detail}`, {
    cause: `line ${line} of ${user}, account ${account}`,
    fix: [bySudo(`cms exim-config --try ${quoted(sender.sender === '<>' ? '<>' : sender.sender.slice(1, -1))}`)],
  });
}
