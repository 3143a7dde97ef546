import {
  type CommandLine,
  type CommandText,
  type FlagText,
  followersOf,
  type Offer,
  offerForArgument,
  offerForFlag,
  startsAnother,
  type TopicText,
} from './command.ts';

/** The completion of `cms` for fish. Pure. */
export function fishCompletion(line: CommandLine): string {
  return `# fish completion for cms. Made by: cms completion fish

# Whether the line begins with this command; with --only, whether it is nothing but these words.
function __cms_at
    set -l words (commandline -opc)
    set -e words[1]
${line.commands.filter(startsAnother).map(withoutStarter).join('')}    if test "$argv[1]" = --only
        set -e argv[1]
        test "$words" = "$argv"
        return
    end
    set -l count (count $argv)
    test (count $words) -ge $count; and test "$words[1..$count]" = "$argv"
end

function __cms_accounts
    set -l folder $HOME/.config/cms
    set -q XDG_CONFIG_HOME; and test -n "$XDG_CONFIG_HOME"; and set folder $XDG_CONFIG_HOME/cms
    set -q CMS_CONFIG_DIR; and test -n "$CMS_CONFIG_DIR"; and set folder $CMS_CONFIG_DIR
    test -f $folder/accounts.json -a -O $folder/accounts.json -a ! -L $folder/accounts.json; or return
    grep -o '"address": *"[^"\\\\\\\\]*"' $folder/accounts.json 2>/dev/null | cut -d '"' -f 4
end

complete -c cms -f
complete -c cms-token -f -w 'cms token'
${[...followersOf(line)].flatMap(wordLines).join('\n')}
${line.commands
  .filter((command) => !startsAnother(command))
  .flatMap(commandLines)
  .join('\n')}
`;
}

/** Another command follows: these words count for nothing. */
function withoutStarter({ words }: CommandText): string {
  const range = `words[1..${words.length}]`;
  return `    if test (count $words) -ge ${words.length}; and test "$${range}" = ${quoted(words.join(' '))}
        set -e ${range}
    end
`;
}

function wordLines([words, names]: [string, TopicText[]]): string[] {
  const at = quoted(`__cms_at --only ${words}`.trim());
  return names.map(({ name, summary }) => `complete -c cms -n ${at} -a ${name} -d ${quoted(summary)}`);
}

function commandLines({ words, flags, arguments: all }: CommandText): string[] {
  const start = `complete -c cms -n ${quoted(`__cms_at ${words.join(' ')}`)}`;
  return [
    ...flags.flatMap((flag) => flagLines(start, flag)),
    `${start} -l help -s h -d 'show help'`,
    ...all.map((argument) => `${start}${action(offerForArgument(argument))}`),
  ];
}

function flagLines(start: string, flag: FlagText): string[] {
  const { name, char, value, negatable, description } = flag;
  const short = char === undefined ? '' : ` -s ${char}`;
  const end = `${value === undefined ? '' : ` -r${action(offerForFlag(flag))}`} -d ${quoted(description)}`;
  const no = negatable ? [`${start} -l no-${name} -d ${quoted(description)}`] : [];
  return [`${start} -l ${name}${short}${end}`, ...no];
}

function action(offer: Offer): string {
  if (typeof offer !== 'string') return ` -f -a ${quoted(offer.join(' '))}`;
  const arguments_ = {
    account: " -f -a '(__cms_accounts)'",
    file: ' -F',
    folder: " -f -a '(__fish_complete_directories)'",
  };
  return offer === 'nothing' || offer === 'command' ? ' -f' : arguments_[offer];
}

/** In single quotes of fish only the quote and the backslash mean something. */
function quoted(text: string): string {
  return `'${text.replace(/['\\]/g, '\\$&')}'`;
}
