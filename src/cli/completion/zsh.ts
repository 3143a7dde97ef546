import {
  type CommandLine,
  type CommandText,
  type FlagText,
  followersOf,
  LIST_ADDRESSES,
  type Offer,
  offerForArgument,
  offerForFlag,
  startsAnother,
  type TopicText,
} from './command.ts';
import { quoted } from '../../lib/core/shell-word.ts';

/** The completion of `cms` for zsh: for `fpath` as `_cms`, or to be sourced. Pure. */
export function zshCompletion(line: CommandLine): string {
  return `#compdef cms cms-token
# zsh completion for cms. Made by: cms completion zsh

_cms_accounts() {
  local file=${LIST_ADDRESSES.file}
  local -a addresses
  addresses=(\${(f)"$(${LIST_ADDRESSES.sh})"})
  (( $#addresses )) && compadd -a addresses
}

_cms_words() {
  local -a names
  case $1 in
${[...followersOf(line)].map(wordsCase).join('\n')}
    *) return 1 ;;
  esac
  _describe command names
}

_cms() {
  local ret=1 command
  integer count
  if [[ $service == cms-token ]]; then
    words=(cms token "\${(@)words[2,-1]}")
    (( CURRENT++ ))
  fi
  # The longest command that the line begins with; after it _arguments sees its words alone.
  for count in 2 1; do
    command="\${(j: :)words[2,count+1]}"
    (( CURRENT > count + 1 )) || continue
    case $command in
${line.commands.map(commandCase).join('\n')}
    esac
  done
  (( CURRENT > 2 )) && command="\${(j: :)words[2,CURRENT-1]}" || command=''
  _cms_words "$command"
}

if [[ $funcstack[1] == _cms ]]; then
  _cms "$@"
else
  compdef _cms cms cms-token
fi
`;
}

function wordsCase([words, names]: [string, TopicText[]]): string {
  const items = names.map(({ name, summary }) => quoted(`${name}:${summary}`));
  return `    ${quoted(words)})\n      names=(\n        ${items.join('\n        ')}\n      ) ;;`;
}

function commandCase(command: CommandText): string {
  const { words } = command;
  return `      ${quoted(words.join(' '))})
        shift count words
        (( CURRENT -= count ))
        ${startsAnother(command) ? '_cms' : argumentsOf(command)} && ret=0
        return ret ;;`;
}

function argumentsOf({ flags, arguments: all }: CommandText): string {
  const specs = [
    ...flags.flatMap(flagSpecs),
    quoted('(- *)--help[show help]'),
    ...all.map(
      (argument) =>
        quoted(`${argument.required ? '' : ':'}:${plain(argument.name)}:`) + action(offerForArgument(argument)),
    ),
  ];
  return `_arguments -s -S \\
          ${specs.join(' \\\n          ')}`;
}

function flagSpecs(flag: FlagText): string[] {
  const { name, char, value, repeatable, negatable, description } = flag;
  const many = repeatable ? '*' : '';
  const text = `[${plain(description)}]`;
  const message = value === undefined ? '' : `:${plain(value)}:`;
  const end = value === undefined ? '' : action(offerForFlag(flag));
  const long = quoted(`${many}--${name}${value === undefined ? '' : '='}${text}${message}`) + end;
  const short = char === undefined ? [] : [quoted(`${many}-${char}${text}${message}`) + end];
  return [long, ...short, ...(negatable ? [quoted(`--no-${name}${text}`)] : [])];
}

function action(offer: Offer): string {
  if (typeof offer !== 'string') return quoted(`(${offer.join(' ')})`);
  const actions = { account: '_cms_accounts', file: '_files', folder: quoted('_files -/') };
  return offer === 'nothing' || offer === 'command' ? quoted(' ') : actions[offer];
}

/** Text within a specification of _arguments. */
function plain(text: string): string {
  return text.replace(/[\\:[\]]/g, '\\$&');
}
