/**
 * The reliability matrix: `npm run test:reliability -- [--quick] [--row N] [--soak MINUTES] [--json FILE] [--with FILE]
 * [--markdown]`. One line for each row; exits with 1 when one falls short.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { isStrict } from '../support/requirements.ts';
import { lineOf, merged, type Result, writeTable } from './report.ts';
import { ROWS } from './rows/index.ts';
import { runAll, scaleOf } from './run.ts';

const DEFAULT_SOAK_MINUTES = 60;
const SOAK_IN_A_FULL_RUN = 3;

const { values } = parseArgs({
  args: withSoakDefault(process.argv.slice(2)),
  options: {
    quick: { type: 'boolean', default: false },
    row: { type: 'string', multiple: true, default: [] },
    soak: { type: 'string' },
    json: { type: 'string' },
    with: { type: 'string', multiple: true, default: [] },
    markdown: { type: 'boolean', default: false },
  },
});

/** `--soak` alone means the default. */
function withSoakDefault(argv: string[]): string[] {
  return argv.map((word, index) =>
    word === '--soak' && !/^\d/.test(argv[index + 1] ?? '') ? `--soak=${DEFAULT_SOAK_MINUTES}` : word,
  );
}

const chosen = ROWS.filter(({ number }) => values.row.length === 0 || values.row.includes(String(number)));
const scale = scaleOf(values.quick, Number(values.soak ?? SOAK_IN_A_FULL_RUN));
const results = await runAll(chosen, scale, (result) => process.stdout.write(`${lineOf(result)}\n`));
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(results, null, 2)}\n`);
// Rows that were measured by themselves, say the soak of an hour, stand in the table beside those of this run.
const earlier = values.with.map((file) => JSON.parse(readFileSync(file, 'utf8')) as Result[]);
if (values.markdown) await writeTable(merged([...earlier, results]));
const bad = results.some(({ verdict }) => verdict === 'fell short' || (verdict === 'left out' && isStrict()));
process.exitCode = chosen.length === 0 || bad ? 1 : 0;
