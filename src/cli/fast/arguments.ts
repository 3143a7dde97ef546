/** The command line of the commands that do not wait for the framework: `cms token` and `cms serve`. Pure. */
import { CmsError, messageOf } from '../../lib/core/errors.ts';

/** What `parse` makes of the words. @throws CmsError `usage`, whose suggestion is the help of `command` */
export function parsed<T>(command: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw usage(command, messageOf(error).replace(/^Unknown option '([^']*)'.*/s, 'nonexistent flag: $1'));
  }
}

/** @throws CmsError `usage` */
export function oneOf<T extends string>(command: string, flag: string, value: string, allowed: readonly T[]): T {
  const found = allowed.find((each) => each === value);
  if (found === undefined) throw usage(command, `${flag} is one of ${allowed.join(', ')}`);
  return found;
}

export function usage(command: string, message: string): CmsError {
  return new CmsError('usage', message.split('\n')[0] ?? message, { suggestions: [`cms ${command} --help`] });
}
