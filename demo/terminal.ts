/** What the person at the terminal sees: steps, command lines, and what the commands say. All of it on stdout. */
import { wrap } from '../src/lib/terminal/width.ts';
import { styleText } from './style.ts';

/** The greatest width: a terminal of 100 columns breaks no line. */
const WIDTH = 98;
/** Narrower than this a command line cannot be read any more. */
const NARROWEST = 40;
const MARGIN = '   ';

export interface Screen {
  /** A terminal that breaks lines of the full width. */
  narrow: boolean;
  step: (title: string) => void;
  /** Plain words. */
  say: (...lines: string[]) => void;
  /** A command as a person would type it. */
  command: (line: string) => void;
  /** What a command printed. */
  output: (text: string) => void;
  done: (text: string) => void;
  /** The last words: plain ones, and commands that begin with `$ `. */
  end: (title: string, lines: readonly string[]) => void;
}

/** @param columns of the terminal; undefined where there is none */
export function openScreen(write: (text: string) => void, colours: boolean, columns: number | undefined): Screen {
  const width = Math.max(NARROWEST, Math.min(WIDTH, (columns ?? Infinity) - 1));
  const style = styleText(colours);
  let steps = 0;
  return {
    narrow: width < WIDTH,
    step: (title) => write(`\n${style.title(`${++steps}. ${title}`)}\n`),
    say: (...lines) =>
      write(
        paragraphs(lines, width)
          .map((line) => `${MARGIN}${line}\n`)
          .join(''),
      ),
    command: (line) => write(`${wrapCommand(line, width).map(style.command).join('\n')}\n`),
    output: (text) =>
      write(
        linesOf(text, width - MARGIN.length - 2)
          .map((line) => `${MARGIN}${style.dim('│')} ${line}`.trimEnd() + '\n')
          .join(''),
      ),
    done: (text) => write(`${MARGIN}${style.good('✓')} ${fold(text, width - MARGIN.length - 2).join(`\n${MARGIN}`)}\n`),
    end: (title, lines) => {
      const shown = lines.flatMap((line) =>
        line.startsWith('$ ') ? wrapCommand(line.slice(2), width) : [`${MARGIN}${line}`],
      );
      write(`\n${style.title(title)}\n${shown.join('\n')}\n`);
    },
  };
}

/** Sentences that go on in the next line are put together first where the lines are too long. */
function paragraphs(lines: readonly string[], width: number): string[] {
  const room = width - MARGIN.length;
  if (lines.every((line) => line.length <= room)) return [...lines];
  const whole = lines.join('\n').replace(/(?<![.:)])\n/g, ' ');
  return wrap(whole, room, '').split('\n');
}

function linesOf(text: string, room: number): string[] {
  if (text.trimEnd() === '') return [];
  return text
    .trimEnd()
    .split('\n')
    .flatMap((line) => fold(line, room));
}

/** A URL that is too long is cut, because it is of no use here; any other long line continues on the next one. */
function fold(line: string, room: number): string[] {
  if (line.length <= room) return [line];
  if (/^https?:\S+$/.test(line)) return [`${line.slice(0, room - 1)}…`];
  const end = line.trimEnd().lastIndexOf(' ', room);
  const first = end > line.search(/\S/) ? end : room;
  return [line.slice(0, first).trimEnd(), ...fold(`    ${line.slice(first).trimStart()}`, room)];
}

/** Breaks before options and paths, with the backslash that makes the lines good for pasting. */
function wrapCommand(line: string, width: number): string[] {
  const lines: string[] = [];
  let current = `${MARGIN}$`;
  for (const word of line.split(/ (?=-{1,2}[a-zA-Z]|\| |\S+@\S+$)|(?<! -\S+) (?=\/)/)) {
    if (current.length + word.length + 3 > width && current.trim() !== '$') {
      lines.push(`${current} \\`);
      current = `${MARGIN}   `;
    }
    current += ` ${word}`;
  }
  return [...lines, current];
}
