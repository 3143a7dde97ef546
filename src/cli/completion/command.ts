/** What completions and manual pages need to know of a command; and what a shell can offer for its words. Pure. */

export interface CommandText {
  /** As typed after `cms`: `['account', 'add']`. */
  words: readonly string[];
  summary: string;
  description: string;
  arguments: readonly ArgumentText[];
  flags: readonly FlagText[];
  examples: readonly ExampleText[];
}

export interface ArgumentText {
  name: string;
  description: string;
  required: boolean;
  options: readonly string[];
}

export interface FlagText {
  name: string;
  char: string | undefined;
  description: string;
  /** What stands for its value in help; undefined for a switch. */
  value: string | undefined;
  options: readonly string[];
  /** What a shell offers, where others are possible as well. */
  suggestions?: readonly string[];
  repeatable: boolean;
  /** There is a `--no-…` of it. */
  negatable: boolean;
}

export interface ExampleText {
  description: string | undefined;
  command: string;
}

export interface TopicText {
  name: string;
  summary: string;
}

export interface CommandLine {
  commands: readonly CommandText[];
  topics: readonly TopicText[];
}

/** What a shell offers for one word. */
export type Offer = 'account' | 'command' | 'file' | 'folder' | 'nothing' | readonly string[];

export function offerForFlag({ value = '', options, suggestions = [] }: FlagText): Offer {
  const names = [...options, ...suggestions];
  return names.length > 0 ? names : offerForName(value);
}

export function offerForArgument({ name, options }: ArgumentText): Offer {
  return options.length > 0 ? options : offerForName(name);
}

function offerForName(name: string): Offer {
  switch (name.toUpperCase()) {
    case 'ADDRESS':
    case 'SENDER':
      return 'account';
    case 'COMMAND':
      return 'command';
    case 'FILE':
    case 'PATH':
      return 'file';
    case 'DIR':
      return 'folder';
    default:
      return 'nothing';
  }
}

/** Whether all that follows is another command, as after `service run`. */
export function startsAnother({ arguments: [first] }: CommandText): boolean {
  return first !== undefined && offerForArgument(first) === 'command';
}

/** All forms of a flag as typed: `--json`, `-o`, `--no-linger`. */
export function formsOf({ name, char, negatable }: FlagText): string[] {
  return [`--${name}`, ...(char === undefined ? [] : [`-${char}`]), ...(negatable ? [`--no-${name}`] : [])];
}

/** What can follow each sequence of words that is no whole command: the empty one, and the topics. */
export function followersOf({ commands, topics }: CommandLine): Map<string, TopicText[]> {
  const followers = new Map<string, TopicText[]>();
  for (const { words, summary } of commands) {
    words.forEach((name, index) => {
      const before = words.slice(0, index).join(' ');
      const known = followers.get(before) ?? [];
      if (known.some((each) => each.name === name)) return;
      const isCommand = index === words.length - 1;
      const topic = topics.find((each) => each.name === words.slice(0, index + 1).join(' '));
      followers.set(before, [...known, { name, summary: isCommand ? summary : (topic?.summary ?? '') }]);
    });
  }
  return followers;
}

/**
 * Shell that prints the addresses of the accounts, one a line. It reads the file and starts neither node nor a broker,
 * because the user has pressed Tab and waits for it. An address holds neither quotes nor backslashes. Only a regular
 * file of the caller's, which is no link, is read: Tab neither waits for a FIFO nor offers what another user has put there.
 */
export const LIST_ADDRESSES = {
  sh: `[ -f "$file" ] && [ -O "$file" ] && [ ! -L "$file" ] && grep -o '"address": *"[^"\\\\]*"' "$file" 2>/dev/null | cut -d '"' -f 4`,
  file: '${CMS_CONFIG_DIR:-${XDG_CONFIG_HOME:-$HOME/.config}/cms}/accounts.json',
} as const;
