/**
 * The only questions that cms asks. They go to stderr, because stdout is for results, and are asked only where a person
 * is at a terminal: each has a flag that answers it beforehand.
 */
import { confirm, input, password, search, select, Separator } from '@inquirer/prompts';
import { CmsError, messageOf } from '../../lib/core/errors.ts';
import { Secret } from '../../lib/core/secret.ts';

const context = { output: process.stderr, clearPromptOnDone: false };

/** A line of text; asked again while `check` throws or rejects. */
export function askText(message: string, check: (text: string) => unknown, preset?: string): Promise<string> {
  return ask({ message, validate: validator(check), ...(preset !== undefined && { default: preset }) });
}

/** As `askText`, with the preset in the line, to be changed. */
export function askToEdit(message: string, check: (text: string) => unknown, preset: string): Promise<string> {
  return ask({ message, validate: validator(check), default: preset, prefill: 'editable' });
}

/** A line that is pasted: a wrong one makes room for the next. The signal takes the question back. */
export function askPasted(message: string, check: (text: string) => unknown, signal: AbortSignal): Promise<string> {
  return ask({ message, validate: validator(check), theme: { validationFailureMode: 'clear' } }, signal);
}

async function ask(question: Parameters<typeof input>[0], signal?: AbortSignal): Promise<string> {
  try {
    return (await input(question, signal ? { ...context, signal } : context)).trim();
  } catch (error) {
    // The prompt has an error of its own for a question that was taken back.
    if (error instanceof Error && error.name === 'AbortPromptError') signal?.throwIfAborted();
    throw error;
  }
}

/** A secret, shown as stars; undefined when it was left empty. Asked again while `check` throws. */
export async function askSecret(
  message: string,
  check: (text: string) => unknown = () => undefined,
): Promise<Secret | undefined> {
  const text = await password({ message, mask: '*', validate: validator(check) }, context);
  return text === '' ? undefined : new Secret(text);
}

export function askYesNo(message: string, preset: boolean): Promise<boolean> {
  return confirm({ message, default: preset }, context);
}

export interface Choice<T> {
  name: string;
  value: T;
  description?: string;
}

export function askChoice<T>(message: string, choices: readonly Choice<T>[]): Promise<T> {
  return select({ message, choices: [...choices], pageSize: 12, loop: false }, context);
}

/** A list that gets shorter as the user types. @param find what is left for a term; a text among it is a remark */
export function askSearch<T>(message: string, find: (term: string) => readonly (Choice<T> | string)[]): Promise<T> {
  const source = (term = '') =>
    find(term.trim().toLowerCase()).map((each) => (typeof each === 'string' ? new Separator(each) : each));
  const keysHelpTip = (keys: [key: string, action: string][]): string =>
    [['type', 'to search'], ...keys].map((words) => words.join(' ')).join(' • ');
  return search({ message, source, pageSize: 12, theme: { style: { keysHelpTip } } }, context);
}

function validator(check: (text: string) => unknown): (text: string) => Promise<true | string> {
  return async (text) => {
    try {
      await check(text.trim());
      return true;
    } catch (error) {
      return error instanceof CmsError ? [error.message, ...error.suggestions].join('; ') : messageOf(error);
    }
  };
}
