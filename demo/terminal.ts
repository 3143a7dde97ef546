/** What the person at the terminal sees: steps, command lines, and what the commands say. All of it on stdout. */
import { styleText } from './style.ts';

/** So wide that a terminal of 100 columns breaks no line. */
const WIDTH = 98;
const MARGIN = '   ';

export interface Screen {
  step: (title: string) => void;
  /** Plain words. */
  say: (...lines: string[]) => void;
  /** A command as somebody would type it. */
  command: (line: string) => void;
  /** What a command printed. */
  output: (text: string) => void;
  done: (text: string) => void;
  /** The last words. */
  end: (title: string, lines: readonly string[]) => void;
}

export function openScreen(write: (text: string) => void, colours: boolean): Screen {
  const style = styleText(colours);
  let steps = 0;
  return {
    step: (title) => write(`\n${style.title(`${++steps}. ${title}`)}\n`),
    say: (...lines) => write(lines.map((line) => `${MARGIN}${line}\n`).join('')),
    command: (line) => write(`${wrapCommand(line).map(style.command).join('\n')}\n`),
    output: (text) =>
      write(
        linesOf(text)
          .map((line) => `${MARGIN}${style.dim('│')} ${line}`.trimEnd() + '\n')
          .join(''),
      ),
    done: (text) => write(`${MARGIN}${style.good('✓')} ${text}\n`),
    end: (title, lines) => write(`\n${style.title(title)}\n${lines.map((line) => `${MARGIN}${line}\n`).join('')}`),
  };
}

function linesOf(text: string): string[] {
  return text.trimEnd() === '' ? [] : text.trimEnd().split('\n').flatMap(fold);
}

/** An address in one piece is no use to anybody here; everything else that is too long goes on in a further line. */
function fold(line: string): string[] {
  const room = WIDTH - MARGIN.length - 2;
  if (line.length <= room) return [line];
  if (/^https?:\S+$/.test(line)) return [`${line.slice(0, room - 1)}…`];
  const end = line.lastIndexOf(' ', room);
  const first = end > 0 ? end : room;
  return [line.slice(0, first), ...fold(`    ${line.slice(first).trimStart()}`)];
}

/** Breaks before options, with the backslash that makes the lines good for pasting. */
function wrapCommand(line: string): string[] {
  const lines: string[] = [];
  let current = `${MARGIN}$`;
  for (const word of line.split(/ (?=-{1,2}[a-zA-Z]|\| |\S+@\S+$)/)) {
    if (current.length + word.length + 3 > WIDTH) {
      lines.push(`${current} \\`);
      current = `${MARGIN}   `;
    }
    current += ` ${word}`;
  }
  return [...lines, current];
}

/** A word as a shell takes it. */
export function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
