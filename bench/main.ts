/**
 * `npm run bench -- [--quick] [--only SUITE] [--json FILE] [--markdown] [--strict]`: what cms costs, beside what it could
 * cost at least. No network, nothing installed; what the machine lacks is left out and named.
 *
 * A missed target does not fail the run: on a shared machine that is news about the machine as often as about cms. With
 * --strict it exits with 1.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { type Findings, together, verdictOf } from './figures.ts';
import { machine } from './machine.ts';
import { writePage } from './page.ts';
import { leftOutLine, lineOf } from './report.ts';
import type { Setting, Suite } from './setting.ts';
import { commands } from './suites/commands.ts';
import { exim } from './suites/exim.ts';
import { many } from './suites/many.ts';
import { memory } from './suites/memory.ts';
import { refresh } from './suites/refresh.ts';
import { socket } from './suites/socket.ts';
import { prepareTools } from './tools.ts';

const SUITES: readonly Suite[] = [commands, socket, memory, many, refresh, exim];
const print = (text: string): void => void process.stdout.write(`${text}\n`);

async function main(argv: string[]): Promise<number> {
  const { values } = parseArgs({
    args: argv,
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string', multiple: true, default: [] },
      json: { type: 'string' },
      markdown: { type: 'boolean', default: false },
      strict: { type: 'boolean', default: false },
    },
  });
  const chosen = SUITES.filter(({ name }) => values.only.length === 0 || values.only.includes(name));
  if (chosen.length === 0) throw new Error(`--only takes ${SUITES.map(({ name }) => name).join(', ')}`);
  // Node 20 parses all its certificates at each start when this is set, which would be measured everywhere.
  delete process.env.NODE_EXTRA_CA_CERTS;
  delete process.env.NODE_OPTIONS;
  const began = performance.now();
  const findings = await measureAll(chosen, values.quick);
  const seconds = Math.round((performance.now() - began) / 1000);
  const run = { machine: machine(), quick: values.quick, seconds, ...findings };
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(run, null, 2)}\n`);
  if (values.markdown) await writePage(run);
  const missed = findings.figures.filter((figure) => verdictOf(figure) === 'missed').length;
  print(`\n${findings.figures.length} figures in ${seconds} s, ${missed} of them beyond their targets`);
  return values.strict && missed > 0 ? 1 : 0;
}

async function measureAll(suites: readonly Suite[], quick: boolean): Promise<Findings> {
  const folder = mkdtempSync(join(tmpdir(), 'cms-bench-'));
  try {
    const setting = settingOf(folder, quick);
    if (setting.tools.native === undefined) print('no C compiler: the load comes from Node (see docs/performance.md)');
    const all: Findings[] = [];
    for (const suite of suites) all.push(await measure(suite, setting));
    return together(all);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function measure({ title, measure }: Suite, setting: Setting): Promise<Findings> {
  print(`\n${title}`);
  const findings = await measure(setting);
  for (const figure of findings.figures) print(lineOf(figure));
  for (const leftOut of findings.leftOut) print(leftOutLine(leftOut));
  return findings;
}

function settingOf(folder: string, quick: boolean): Setting {
  return {
    quick,
    folder,
    tools: prepareTools(join(folder, 'native')),
    pick: (small, full) => (quick ? small : full),
    say: print,
  };
}

process.exitCode = await main(process.argv.slice(2));
