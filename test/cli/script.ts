/**
 * A script of the command line as text, and what came of it in the same form. A command is a line that begins with "$",
 * what follows is what it prints: stdout as it is, stderr behind "! ", and its exit status where that is not 0.
 *
 *     # A comment, or an empty line, is kept.
 *     $ cms token jane
 *     ! cms: error: not a usable mail address: "jane"
 *     status 65
 *
 * In an expected line <*> stands for anything, and "..." for any lines.
 */
interface Step {
  /** Comments and empty lines above the command. */
  above: string[];
  command: string;
  /** Lines of output as they stand in the script. */
  said: string[];
}

export interface Script {
  steps: Step[];
  /** What stands below the last command's output. */
  below: string[];
}

export interface Outcome {
  status: number | null;
  stdout: string;
  stderr: string;
}

export function parseScript(text: string): Script {
  const script: Script = { steps: [], below: [] };
  for (const line of text.replace(/\n$/, '').split('\n')) {
    const last = script.steps.at(-1);
    if (line.startsWith('$ ')) {
      script.steps.push({ above: script.below, command: line.slice(2), said: [] });
      script.below = [];
    } else if (last === undefined || script.below.length > 0 || line === '' || line.startsWith('# ')) {
      script.below.push(line);
    } else if (last.command.endsWith('\\')) {
      last.command += `\n${line}`;
    } else last.said.push(line);
  }
  return script;
}

export function renderScript({ steps, below }: Script): string {
  const lines = steps.flatMap(({ above, command, said }) => [...above, `$ ${command}`, ...said]);
  return [...lines, ...below, ''].join('\n');
}

/** The lines of an outcome. Empty lines of output, which would end it in a script, are shown as "|". */
export function linesOf({ status, stdout, stderr }: Outcome): string[] {
  return [
    ...printed(stdout).map((line) => (/^$|^[$#!|]|^status \d/.test(line) ? `|${line}` : line)),
    ...printed(stderr).map((line) => `! ${line}`.trimEnd()),
    ...(status === 0 ? [] : [`status ${String(status)}`]),
  ];
}

function printed(text: string): string[] {
  if (text === '') return [];
  return text.endsWith('\n') ? text.slice(0, -1).split('\n') : [...text.split('\n').slice(0, -1), ...withoutEnd(text)];
}

function withoutEnd(text: string): string[] {
  return [`${text.split('\n').at(-1) ?? ''}<no newline>`];
}

/** The lines that were expected where they hold for what came, else what came. */
export function settled(expected: readonly string[], came: readonly string[]): readonly string[] {
  return pattern(expected).test(came.map((line) => `${line}\n`).join('')) ? expected : came;
}

function pattern(lines: readonly string[]): RegExp {
  const each = lines.map((line) =>
    line === '...' ? '(?:.*\\n)*?' : `${line.split('<*>').map(literal).join('.*')}\\n`,
  );
  return new RegExp(`^${each.join('')}$`);
}

function literal(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
