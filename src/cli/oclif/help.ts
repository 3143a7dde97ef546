/** Help that a narrow terminal can show: everything is wrapped between words, and nothing is said twice. */
import { type Command, CommandHelp, Help } from '@oclif/core';

class WrappedCommandHelp extends CommandHelp {
  /** Without the summary, which stands above it all. */
  protected override description(): string | undefined {
    const { description } = this.command;
    return description === undefined ? undefined : this.wrap(description);
  }

  /**
   * Values as words of their own: one long word would be cut anywhere. Flags with a letter first, because the framework
   * takes the indent of the first line away.
   */
  protected override flags(flags: Command.Flag.Any[]): [string, string | undefined][] | undefined {
    const spaced = (text: string): string => text.replace(/<options: [^>]*>/, (list) => list.replaceAll('|', ', '));
    const ordered = [...flags.filter(({ char }) => char), ...flags.filter(({ char }) => !char)];
    return super.flags(ordered)?.map(([left, right]) => [left, right && spaced(right)]);
  }

  /** The framework counts two columns too few for a text below its flag. */
  override renderList(rows: (string | undefined)[][], options: Parameters<CommandHelp['renderList']>[1]): string {
    return super.renderList(rows, { ...options, indentation: options.indentation + 2 });
  }
}

export default class WrappedHelp extends Help {
  protected override CommandHelpClass = WrappedCommandHelp;

  /** What is not indented was not wrapped. */
  protected override log(...texts: string[]): void {
    super.log(...texts.map((text) => text.replace(/^\S.*$/gm, (line) => this.wrap(line, 0))));
  }
}
