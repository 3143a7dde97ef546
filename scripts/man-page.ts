/** Manual pages as roff for man(7), from what the commands say of themselves. Pure. */
import {
  type CommandLine,
  type CommandText,
  type ExampleText,
  type FlagText,
  formsOf,
} from '../src/cli/completion/command.ts';
import { ENVIRONMENT, EXIT_STATUSES, FILES, INTRODUCTION, type Item } from './man-texts.ts';

export interface ManPage {
  /** `cms-account-add.1` */
  file: string;
  text: string;
}

export interface Edition {
  version: string;
  /** YYYY-MM-DD */
  date: string;
}

const NEIGHBOURS = ['exim4(8)', 'msmtp(1)', 'mutt(1)', 'mbsync(1)'];

/** `cms.1`, and one page for each command. */
export function manPages(line: CommandLine, edition: Edition): ManPage[] {
  return [overview(line, edition), ...line.commands.map((command) => commandPage(command, line, edition))];
}

const CHARACTERS: Partial<Record<string, string>> = {
  '\\': '\\e',
  '-': '\\-',
  '^': '\\(ha',
  '~': '\\(ti',
  '`': '\\(ga',
  "'": '\\(aq',
  '"': '\\(dq',
  '’': '\\(cq',
  '…': '...',
};

/** Text as roff: nothing in it is a request or an escape, and each character is the one that is typed. */
export function roff(text: string): string {
  return text
    .replace(/[^\n\x20-\x7e]|[\\^~`'"-]/gu, (character) => CHARACTERS[character] ?? unicode(character))
    .replace(/^\./gm, '\\&.');
}

function unicode(character: string): string {
  const hexadecimal = (character.codePointAt(0) ?? 0).toString(16).toUpperCase();
  return `\\[u${hexadecimal.padStart(4, '0')}]`;
}

function overview(line: CommandLine, edition: Edition): ManPage {
  const commands = line.commands.map((command) => term(bold(`cms ${command.words.join(' ')}`), command.summary));
  return page('cms', edition, [
    section('NAME', `cms \\- ${roff('OAuth 2.0 logins for mail programs that cannot do OAuth')}`),
    section('SYNOPSIS', `${bold('cms')} ${italic('COMMAND')} [${italic('ARGUMENTS')}]`),
    section('DESCRIPTION', paragraphs(INTRODUCTION)),
    section('COMMANDS', commands.join('\n')),
    ...surroundings(),
    section('SEE ALSO', references([...line.commands.map(nameOf), ...NEIGHBOURS])),
  ]);
}

function commandPage(command: CommandText, line: CommandLine, edition: Edition): ManPage {
  const { words, summary, description, flags, arguments: all, examples } = command;
  const siblings = line.commands.filter((other) => other !== command && other.words[0] === words[0]).map(nameOf);
  const places = all.map((each) => term(italic(each.name.toUpperCase()), withOptions(each.description, each.options)));
  return page(nameOf(command), edition, [
    section('NAME', `${roff(nameOf(command))} \\-\n${wrapped(summary)}`),
    section('SYNOPSIS', synopsis(command)),
    section('DESCRIPTION', paragraphs(description === '' ? `${capitalized(summary)}.` : description)),
    ...(all.length === 0 ? [] : [section('ARGUMENTS', places.join('\n'))]),
    section('OPTIONS', [...flags.map(option), term(bold('--help'), 'show help')].join('\n')),
    ...(examples.length === 0 ? [] : [section('EXAMPLES', examples.map(example).join('\n'))]),
    ...surroundings(),
    section('SEE ALSO', references(['cms', ...siblings])),
  ]);
}

function surroundings(): string[] {
  return [
    section('FILES', items(FILES)),
    section('ENVIRONMENT', items(ENVIRONMENT)),
    section('EXIT STATUS', items(EXIT_STATUSES)),
  ];
}

function nameOf({ words }: CommandText): string {
  return ['cms', ...words].join('-');
}

function page(name: string, { version, date }: Edition, sections: readonly string[]): ManPage {
  // Commands are copied from here: neither broken nor spread.
  const head = [`.TH ${roff(name.toUpperCase())} 1 ${date} "cms ${version}" "cms"`, '.nh', '.ad l'];
  return { file: `${name}.1`, text: [...head, ...sections, ''].join('\n') };
}

function section(title: string, body: string): string {
  return `.SH ${title}\n${body}`;
}

function synopsis({ words, arguments: all }: CommandText): string {
  const places = all.map(({ name, required }) => {
    const place = italic(name.toUpperCase());
    return required ? place : `[${place}]`;
  });
  return [bold(`cms ${words.join(' ')}`), `[${italic('OPTIONS')}]`, ...places].join(' ');
}

function option(flag: FlagText): string {
  const { value, description, options, repeatable } = flag;
  const forms = formsOf(flag).map(bold).join(', ');
  const many = repeatable && !description.includes('repeatable') ? '; repeatable' : '';
  return term(value === undefined ? forms : `${forms} ${italic(value)}`, `${withOptions(description, options)}${many}`);
}

function withOptions(text: string, options: readonly string[]): string {
  return options.length === 0 ? text : `${text}; one of ${options.join(', ')}`;
}

function term(head: string, text: string): string {
  return `.TP\n${head}\n${wrapped(capitalized(text))}`;
}

function items(all: readonly Item[]): string {
  return all.map(([name, text]) => term(bold(name), text)).join('\n');
}

function example({ description, command }: ExampleText, index: number): string {
  const head = description === undefined ? [] : [...(index === 0 ? [] : ['.PP']), wrapped(description)];
  const apart = index === 0 && description === undefined ? [] : ['.PP'];
  return [...head, ...apart, '.RS 4', '.nf', roff(broken(command, ' (?=-)', ' \\\n    ')), '.fi', '.RE'].join('\n');
}

function references(names: readonly string[]): string {
  const all = names.map((name) => {
    const [, stem = name, chapter = '1'] = /^(.*)\((\d)\)$/.exec(name) ?? [];
    return `.BR ${roff(stem)} (${chapter})`;
  });
  return all.join(',\n');
}

function paragraphs(text: string): string {
  const all = text.split(/\n{2,}/).map((each) => wrapped(each.replace(/\s*\n\s*/g, ' ')));
  return all.join('\n.PP\n');
}

/** Text on lines of the source that an editor shows whole; the page is filled anew. */
function wrapped(text: string): string {
  return roff(broken(text, ' ', '\n'));
}

const LINE = 66;

/** The parts between `separator`, with `joint` where a line would become too long. */
function broken(text: string, separator: string, joint: string): string {
  const lines: string[] = [];
  for (const part of text.split(new RegExp(separator))) {
    const last = lines.at(-1);
    if (last === undefined || last.length + part.length >= LINE) lines.push(part);
    else lines[lines.length - 1] = `${last} ${part}`;
  }
  return lines.join(joint);
}

function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function bold(text: string): string {
  return `\\fB${roff(text)}\\fR`;
}

function italic(text: string): string {
  return `\\fI${roff(text)}\\fR`;
}
