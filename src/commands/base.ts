/** What all commands share: errors that name their fix, the exit statuses of the table, and JSON on request. */
import { Command, Errors, Flags } from '@oclif/core';
import wrapAnsi from 'wrap-ansi';
import { CmsError } from '../lib/core/errors.ts';
import { forbidDumps } from '../lib/os/libc.ts';
import { redact } from '../lib/core/redact.ts';
import { reportFailure } from '../cli/report-failure.ts';
import { asTyped, isAsSystem } from '../lib/service/system.ts';
import { explainUnknown } from '../cli/unknown-account.ts';
import { columnsOf } from '../lib/terminal/width.ts';
import { fromOclif } from '../cli/oclif/errors.ts';
import { quoted } from '../cli/prompts/resume.ts';

export abstract class BaseCommand extends Command {
  /** `--json` for the commands that print data. */
  static readonly jsonFlag = Flags.boolean({ description: 'print JSON and ask nothing', default: false });

  readonly #remarks: string[] = [];

  /** Nearly every command holds a secret sooner or later. */
  protected override async init(): Promise<void> {
    forbidDumps();
    await super.init();
  }

  protected get wantsJson(): boolean {
    return this.argv.includes('--json');
  }

  /** Whether a person can be asked. */
  protected get mayAsk(): boolean {
    return process.stdin.isTTY && process.stderr.isTTY && !this.wantsJson;
  }

  /**
   * Progress and remarks: for people, on stderr, wrapped between words. An address or token stays in one piece. With
   * `--json` they wait for the result, because a failure is all there is on stderr.
   */
  protected say(words: string): void {
    if (this.wantsJson) this.#remarks.push(words);
    else this.tell(words);
  }

  /** What a person has to do now: as `say`, but at once. */
  protected tell(words: string): void {
    write(process.stderr, words);
  }

  /** A result in words: as `say`, on stdout. */
  protected print(words: string): void {
    write(process.stdout, words);
  }

  /** As `print`, of lines that are broken already. */
  protected printLaidOut(words: string): void {
    process.stdout.write(`${said(words)}\n`);
  }

  protected printJson(data: unknown): void {
    process.stdout.write(`${JSON.stringify(data, null, 2)}\n`);
  }

  /** This command with a yes to its question. */
  protected get withYes(): string {
    // Behind "--", a flag would be an argument.
    const end = this.argv.indexOf('--');
    const [flags, rest] = end < 0 ? [this.argv, []] : [this.argv.slice(0, end), this.argv.slice(end)];
    return [
      'cms',
      ...(this.id ?? '').split(':'),
      ...flags.filter((flag) => flag !== '--json').map(quoted),
      '--yes',
      ...rest.map(quoted),
    ].join(' ');
  }

  /** @throws CmsError `usage` at Ctrl-C */
  protected async asked(question: string, preset: boolean): Promise<boolean> {
    const { askYesNo } = await import('../cli/prompts/ask.ts');
    return askYesNo(question, preset).catch((error: unknown) => {
      const failure = fromOclif(error, '');
      throw failure.code === 'usage' ? failure.inOtherWords(failure.message, [this.withYes]) : failure;
    });
  }

  /**
   * As `asked`; without a terminal, the error names the flag. @param otherwise another way to do it
   * @throws CmsError `usage` for a no
   */
  protected async agreed(question: string, preset: boolean, otherwise = ''): Promise<boolean> {
    if (!this.mayAsk) {
      this.say(`cms: nothing was changed; to do it: ${this.withYes}${otherwise}`);
      return false;
    }
    if (await this.asked(question, preset)) return true;
    throw new CmsError('usage', 'nothing was changed', { suggestions: [this.withYes] });
  }

  protected override async finally(error: Error | undefined): Promise<void> {
    if (error === undefined) for (const words of this.#remarks) this.tell(words);
    await super.finally(error);
  }

  protected override async catch(error: unknown): Promise<void> {
    if (error instanceof Errors.ExitError) throw error;
    const command = this.id?.replaceAll(':', ' ') ?? '';
    const failure = typed(await explainUnknown(fromOclif(error, command), command, process.env));
    reportFailure(failure, this.wantsJson);
    process.exitCode = failure.exitStatus;
  }
}

function said(words: string): string {
  return redact(asTyped(words, process.env));
}

function write(stream: NodeJS.WriteStream, words: string): void {
  const line = said(words);
  const text = stream.isTTY ? line.replace(/.+/g, (each) => wrapped(each, columnsOf(stream))) : line;
  stream.write(`${text}\n`);
}

function typed(failure: CmsError): CmsError {
  if (!isAsSystem(process.env)) return failure;
  const asHere = (words: string): string => asTyped(words, process.env);
  return failure.inOtherWords(asHere(failure.message), failure.suggestions.map(asHere));
}

/** What goes on below begins where the line began. */
function wrapped(line: string, columns: number): string {
  if (line.length <= columns) return line;
  const indent = /^ */.exec(line)?.[0] ?? '';
  const room = columns - 1 - indent.length;
  return indent + wrapAnsi(line.slice(indent.length), room, { trim: false }).replace(/ *\n */g, `\n${indent}`);
}
