import { hostname, userInfo } from 'node:os';
import { Args, Flags } from '@oclif/core';
import { parseAddress } from '../lib/accounts/address.ts';
import { openContext } from '../lib/context.ts';
import { becomeOwner, type Examiner, examinerOf } from '../lib/doctor/caller.ts';
import { examine } from '../lib/doctor/doctor.ts';
import { type Check, type CheckStatus, exitStatusOf, summaryOf } from '../lib/doctor/check.ts';
import { linesOf } from '../lib/doctor/report/lines.ts';
import { reportOf } from '../lib/doctor/report/report.ts';
import { impatientRun, type Run } from '../lib/os/process.ts';
import { paint, screenOf } from '../lib/terminal/screen.ts';
import { columnsOf } from '../lib/terminal/width.ts';
import { obtainPassword, obtainToken } from '../cli/fast/token.ts';
import { BaseCommand } from './base.ts';
import { programOf } from './service/install.ts';

/** No program that is asked needs longer; none of them keeps the command from ending. */
const CHILD_LIMIT_MS = 15_000;

export default class Doctor extends BaseCommand {
  static override readonly summary = 'find out what is wrong and how to fix it';
  static override readonly description =
    'Files, vault key, provider, token, logins, broker, sockets, exim, hooks, service, also that of the host: each link is checked, with its own time limit. A link that depends on a failed one is skipped. Nothing is changed; a token is refreshed only if it is not fresh, or was refused. Exit status: 0 without a failure, otherwise that of the first failure.';
  static override readonly examples = [
    '<%= config.bin %> doctor',
    '<%= config.bin %> doctor jane@example.org',
    '<%= config.bin %> doctor --json',
    '<%= config.bin %> doctor --report > report.md',
  ];
  static override readonly strict = false;
  static override readonly args = {
    address: Args.string({ description: 'only these accounts (repeatable)' }),
  };
  static override readonly flags = {
    refresh: Flags.boolean({ description: 'refresh each token, even if it is fresh' }),
    report: Flags.boolean({
      description: 'print a Markdown report that is safe to publish: names, hosts and addresses are masked',
      exclusive: ['json'],
    }),
    json: BaseCommand.jsonFlag,
  };

  async run(): Promise<void> {
    const { argv, flags } = await this.parse(Doctor);
    const stop = new AbortController();
    const run = impatientRun(CHILD_LIMIT_MS, stop.signal);
    const { name, uid, probe, system, frozen } = await this.#asOwner(run);
    const context = openContext(process.env);
    const live = !flags.json && !flags.report;
    const columns = process.stdout.isTTY ? columnsOf(process.stdout) - 1 : Infinity;
    let group = '';
    const here = { context, run, version: this.config.version, user: name, hostName: hostname() };
    const checks = await examine({
      ...here,
      ...{ refresh: flags.refresh, program: programOf(this.config.root), uid, probe, system, frozen, now: Date.now },
      addresses: (argv as string[]).map((address) => parseAddress(address)),
      obtainToken: async (request) => (await obtainToken(request, context.env)).access_token,
      obtainPassword: (request) => obtainPassword(request, context.env),
      done: (check) => {
        if (!live) return;
        const link = linkOf(check);
        if (link !== group) this.print(`${group === '' ? '' : '\n'}${link}`);
        group = link;
        this.printLaidOut(linesOf(check, word(check.status), columns).join('\n'));
      },
    });
    const summary = summaryOf(checks);
    if (flags.json) this.printJson({ version: 1, checks: checks.map(published), summary });
    else if (flags.report) process.stdout.write(await reportOf(checks, here));
    else this.print(`\n${summary}`);
    process.exitCode = exitStatusOf(checks);
    stop.abort();
  }

  /** root by sudo tries the sockets as their users, and is the user who called sudo from then on. */
  async #asOwner(run: Run): Promise<Examiner> {
    const caller = { uid: process.getuid?.(), name: userInfo().username, env: process.env };
    const examiner = await examinerOf(caller, run, process.execPath);
    becomeOwner(examiner);
    return examiner;
  }
}

const TITLES: Readonly<Record<string, string>> = {
  files: 'files',
  accounts: 'accounts',
  key: 'vault key',
  provider: 'provider',
  token: 'token',
  login: 'mail servers',
  broker: 'broker',
  socket: 'broker',
  mta: 'MTA',
  exim: 'exim',
  hook: 'hooks',
  notify: 'notifications',
  service: 'service',
  system: 'service of the host',
};

function linkOf({ id }: Check): string {
  const [first = ''] = id.split('.');
  return TITLES[first] ?? first;
}

const COLOURS = { ok: 'green', warning: 'yellow', failure: 'red', skipped: 'dim' } as const;

function word(status: CheckStatus): string {
  const padded = status.padEnd(8);
  return paint(screenOf(process.stdout, process.env), COLOURS[status], padded);
}

/** What only the walk itself needs is left out. */
function published({ blockedBy: _blockedBy, ...check }: Check): object {
  return check;
}
