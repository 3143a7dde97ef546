/** What the output can show. */
import { styleText } from 'node:util';
import type { Environment } from '../os/paths.ts';
import { columnsOf } from './width.ts';

export interface Screen {
  /** A person looks at it; a file or a program gets the same columns at any width. */
  terminal: boolean;
  /** Infinity where nothing limits them. */
  columns: number;
  rows: number;
  colour: boolean;
  /** Characters beyond ASCII can be shown. */
  unicode: boolean;
}

export type Colour = 'red' | 'yellow' | 'green' | 'dim' | 'bold';

const DEFAULT_ROWS = 24;

/** Node knows the rules for colours: NO_COLOR, FORCE_COLOR, TERM=dumb, the kinds of terminals. */
export function screenOf(stream: NodeJS.WriteStream, env: Environment): Screen {
  const unicode = /utf-?8/i.test([env.LC_ALL, env.LC_CTYPE, env.LANG].find(Boolean) ?? '');
  // A stream that is no terminal has none of its members, whatever its type says.
  if (!(stream.isTTY as boolean | undefined)) {
    return { terminal: false, columns: Infinity, rows: Infinity, colour: false, unicode };
  }
  const { rows } = stream;
  return {
    terminal: true,
    columns: columnsOf(stream),
    rows: rows > 0 ? rows : DEFAULT_ROWS,
    colour: stream.hasColors(env),
    unicode,
  };
}

export function paint({ colour }: Pick<Screen, 'colour'>, style: Colour, text: string): string {
  // Whether stdout has colours is decided above, once, for the screen that is written to.
  return colour ? styleText(style, text, { validateStream: false }) : text;
}
