/** The commands as the framework knows them, for completions and manual pages. */
import type { Command, Config, Interfaces } from '@oclif/core';
import type { ArgumentText, CommandLine, CommandText, ExampleText, FlagText } from '../completion/command.ts';
import { providerIds } from '../../lib/providers/table.ts';

/** All commands that are shown in help, in the order of their names. */
export function commandLineOf(config: Interfaces.Config | Config): CommandLine {
  const commands = config.commands.filter(({ hidden }) => !hidden).map(commandText);
  const topics = config.topics.map(({ name, description }) => ({
    name: name.replaceAll(':', ' '),
    summary: description ?? '',
  }));
  return { commands: commands.sort((a, b) => (a.words.join(' ') < b.words.join(' ') ? -1 : 1)), topics };
}

function commandText(command: Command.Loadable): CommandText {
  const { id, summary, description, flags, args, examples = [] } = command;
  return {
    words: id.split(':'),
    summary: filled(summary),
    description: filled(description),
    arguments: Object.values(args).flatMap((argument) => (argument.hidden === true ? [] : [argumentText(argument)])),
    flags: Object.values(flags).flatMap((flag) => (flag.hidden === true ? [] : [flagText(flag)])),
    examples: examples.map(exampleText),
  };
}

function argumentText({ name, description, required, options }: Command.Arg.Cached): ArgumentText {
  return { name, description: filled(description), required: required === true, options: options ?? [] };
}

function flagText(flag: Command.Flag.Cached): FlagText {
  const { name, char, summary, description } = flag;
  const text = { name, char, description: filled(summary ?? description) };
  if (flag.type === 'boolean') {
    return { ...text, value: undefined, options: [], repeatable: false, negatable: flag.allowNo };
  }
  const { helpValue, options = [], multiple } = flag;
  const value = (Array.isArray(helpValue) ? helpValue.join(' ') : helpValue) ?? name.replace(/^.*-/, '').toUpperCase();
  // Presets in config.toml may be named, too.
  const suggestions = name === 'provider' ? providerIds() : [];
  return { ...text, value, options, suggestions, repeatable: multiple === true, negatable: false };
}

function exampleText(example: Command.Example): ExampleText {
  if (typeof example === 'string') return { description: undefined, command: filled(example) };
  return { description: filled(example.description), command: filled(example.command) };
}

/** The only placeholder that the texts of the commands use. */
function filled(text: string | undefined): string {
  return (text ?? '').replaceAll('<%= config.bin %>', 'cms').trim();
}
