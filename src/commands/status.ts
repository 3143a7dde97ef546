import { Args, Flags } from '@oclif/core';
import { readAudit } from '../lib/broker/server/audit.ts';
import { brokerSocket } from '../lib/broker/find.ts';
import { type Context, openContext } from '../lib/context.ts';
import { CmsError, toCmsError } from '../lib/core/errors.ts';
import { findExim4 } from '../lib/exim/binary.ts';
import { impatientRun } from '../lib/os/process.ts';
import { readInstalled } from '../lib/exim/install/installed.ts';
import { type FrozenMail, frozenMail } from '../lib/exim/queue.ts';
import { redact } from '../lib/core/redact.ts';
import { auditText } from '../lib/status/audit.ts';
import { renderStatus } from '../lib/status/render.ts';
import { screenOf } from '../lib/terminal/screen.ts';
import { exitStatusOf, readStatus } from '../lib/status/view.ts';
import { Display, watch } from '../lib/status/watch.ts';
import { BaseCommand } from './base.ts';
import { quoted } from '../lib/core/shell-word.ts';

const DEFAULT_SECONDS = 2;
const LONGEST_SECONDS = 86_400;

interface Wishes {
  json: boolean;
  all: boolean;
}

export default class Status extends BaseCommand {
  static override readonly summary = 'show the accounts, the broker and its sockets';
  static override readonly description = [
    'For each account: its state, what is left of its access token, the last refresh, and when you will have to sign in again, if that is known. Without a broker it shows the state in the vault, and whether the vault can be opened.',
    'With more than 50 accounts, a terminal shows only those that need attention; --all shows all of them. A file or a pipe gets all accounts and columns, without colours.',
    'The exit status says the worst of it: 77 an account needs you, 78 a client is wrong, 69 the keyring is locked or no broker runs, 74 a grant cannot be stored, 75 a provider does not answer. With --watch it is that of the last look; Ctrl-C ends it. --watch --json prints one line of JSON for each look.',
  ].join('\n\n');
  static override readonly usage = ['status [--all] [--json] [--watch [SECONDS]]', 'status --log [--lines N] [--json]'];
  static override readonly examples = [
    '<%= config.bin %> status',
    '<%= config.bin %> status --watch',
    '<%= config.bin %> status --watch 10 | tee status.txt',
    '<%= config.bin %> status --json',
    '<%= config.bin %> status --log',
  ];
  static override readonly args = {
    seconds: Args.string({
      description: `with --watch: seconds between two updates (default ${DEFAULT_SECONDS})`,
    }),
  };
  static override readonly flags = {
    watch: Flags.boolean({ exclusive: ['log'], description: 'update every SECONDS until Ctrl-C' }),
    all: Flags.boolean({ exclusive: ['log'], description: 'show all accounts, however many there are' }),
    log: Flags.boolean({ description: 'show who got which token, and who was refused' }),
    lines: Flags.integer({
      min: 1,
      dependsOn: ['log'],
      helpValue: 'N',
      description: 'number of lines of the --log (default 20)',
    }),
    json: BaseCommand.jsonFlag,
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Status);
    const seconds = secondsFrom(args.seconds, flags.watch);
    const context = openContext(process.env);
    if (flags.log) {
      const lines = await readAudit(context.paths.auditFile, flags.lines ?? 20);
      if (flags.json) this.printJson(lines);
      else process.stdout.write(auditText(lines));
      return;
    }
    if (flags.watch) await watchStatus(context, flags, seconds * 1000);
    else process.stdout.write(await look(context, flags));
  }
}

/** One look as text; the exit status says the worst of it. */
async function look(context: Context, { json, all }: Wishes, lines = false): Promise<string> {
  const now = Date.now();
  const [status, frozen] = await Promise.all([readStatus(context, now), frozenInQueue(context)]);
  const view = { ...status, ...(frozen && { frozen }) };
  process.exitCode = exitStatusOf(view);
  if (json) return `${lines ? JSON.stringify(view) : JSON.stringify(view, null, 2)}\n`;
  const screen = screenOf(process.stdout, process.env);
  return renderStatus(view, { screen, now, privateSocket: brokerSocket(context.paths), all });
}

const QUEUE_LIMIT_MS = 2000;

/** Where cms was installed for exim, and exim shows the caller its queue. */
async function frozenInQueue({ paths, env }: Context): Promise<FrozenMail | undefined> {
  try {
    if ((await readInstalled(paths)) === undefined) return undefined;
    return await frozenMail(impatientRun(QUEUE_LIMIT_MS, new AbortController().signal), findExim4(env));
  } catch {
    // Of what is wrong with exim, doctor tells.
    return undefined;
  }
}

async function watchStatus(context: Context, wishes: Wishes, intervalMs: number): Promise<void> {
  const { stdout } = process;
  const display = new Display(stdout);
  const enough = new AbortController();
  const end = (): void => enough.abort();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, end);
  // The reader has closed the pipe.
  stdout.on('error', end);
  const onTerminal = stdout.isTTY && !wishes.json;
  if (onTerminal) giveTerminalBackWhileStopped(display);
  const rows = (): number | undefined => (onTerminal ? screenOf(stdout, process.env).rows : undefined);
  const { signal } = enough;
  const separator = wishes.json ? '' : '\n';
  await watch({ look: () => lookOrSay(context, wishes), output: stdout, rows, intervalMs, separator, signal }, display);
}

/** A broker that is just being replaced is no reason to stop watching. */
async function lookOrSay(context: Context, wishes: Wishes): Promise<string> {
  try {
    return await look(context, wishes, true);
  } catch (error) {
    const failure = toCmsError(error);
    process.exitCode = failure.exitStatus;
    if (wishes.json) return `${redact(JSON.stringify(failure))}\n`;
    return redact(
      [`cms: error: ${failure.message}`, ...failure.suggestions.map((line) => `cms: try: ${line}`), ''].join('\n'),
    );
  }
}

/** Ctrl-Z and fg: the shell in between has its screen and its cursor. */
function giveTerminalBackWhileStopped(display: Display): void {
  process.on('SIGTSTP', () => {
    display.leave();
    process.kill(process.pid, 'SIGSTOP');
  });
  process.on('SIGCONT', () => display.enter());
}

/** @throws CmsError `usage` */
function secondsFrom(word: string | undefined, watching: boolean): number {
  if (word === undefined) return DEFAULT_SECONDS;
  if (word.includes('@')) {
    const suggestions = [`cms account show ${quoted(word)}`, `cms doctor ${quoted(word)}`];
    throw new CmsError('usage', 'status shows all accounts, not one', { suggestions });
  }
  if (!watching)
    throw new CmsError('usage', `${word}: a number of seconds belongs to --watch`, {
      suggestions: ['cms status --watch 10'],
    });
  const seconds = Number(word);
  if (/^\d+$/.test(word) && seconds >= 1 && seconds <= LONGEST_SECONDS) return seconds;
  const message = `--watch takes seconds, 1 to ${String(LONGEST_SECONDS)}, and not ${word}`;
  throw new CmsError('usage', message, { suggestions: ['cms status --watch 10'] });
}
