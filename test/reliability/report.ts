/** Results as lines for a terminal and as the table of docs/reliability.md. */
import { readFile, writeFile } from 'node:fs/promises';
import { availableParallelism, cpus } from 'node:os';
import { fileURLToPath } from 'node:url';

export interface Result {
  number: number;
  title: string;
  figure: string;
  target: string;
  verdict: 'ok' | 'fell short' | 'left out';
  /** Why it fell short or was left out. */
  reasons: string[];
  note?: string;
  seconds: number;
}

const PAGE = fileURLToPath(new URL('../../docs/reliability.md', import.meta.url));
const BEGIN = '<!-- figures: begin -->';
const END = '<!-- figures: end -->';

export function lineOf({ number, title, figure, target, verdict, reasons, note, seconds }: Result): string {
  const word = { ok: 'ok', 'fell short': 'FELL SHORT', 'left out': 'left out' }[verdict];
  const because = reasons.length === 0 ? '' : `: ${reasons.join('; ')}`;
  const besides = note === undefined ? '' : ` [${note}]`;
  return `${String(number).padStart(2)}  ${title} | ${figure} | ${target} | ${word}${because}${besides} (${seconds} s)`;
}

/** Replaces what stands between the markers of the page. */
export async function writeTable(results: readonly Result[]): Promise<void> {
  const page = await readFile(PAGE, 'utf8');
  const begin = page.indexOf(BEGIN);
  const end = page.indexOf(END);
  if (begin < 0 || end < begin) throw new Error(`${PAGE} has no markers ${BEGIN} … ${END}`);
  await writeFile(PAGE, `${page.slice(0, begin + BEGIN.length)}\n\n${tableOf(results)}\n${page.slice(end)}`);
}

/** One result for each row, of several runs the last. Pure. */
export function merged(runs: readonly (readonly Result[])[]): Result[] {
  const newest = new Map(runs.flat().map((result) => [result.number, result]));
  return [...newest.values()].sort((a, b) => a.number - b.number);
}

function tableOf(results: readonly Result[]): string {
  const rows = [
    ['#', 'case', 'here', 'target', 'verdict'],
    ...results.map((result) => [
      String(result.number),
      cell(result.title),
      cell(result.note === undefined ? result.figure : `${result.figure} (${result.note})`),
      cell(result.target),
      result.verdict === 'left out' ? `left out: ${cell(result.reasons.join('; '))}` : result.verdict,
    ]),
  ];
  const widths = [0, 1, 2, 3, 4].map((column) => Math.max(...rows.map((row) => width(row[column]))));
  const line = (row: string[]): string =>
    `| ${row.map((text, column) => pad(text, widths[column] ?? 0)).join(' | ')} |`;
  const [head = [], ...body] = rows;
  const rule = `| ${widths.map((each) => '-'.repeat(each)).join(' | ')} |`;
  return `${machine()}\n\n${[line(head), rule, ...body.map(line)].join('\n')}\n`;
}

function machine(): string {
  const model = (cpus()[0]?.model ?? 'unknown').trim();
  return `Measured on ${availableParallelism()} cores (${model}), Linux, Node ${process.version}.`;
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replace(/\s+/g, ' ');
}

function width(text = ''): number {
  return Array.from(text).length;
}

function pad(text: string, to: number): string {
  return text + ' '.repeat(to - width(text));
}
