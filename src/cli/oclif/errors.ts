/** What the command framework throws, in the words of this program: one sentence, and the command that helps. */
import { stripVTControlCharacters } from 'node:util';
import { Errors } from '@oclif/core';
import { unknownCommand } from './unknown-command.ts';
import { CmsError, messageOf, systemErrorCode, toCmsError } from '../../lib/core/errors.ts';
import { allFinished } from '../../lib/os/ending.ts';
import { nearest } from '../../lib/core/nearest.ts';
import { cannotPrint, reportFailure } from '../report-failure.ts';

/** @param command its words as typed after `cms` */
export function fromOclif(error: unknown, command: string): CmsError {
  if (error instanceof CmsError) return error;
  // What a prompt throws on Ctrl-C is the user's own wish.
  if (error instanceof Error && error.name === 'ExitPromptError') {
    return new CmsError('usage', 'cancelled; nothing was changed');
  }
  if (!(error instanceof Error) || !('oclif' in error)) return toCmsError(error);
  const message = `${sentence(messageOf(error))}${meantFlag(error)}`;
  return new CmsError('usage', message, {
    suggestions: [['cms', command, '--help'].filter(Boolean).join(' ')],
    cause: error,
  });
}

/** Of the framework's NonExistentFlagsError, which it does not export. */
interface UnknownFlags {
  flags: string[];
  parse: { input: { flags: object } };
}

function meantFlag(error: object): string {
  if (!('flags' in error)) return '';
  const { flags, parse } = error as UnknownFlags;
  const meant = nearest(flags[0]?.replace(/^--?|=.*$/g, '') ?? '', Object.keys(parse.input.flags));
  return meant === undefined ? '' : `; did you mean --${meant}?`;
}

/** Ends the process when its output is not taken; a reader that has read enough (`| head`) is none of our business. */
export function endUnprinted(error: unknown): void {
  if (systemErrorCode(error) === 'EPIPE') return;
  const failure = cannotPrint(error);
  reportFailure(failure, false);
  // A terminal that was closed takes no output; a grant on its way has to be stored all the same.
  void allFinished().then(() => process.exit(failure.exitStatus));
}

/** For failures that come before any command runs. */
export async function reportStartFailure(
  error: unknown,
  argv: readonly string[],
  commandIds: () => Promise<string[]> | string[],
): Promise<void> {
  if (error instanceof Errors.ExitError) {
    process.exitCode = error.oclif.exit ?? 0;
    return;
  }
  const missing = /^command (\S+) not found\.?$/i.exec(messageOf(error))?.[1]?.split(':');
  const commands = missing && (await commandIds()).map((id) => id.replaceAll(':', ' '));
  const failure = missing && commands ? unknownCommand(missing, commands) : fromOclif(error, '');
  reportFailure(failure, argv.includes('--json'));
  process.exitCode = failure.exitStatus;
}

/** A pointer to its help, and warnings of flags that take all words that follow, which none does here. */
const OF_THE_FRAMEWORK = /^(?:See more help with|Note: --|Alternatively, you can use "--")/;

/** The framework writes headings, lists and remarks of its own. */
function sentence(text: string): string {
  const lines = stripVTControlCharacters(text)
    .split('\n')
    .map((line) => line.trim().replace(/\s{2,}/g, ': '))
    .filter((line) => line !== '' && !OF_THE_FRAMEWORK.test(line));
  const [head = 'wrong usage', ...rest] = lines;
  const value = /^Parsing (--[\w-]+)$/.exec(head);
  if (value !== null) return `${value[1]}: ${lowerFirst(rest.join('; '))}`;
  if (rest.length === 0) return lowerFirst(plain(head));
  if (/^The following errors? occurred:$/.test(head)) return lowerFirst(rest.map(plain).join('; '));
  return `${lowerFirst(head)}${head.endsWith(':') ? ' ' : '; '}${rest.join('; ')}`;
}

/** Which flags do not go together, and which only do. */
function plain(line: string): string {
  return line
    .replace(/^(--[\w-]+)(?:=.*)? cannot also be provided when using (--[\w-]+)$/, '$1 and $2 exclude each other')
    .replace(/^All of the following must be provided when using (--[\w-]+): (--[\w-]+)$/, '$1 goes with $2');
}

function lowerFirst(text: string): string {
  return text.replace(/^[A-Z](?=[a-z])/, (letter) => letter.toLowerCase()).replace(/\.$/, '');
}
