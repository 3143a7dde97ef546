import {
  type CommandLine,
  type CommandText,
  type FlagText,
  followersOf,
  formsOf,
  LIST_ADDRESSES,
  type Offer,
  offerForArgument,
  offerForFlag,
  startsAnother,
} from './command.ts';
import { quoted } from '../../lib/core/shell-word.ts';

/** The completion of `cms` for bash, on its own feet: it needs no bash-completion. Pure. */
export function bashCompletion(line: CommandLine): string {
  const starters = line.commands.filter(startsAnother).map(({ words }) => quoted(words.join(' ')));
  const topics = [...followersOf(line)].map(
    ([words, names]) => `    ${quoted(words)}) _cms_offer ${names.map(({ name }) => name).join(' ')} ;;`,
  );
  return `# bash completion for cms. Made by: cms completion bash

${HELPERS}
# What can follow words that are no whole command yet.
_cms_words() {
  case $1 in
${topics.join('\n')}
  esac
}

# All flags of a command.
_cms_flags() {
  case $1 in
${line.commands.map(flagsCase).join('\n')}
  esac
}

# What a flag takes.
_cms_value() {
  case $1 in
${line.commands.flatMap(valueCases).join('\n')}
  esac
}

# Whether the word after this flag belongs to it.
_cms_takes_value() {
  case $1 in
    ${line.commands.flatMap(valuePatterns).join(' | \\\n    ')}) return 0 ;;
    *) return 1 ;;
  esac
}

# What stands at a place of a command, beginning with 1.
_cms_argument() {
  case $1 in
${line.commands.flatMap(argumentCases).join('\n')}
  esac
}

_cms_is_command() {
  case $1 in
    ${line.commands.map(({ words }) => quoted(words.join(' '))).join(' | ')}) return 0 ;;
    *) return 1 ;;
  esac
}

# Whether another command follows.
_cms_starts_another() {
  [[ $1 == @(${starters.join('|')}) ]]
}

${MAIN}`;
}

function flagsCase({ words, flags }: CommandText): string {
  const forms = [...flags.flatMap(formsOf), '--help'];
  return `    ${quoted(words.join(' '))}) _cms_offer ${forms.join(' ')} ;;`;
}

function valueCases({ words, flags }: CommandText): string[] {
  return flags
    .filter((flag) => flag.value !== undefined && offerForFlag(flag) !== 'nothing')
    .map((flag) => `    ${patternsOf(words, flag).join(' | ')}) ${action(offerForFlag(flag))} ;;`);
}

function valuePatterns({ words, flags }: CommandText): string[] {
  return flags.flatMap((flag) => (flag.value === undefined ? [] : patternsOf(words, flag)));
}

function patternsOf(words: readonly string[], flag: FlagText): string[] {
  return formsOf(flag).map((form) => quoted(`${words.join(' ')} ${form}`));
}

function argumentCases({ words, arguments: all }: CommandText): string[] {
  return all.map(
    (argument, index) => `    ${quoted(`${words.join(' ')} ${index + 1}`)}) ${action(offerForArgument(argument))} ;;`,
  );
}

function action(offer: Offer): string {
  if (typeof offer !== 'string') return `_cms_offer ${offer.map(quoted).join(' ')}`;
  const actions = { account: '_cms_accounts', file: 'compopt -o default', folder: 'compopt -o dirnames' };
  return offer === 'nothing' || offer === 'command' ? ':' : actions[offer];
}

const HELPERS = `# Takes from the words those that begin with what is typed. Never compgen -W: it would expand them.
_cms_offer() {
  local word
  for word in "$@"; do
    [[ $word == "$cur"* ]] && COMPREPLY+=("$word")
  done
  return 0
}

_cms_accounts() {
  local file=${LIST_ADDRESSES.file} address
  while IFS= read -r address; do
    [[ $address == "$cur"* ]] && COMPREPLY+=("$(printf %q "$address")")
  done < <(${LIST_ADDRESSES.sh})
  return 0
}
`;

const MAIN = `_cms() {
  # Read from the line, because bash has cut the words at @, : and =.
  local -a words
  local cur='' word command='' flag='' place=0
  COMPREPLY=()
  read -ra words <<<"\${COMP_LINE:0:COMP_POINT}"
  if [[ \${COMP_LINE:0:COMP_POINT} != *[[:space:]] ]]; then
    cur=\${words[\${#words[@]}-1]}
    unset "words[\${#words[@]}-1]"
  fi

  for word in "\${words[@]:1}"; do
    if [[ -n $flag ]]; then
      flag=''
    elif ! _cms_is_command "$command"; then
      command=\${command:+$command }$word
      _cms_starts_another "$command" && command=''
    elif [[ $word == -* ]]; then
      _cms_takes_value "$command $word" && flag=$word
    else
      place=$((place + 1))
    fi
  done

  local typed=$cur
  if ! _cms_is_command "$command"; then
    _cms_words "$command"
  elif [[ -n $flag ]]; then
    _cms_value "$command $flag"
  elif [[ $cur == --*=* ]]; then
    cur=\${typed#*=}
    _cms_value "$command \${typed%%=*}"
    COMPREPLY=("\${COMPREPLY[@]/#/\${typed%%=*}=}")
  elif [[ $cur == -* ]]; then
    _cms_flags "$command"
  else
    _cms_argument "$command $((place + 1))"
  fi 2>/dev/null

  # bash puts what we offer behind the last character at which it cuts words, but in the place of an @ and what follows.
  local breaks=\${COMP_WORDBREAKS//[^@:=]/} cut='' i
  [[ -n $breaks ]] && cut=\${typed%"\${typed##*[$breaks]}"}
  cut=\${cut%@}
  for i in "\${!COMPREPLY[@]}"; do
    COMPREPLY[i]=\${COMPREPLY[i]#"$cut"}
  done
}

# Takes what cms token takes.
_cms_token() {
  local COMP_LINE="cms token\${COMP_LINE#"$1"}" COMP_POINT=$((COMP_POINT - \${#1} + 9))
  _cms
}

complete -F _cms cms
complete -F _cms_token cms-token
`;
