/** Words that other programs have and the framework does not, and the nearest match for unknown ones. Pure. */
import { CmsError } from '../../lib/core/errors.ts';
import { nearest } from '../../lib/core/nearest.ts';

const HELP_FLAGS = ['-h', '--help'];

/** `help [COMMAND]` and `version`, as git and npm have them. The help of what `service run` runs is that command's. */
export function withoutSynonyms([first, ...rest]: readonly string[]): string[] {
  if (first === 'service' && rest[0] === 'run' && rest.length > 2 && rest.some((word) => HELP_FLAGS.includes(word)))
    return rest.slice(1);
  if (first === 'help') return [...rest, '--help'];
  if (first === 'version' && rest.length === 0) return ['--version'];
  return first === undefined ? [] : [first, ...rest];
}

/**
 * A topic alone shows its help; a caller that asks for JSON would take that for an answer.
 * @throws CmsError `usage`
 */
export function requireCommand([topic = '', ...rest]: readonly string[], topics: readonly string[]): void {
  const isHelp = rest.some((word) => HELP_FLAGS.includes(word));
  if (isHelp || !topics.includes(topic) || !rest.includes('--json') || rest.some((word) => !word.startsWith('-')))
    return;
  throw new CmsError('usage', `which command of ${topic}?`, { suggestions: [`cms ${topic} --help`] });
}

/**
 * @param words as typed after `cms`, without flags
 * @param commands their words: `account add`
 * @returns CmsError `usage`, which suggests the command that was meant
 */
export function unknownCommand(words: readonly string[], commands: readonly string[]): CmsError {
  if (words[0]?.startsWith('-'))
    return new CmsError('usage', `nonexistent flag: ${words[0]}`, { suggestions: ['cms --help'] });
  const [whole, rest] = longestCommand(words, commands);
  if (whole !== undefined)
    return new CmsError('usage', `unexpected argument: ${rest.join(' ')}`, { suggestions: [`cms ${whole} --help`] });
  const topics = commands.flatMap((command) => /^(\S+) /.exec(command)?.[1] ?? []);
  const meant = nearestCommand(words, commands, topics);
  const topic = topics.find((each) => each === words[0]);
  const suggestions = [
    ...(meant === undefined ? [] : [`cms ${meant}`]),
    ['cms', topic, '--help'].filter(Boolean).join(' '),
  ];
  return new CmsError('usage', `no command ${words.join(' ')}`, { suggestions });
}

function longestCommand(
  words: readonly string[],
  commands: readonly string[],
): [string | undefined, readonly string[]] {
  const lengths = words.map((_, index) => words.length - index);
  const length = lengths.find((each) => commands.includes(words.slice(0, each).join(' ')));
  return length === undefined ? [undefined, []] : [words.slice(0, length).join(' '), words.slice(length)];
}

function nearestCommand(
  [first = '', second = '']: readonly string[],
  commands: readonly string[],
  topics: readonly string[],
): string | undefined {
  const start = nearest(first, [...topics, ...commands.filter((command) => !command.includes(' '))]);
  if (start === undefined || !topics.includes(start)) return start;
  const within = commands
    .filter((command) => command.startsWith(`${start} `))
    .map((command) => command.slice(start.length + 1));
  const end = within.length === 1 && second !== '' ? within[0] : nearest(second, within);
  if (end !== undefined) return `${start} ${end}`;
  return start === first ? undefined : `${start} --help`;
}
