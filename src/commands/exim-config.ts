/** Everything about exim: print, write, check, try and install its configuration. */
import { hostname, userInfo } from 'node:os';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Flags, type Interfaces } from '@oclif/core';
import { type Account, caFileOf, type MailServer } from '../lib/accounts/account.ts';
import { parseAddress } from '../lib/accounts/address.ts';
import { AccountStore } from '../lib/accounts/store.ts';
import type { Judgement } from '../lib/doctor/check.ts';
import { CmsError } from '../lib/core/errors.ts';
import { asMta } from '../lib/exim/probe/as-mta.ts';
import {
  type CheckedSender,
  checkSender,
  isSocketTrouble,
  judgeConfig,
  NAMES_NO_SERVER,
  namesNoServer,
  notInstalled,
  sendersOf,
} from '../lib/exim/probe/check.ts';
import { renderConfig, renderSplit, SECTIONS } from '../lib/exim/render/config.ts';
import { findExim4 } from '../lib/exim/binary.ts';
import { run, runScriptAsRoot } from '../lib/os/process.ts';
import { EXIM_CONFIG_FILE, renderInstallScript, whatItDoes } from '../lib/exim/install/install-script.ts';
import { type Installed, readInstalled } from '../lib/exim/install/installed.ts';
import { SYSTEM_CERTIFICATES, SYSTEM_TRUST } from '../lib/exim/render/options.ts';
import { ownerForRoot, ownerOf } from '../lib/os/owner.ts';
import { type EximPlan, noSender, noteOf, planExim } from '../lib/exim/install/plan.ts';
import { lookupKeys, type SmartHost } from '../lib/exim/smart-hosts/smart-hosts.ts';
import { nameOfOthers, parseEntries, replaceBlock } from '../lib/exim/smart-hosts/smart-hosts-file.ts';
import { socketChange } from '../lib/exim/install/socket-config.ts';
import { type Credentials, failureOf, type LoginOutcome, type Step, trySender } from '../lib/exim/probe/try.ts';
import { giveToMta, inWorkspace, readSmartHosts, writeFiles } from '../lib/exim/install/workspace.ts';
import { type Paths, resolvePaths } from '../lib/os/paths.ts';
import {
  authorityBefore,
  type Distrusted,
  type EximAuthority,
  eximAuthority,
} from '../lib/exim/trust/exim-authority.ts';
import { readFileIfAny, writeFileDurable } from '../lib/os/files/files.ts';
import { readConfigText } from '../lib/config/settings.ts';
import { readAuthorities } from '../lib/os/tls-authorities.ts';
import { BaseCommand } from './base.ts';
import { programOf } from './service/install.ts';

export default class EximConfig extends BaseCommand {
  static override readonly summary = 'configure exim to send through your accounts';

  static override readonly description = `Prints the configuration or one section of it. --install installs it, \
--check asks exim to check it, --try goes through a delivery without sending mail.

EVERY LOCAL USER of this machine can then send mail as the accounts in exim's smart-hosts file, unless the line of an account names \
the users who may (users=).

Options default to those of the last --install.`;

  static override readonly examples = [
    '<%= config.bin %> exim-config --install --default jane@example.org',
    '<%= config.bin %> exim-config --check',
    '<%= config.bin %> exim-config --try jane@example.org',
    '<%= config.bin %> exim-config --section authenticators',
    '<%= config.bin %> exim-config --write ./exim --socket /run/cms/jane/exim.sock',
  ];

  static override readonly usage =
    'exim-config [--section SECTION [--split] | --write DIR | --install [--yes] | --check | --try SENDER] [FLAGS]';

  static override readonly flags = {
    section: Flags.option({ options: SECTIONS, default: 'config' as const })({ description: 'what to print' }),
    split: Flags.boolean({
      description: "print the section for a file of Debian's split configuration (conf.d)",
      dependsOn: ['section'],
    }),
    write: Flags.string({
      description: 'write exim4.conf and exim-smart-hosts into this directory',
      helpValue: 'DIR',
      exclusive: ['install', 'check', 'try'],
    }),
    install: Flags.boolean({
      description: 'show a script that installs the configuration, ask, and run it with sudo',
      exclusive: ['check', 'try'],
    }),
    yes: Flags.boolean({ description: 'run the --install script without asking', dependsOn: ['install'] }),
    check: Flags.boolean({
      description: 'ask exim to check the configuration and to route each sender',
      exclusive: ['try'],
    }),
    try: Flags.string({
      description: "try a sender as the MTA's user: its line, the socket, the certificate and a real login; no mail",
      helpValue: 'SENDER',
    }),
    'smart-hosts-file': Flags.string({
      description: 'file with the lines of the accounts (default /etc/exim4/exim-smart-hosts)',
      helpValue: 'PATH',
    }),
    socket: Flags.string({
      description: "the broker's socket for exim (default /run/cms/USER/exim.sock)",
      helpValue: 'PATH',
    }),
    default: Flags.string({
      description: 'account for mail of root, cron and unknown senders, and for bounces',
      helpValue: 'ADDRESS',
    }),
    'local-domain': Flags.string({
      description: 'additional name of this host, whose mail goes to the default account (repeatable)',
      helpValue: 'DOMAIN',
      multiple: true,
      multipleNonGreedy: true,
    }),
    helo: Flags.string({ description: 'host name to send in EHLO', helpValue: 'NAME' }),
    listen: Flags.string({
      description: 'accept mail over SMTP at this address (default: do not listen)',
      helpValue: 'ADDR:PORT',
    }),
    'ca-file': Flags.string({
      description: `CA certificates to trust instead of the system's; "system" for the system's`,
      helpValue: 'PATH',
    }),
    json: BaseCommand.jsonFlag,
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(EximConfig);
    const caller = { uid: process.getuid?.(), name: userInfo().username, env: process.env };
    const { name, env, uid } = await ownerOf(caller, run);
    const paths = resolvePaths(env);
    const owner = uid ?? (await ownerForRoot(paths, caller.uid));
    const folder = flags.write === undefined ? undefined : resolve(flags.write);
    const beside = folder === undefined ? undefined : join(folder, 'exim-smart-hosts');
    const [accounts, installed] = [await new AccountStore(paths, owner).list(), await readInstalled(paths, owner)];
    const authority = await this.#authority(flags, accounts, installed, owner);
    const plan = planExim(
      {
        smartHostsFile: flags['smart-hosts-file'] ?? beside,
        socket: flags.socket,
        defaultAddress: flags.default,
        localDomains: flags['local-domain'],
        helo: flags.helo,
        listen: flags.listen,
        caFile: authority.caFile,
      },
      {
        user: name,
        hostName: hostname(),
        accounts,
        installed,
      },
    );
    const others = flags.try !== undefined || !['config', 'smart-hosts'].includes(flags.section);
    for (const remark of others ? [] : plan.remarks) this.say(`cms: ${remark}`);
    if (!others && plan.lines.length === 0)
      this.#withoutSender(plan, flags.check || (flags.install && installed === undefined));
    this.#tellFailing(authority);
    if (folder !== undefined) return this.#write(plan, folder);
    if (flags.install) {
      await this.#heedSplit(accounts);
      const keepsDefault = installed === undefined && flags.default === undefined;
      return this.#install(plan, { ...paths, owner }, { yes: flags.yes, keepsDefault, authority });
    }
    if (flags.check) return this.#check(plan, authority, { noted: installed, owner });
    if (flags.try !== undefined) return this.#try(plan, flags.try, accounts, owner);
    this.#print(plan, flags.section, flags.split);
  }

  /** A trial goes by what exim has; sections without transports need none. */
  async #authority(
    flags: Interfaces.InferredFlags<typeof EximConfig.flags>,
    accounts: readonly Account[],
    installed: Installed | undefined,
    owner: number | undefined,
  ): Promise<EximAuthority> {
    const { section, write, install, check, try: tried, 'ca-file': asked } = flags;
    // It is unknown which user exim will run as with files that are only written.
    if (write !== undefined && asked !== undefined && asked !== SYSTEM_TRUST) {
      await readAuthorities(asked, owner);
      return { caFile: asked, ofAccounts: false, failing: [] };
    }
    const whole = write !== undefined || install || check || ['config', 'transports'].includes(section);
    const tells = whole || tried !== undefined;
    const before = tells ? await authorityBefore(process.env, run, installed) : installed?.options.caFile;
    return eximAuthority({ accounts: tried === undefined && whole ? accounts : [], asked, before, owner });
  }

  #tellFailing({ caFile, failing }: EximAuthority): void {
    for (const { address, host, why, command } of failing) {
      this.say(`cms: exim will not trust the certificate of ${host} (${address}: ${why}) before the system does:`);
      const back = caFile === SYSTEM_TRUST ? '' : ` && cms exim-config --install --ca-file ${SYSTEM_TRUST}`;
      process.stderr.write(`${command}${back}\n`);
    }
  }

  /** What was installed may be emptied; what was not would take the place of a configuration that works. */
  #withoutSender(plan: EximPlan, needsOne: boolean): void {
    const lack = noSender(plan);
    if (needsOne) throw lack;
    this.say(`cms: ${lack.message}`);
  }

  #print(plan: EximPlan, section: (typeof SECTIONS)[number], split: boolean): void {
    const text = textOf(plan, section, split);
    if (this.wantsJson) this.printJson({ section, text });
    else process.stdout.write(text);
  }

  async #write(plan: EximPlan, folder: string): Promise<void> {
    const files = await writeFiles(plan, folder, writeFileDurable);
    const given = await giveToMta(files.smartHostsFile, run);
    if (!given) {
      this.say(
        `cms: ${files.smartHostsFile} is not readable for exim yet: sudo chgrp Debian-exim ${files.smartHostsFile}`,
      );
    }
    if (this.wantsJson)
      this.printJson({ config_file: files.configFile, smart_hosts_file: files.smartHostsFile, group_set: given });
    else process.stdout.write(`${files.configFile}\n${files.smartHostsFile}\n`);
  }

  async #install(
    plan: EximPlan,
    paths: Paths & { owner: number | undefined },
    { yes, keepsDefault, authority }: { yes: boolean; keepsDefault: boolean; authority: EximAuthority },
  ): Promise<void> {
    const toml = await readConfigText(paths.configFile, paths.owner);
    const passwords = plan.lines.some(({ auth }) => auth !== undefined);
    const { addition, remark } = socketChange(toml, { path: plan.socket, passwords });
    if (remark !== undefined) this.say(`cms: ${remark}`);
    if (plan.takenOver.length > 0) this.say(`cms: kept from the last --install: ${plan.takenOver.join(' ')}`);
    const installation = {
      ...plan,
      smartHostsFile: plan.options.smartHostsFile,
      paths,
      keepsDefault,
      caFileOfAccounts: authority.ofAccounts ? authority.caFile : undefined,
      socketAddition: addition,
      note: noteOf(plan),
    };
    if (keepsDefault) this.say('cms: a * line of yours that exim has already is kept');
    const script = renderInstallScript(installation);
    if (!yes && this.wantsJson) {
      this.printJson({ script });
      return;
    }
    if (!yes) process.stdout.write(script);
    if (!yes && this.mayAsk) for (const line of whatItDoes(installation)) this.say(line);
    if (!yes && !(await this.agreed('Run this script as root?', false, ', or run this script as root'))) return;
    await runScriptAsRoot(script);
    if (addition === undefined) return;
    this.say('cms: the broker reads its sockets when it starts: restart it, then cms exim-config --check');
  }

  /** While exim4.conf is there, exim does not read Debian's split configuration, nor our sections in it. */
  async #heedSplit(accounts: readonly Account[]): Promise<void> {
    const { readSplit, splitInUse, splitSteps } = await import('../lib/doctor/checks/split.ts');
    const split = await readSplit();
    if (split !== undefined && !split.overridden) {
      throw new CmsError(
        'config_invalid',
        "exim has the sections of cms in Debian's split configuration, whose place --install would take",
        { suggestions: splitSteps(split, accounts) },
      );
    }
    if (await splitInUse())
      this.say("cms: Debian's split configuration will not be read any more; docs/exim-debian-split.md keeps it");
  }

  async #check(
    plan: EximPlan,
    authority: EximAuthority,
    { noted, owner }: { noted: Installed | undefined; owner: number | undefined },
  ): Promise<void> {
    const binary = findExim4(process.env);
    const installed = await readSmartHosts(plan.options.smartHostsFile);
    if (installed.closed)
      this.say(`cms: ${plan.options.smartHostsFile} is closed to you: checked without the lines of others`);
    if (process.getuid?.() !== 0)
      this.say('cms: checked as yourself: exim drops its privileges for a configuration of yours');
    const inForce = await readFileIfAny(EXIM_CONFIG_FILE).catch(() => undefined);
    if (inForce !== undefined && namesNoServer(inForce.toString('latin1')))
      this.say(`cms: ${EXIM_CONFIG_FILE}: ${NAMES_NO_SERVER}; renew it: cms exim-config --install`);
    const smartHosts = replaceBlock(installed.text, plan.user, plan.block);
    const foreign = nameOfOthers(smartHosts, plan.user);
    if (foreign !== undefined) throw new CmsError('config_invalid', `${plan.options.smartHostsFile}: ${foreign}`);
    const checked = await inWorkspace(plan, smartHosts, writeFileDurable, async ({ configFile }) => {
      const offers = await offersAsExim(plan.options.caFile, owner);
      const exim = { run, binary, configFile, offers };
      const verdict = await judgeConfig(exim);
      if (verdict !== undefined) throw new CmsError('config_invalid', `exim refuses the configuration: ${verdict}`);
      // All at the same time.
      for (const { server } of plan.lines) void offers(server);
      const rows: CheckedSender[] = [];
      for (const sender of sendersOf(plan.lines)) rows.push(await checkSender(exim, parseEntries(smartHosts), sender));
      return rows.map((row) => withTrust(row, authority.failing));
    });
    const trouble = checked.some(({ detail }) => isSocketTrouble(detail)) ? await this.#socketTrouble(plan) : undefined;
    const asNoted = noted?.block_sha256 === noteOf(plan).block_sha256 && !authority.ofAccounts;
    const missing = notInstalled(plan, installed, asNoted);
    const senders = checked.map((row) => withTrouble(afterInstall(row, missing), trouble));
    if (this.wantsJson) this.printJson(senders);
    else process.stdout.write(table(senders));
    const failed = senders.filter(({ ok }) => !ok).length;
    if (failed > 0) {
      const code = missing.size > 0 ? 'config_invalid' : 'temporarily_unavailable';
      throw new CmsError(code, `${failed} of ${senders.length} senders cannot send now`, {
        suggestions: [
          ...(missing.size > 0 ? ['cms exim-config --install'] : []),
          ...(trouble?.fix ?? ['cms exim-config --try SENDER']),
          'cms doctor   # every link on the way',
        ],
      });
    }
  }

  async #try(plan: EximPlan, text: string, accounts: readonly Account[], owner: number | undefined): Promise<void> {
    const sender = text === '<>' || text === '' ? '' : parseAddress(text);
    const { run: asMtaRun, remark } = await asMta(run, process.getuid?.());
    if (remark !== undefined) this.say(`cms: ${remark}`);
    const { smartHostsFile, caFile } = plan.options;
    const steps = await trySender(sender, {
      asMta: asMtaRun,
      binary: findExim4(process.env),
      smartHostsFile,
      login: (server, credentials) => smtpLoginWith(server, credentials, caFile, owner),
    });
    if (this.wantsJson) this.printJson(steps);
    else process.stdout.write(steps.map(stepLine).join(''));
    const failure = failureOf(sender, steps, caFileFor(sender, plan.lines, accounts));
    if (failure === undefined) return;
    const atOurs = steps.some(({ step, ok, detail }) => step === 'socket' && !ok && detail.includes(plan.socket));
    const trouble = atOurs ? await this.#socketTrouble(plan) : undefined;
    if (trouble === undefined) throw failure;
    throw failure.inOtherWords(`<${sender}> cannot send: socket: ${wordsOf(trouble)}`, [...(trouble.fix ?? [])]);
  }

  /** What doctor says of the socket, if it finds something wrong. Nothing can be done as root afterwards. */
  async #socketTrouble({ socket }: EximPlan): Promise<Judgement | undefined> {
    const { judgeEximSocket } = await import('../lib/doctor/checks/exim-socket.ts');
    const caller = { uid: process.getuid?.(), name: userInfo().username, env: process.env };
    const program = programOf(this.config.root);
    const judged = await judgeEximSocket(socket, { caller, run, program, version: this.config.version });
    return judged.status === 'failure' ? judged : undefined;
  }
}

/** exim routes a mail whose connection it will refuse. */
function withTrust(row: CheckedSender, failing: readonly Distrusted[]): CheckedSender {
  const found = failing.find(({ address }) => address === row.account);
  if (!row.ok || found === undefined) return row;
  return { ...row, ok: false, detail: `the certificate of ${found.host} is not trusted: ${found.why}` };
}

function afterInstall(row: CheckedSender, missing: ReadonlySet<string>): CheckedSender {
  if (!row.ok || row.line === undefined || !missing.has(row.line)) return row;
  return { ...row, ok: false, detail: `${row.detail}, once it is installed` };
}

function withTrouble(row: CheckedSender, trouble: Judgement | undefined): CheckedSender {
  if (trouble === undefined || !isSocketTrouble(row.detail)) return row;
  return { ...row, detail: wordsOf(trouble) };
}

function wordsOf({ summary, cause }: Judgement): string {
  return `${summary}${cause === undefined ? '' : ` (${cause})`}`;
}

/** The file of authorities that the account of the sender's line has. */
function caFileFor(sender: string, lines: readonly SmartHost[], accounts: readonly Account[]): string | undefined {
  const line = lookupKeys(sender).flatMap((key) => lines.find((each) => each.key === key) ?? [])[0];
  const account = accounts.find(({ address }) => address === line?.account);
  return account && caFileOf(account);
}

function textOf({ options, block }: EximPlan, section: (typeof SECTIONS)[number], split: boolean): string {
  if (section === 'smart-hosts') return block;
  if (!split) return renderConfig(options, section);
  if (section !== 'config') return renderSplit(options, section);
  throw new CmsError('usage', 'the whole configuration is not split', {
    suggestions: ['cms exim-config --section routers --split'],
  });
}

async function smtpLoginWith(
  server: MailServer,
  credentials: Credentials,
  caFile: string | undefined,
  owner: number | undefined,
): Promise<LoginOutcome> {
  const { smtpLogin } = await import('../lib/mail/smtp.ts');
  return smtpLogin({ server, ...credentials, ...(await trustOfExim(caFile, owner)) });
}

/** What servers offer to a client that trusts the same CAs as exim; each is asked once, and not for long. */
async function offersAsExim(caFile: string | undefined, owner: number | undefined) {
  const trust = await trustOfExim(caFile, owner).catch(() => undefined);
  const { smtpMechanisms } = await import('../lib/mail/smtp.ts');
  const known = new Map<string, Promise<string[] | undefined>>();
  return async (server: MailServer): Promise<string[] | undefined> => {
    if (trust === undefined) return undefined;
    const key = JSON.stringify(server);
    const asked = known.get(key) ?? smtpMechanisms({ server, timeoutMs: OFFER_MS, ...trust });
    known.set(key, asked);
    return asked;
  };
}

/** For a server that is asked what it offers, in milliseconds. */
const OFFER_MS = 4000;

async function trustOfExim(caFile: string | undefined, owner: number | undefined): Promise<{ ca?: string }> {
  const trusted = caFile ?? (existsSync(SYSTEM_CERTIFICATES) ? SYSTEM_CERTIFICATES : undefined);
  return trusted === undefined ? {} : { ca: await readAuthorities(trusted, owner) };
}

function stepLine({ step, ok, detail }: Step): string {
  return `${step.padEnd(12)}${ok ? 'ok      ' : 'failed  '}${detail}\n`;
}

function table(senders: readonly CheckedSender[]): string {
  const rows = senders.map(({ sender, line = '-', host = '-', account = '-', ok, detail }) => [
    sender,
    line,
    host,
    account,
    ok ? `ok (${detail}); route only, no login` : detail,
  ]);
  const all = [['SENDER', 'LINE', 'HOST', 'ACCOUNT', 'EXIM SAYS'], ...rows];
  const widths = [0, 1, 2, 3].map((column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  const format = (row: string[]): string =>
    row
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd();
  return `${all.map(format).join('\n')}\n`;
}
