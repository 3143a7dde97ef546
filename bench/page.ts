/** The last run in docs/performance.md, between two marks, and its plots beside it. */
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import { type Figure, type Findings, verdictOf } from './figures.ts';
import type { Machine } from './machine.ts';
import { bars, columns, lines } from './plot.ts';
import { amount, targetText } from './report.ts';

const PAGE = fileURLToPath(new URL('../docs/performance.md', import.meta.url));
const [BEGIN, END] = ['<!-- last run -->', '<!-- end of the last run -->'];

const SUITES: [prefix: string, heading: string, plots: string[]][] = [
  ['commands', 'Commands', ['commands']],
  ['socket', 'The socket', ['throughput', 'latency']],
  ['memory', 'Memory', []],
  ['many', 'Ten thousand accounts', []],
  ['refresh', 'An hour of refreshes', ['refresh']],
  ['exim', 'Mail', []],
];

export interface Run extends Findings {
  machine: Machine;
  quick: boolean;
  seconds: number;
}

/** Replaces what stands there from the run before. @throws Error when the marks are gone */
export async function writePage(run: Run): Promise<void> {
  const plots = drawn(run);
  for (const [name, svg] of Object.entries(plots)) await writeFile(plotFile(name), svg);
  const page = await readFile(PAGE, 'utf8');
  const [head, rest] = page.split(BEGIN);
  const tail = rest?.split(END)[1];
  if (head === undefined || tail === undefined) throw new Error(`${PAGE} has no ${BEGIN} … ${END}`);
  const text = `${head}${BEGIN}\n\n${sectionOf(run, Object.keys(plots))}\n\n${END}${tail}`;
  await writeFile(PAGE, await format(text, { ...(await resolveConfig(PAGE)), parser: 'markdown' }));
}

function plotFile(name: string): string {
  return fileURLToPath(new URL(`../docs/performance-${name}.svg`, import.meta.url));
}

function sectionOf(run: Run, plots: readonly string[]): string {
  const { date, node, system, processors, model, memoryGB } = run.machine;
  const about = `${date}, ${run.seconds} s${run.quick ? ' (a quick run: too short to mean much)' : ''}. Node ${node}, ${system}, ${processors} × ${model}, ${memoryGB} GB.`;
  const parts = SUITES.flatMap(([prefix, heading, names]) => {
    const figures = run.figures.filter(({ id }) => id.startsWith(`${prefix}.`));
    const left = run.leftOut.filter(({ id }) => id.startsWith(`${prefix}.`));
    if (figures.length === 0 && left.length === 0) return [];
    return [
      `### ${heading}`,
      ...names.filter((name) => plots.includes(name)).map((name) => `![${altText(name)}](performance-${name}.svg)`),
      ...(figures.length === 0 ? [] : [tableOf(figures)]),
      ...left.map(({ title, reason }) => `Left out: ${title} (${reason}).`),
    ];
  });
  return [about, ...parts].join('\n\n');
}

function tableOf(figures: readonly Figure[]): string {
  const rows = figures.map((figure) => {
    const { title, value, best, unit, reference, ratio, note } = figure;
    const verdict = { met: 'met', missed: '**missed**', measured: '', 'left out': '' }[verdictOf(figure)];
    const own = `${amount(value)} ${unit}`;
    const against = reference === undefined ? '' : `${reference.title}: ${amount(reference.value)}`;
    const times = ratio === undefined ? '' : `${ratio.toFixed(2)} ×`;
    const cells = [note === undefined ? title : `${title}<br>${note}`, own, best === undefined ? '' : amount(best)];
    return `| ${[...cells, against, times, targetText(figure), verdict].join(' | ')} |`;
  });
  return [
    '| case | median | best | beside | ratio | target | |',
    '| --- | --: | --: | --- | --: | --: | --- |',
    ...rows,
  ].join('\n');
}

function altText(name: string): string {
  return (
    { commands: 'time of commands', throughput: 'throughput', latency: 'latency', refresh: 'refreshes' }[name] ?? name
  );
}

/** The plots for which there are figures. */
function drawn({ plots, figures }: Run): Record<string, string> {
  const [commands, exchanges] = [plots.commands?.[0], plots.refresh?.[0]];
  const average = figures.find(({ id }) => id === 'refresh.burst')?.reference?.value ?? 0;
  return {
    ...(commands && {
      commands: bars(
        { title: 'Commands', subtitle: 'milliseconds from start to end, median; less is better' },
        commands,
        (name) => name.startsWith('cms') && !name.includes('without a bundle'),
      ),
    }),
    ...(plots.throughput && {
      throughput: lines(
        {
          title: 'Throughput',
          subtitle: 'requests a second on a UNIX socket, each on its own connection; more is better',
        },
        plots.throughput,
        { label: 'clients at once' },
      ),
    }),
    ...(plots.latency && {
      latency: lines(
        { title: 'Latency', subtitle: 'milliseconds until the answer is there, p99; less is better' },
        plots.latency,
        { label: 'clients at once', logarithmic: true },
      ),
    }),
    ...(exchanges && {
      refresh: columns(
        { title: 'Refreshes', subtitle: 'exchanges with the provider in each minute of an hour' },
        exchanges,
        { y: 2 * average, name: 'twice the average' },
        { label: 'minute' },
      ),
    }),
  };
}
