/** Runs one row, whatever it throws. */
import { performance } from 'node:perf_hooks';
import { isPresent } from '../support/requirements.ts';
import type { Row, Scale } from './harness.ts';
import type { Result } from './report.ts';

/** Of a quick run, which must not fail because the machine is busy. */
const PATIENCE = 3;

export function scaleOf(quick: boolean, soakMinutes: number): Scale {
  return {
    quick,
    soakMinutes,
    pick: (small, full) => (quick ? small : full),
    within: (milliseconds) => milliseconds * (quick ? PATIENCE : 1),
  };
}

async function runRow(row: Row, scale: Scale): Promise<Result> {
  const { number, title, target, needs = [] } = row;
  const missing = needs.filter((name) => !isPresent(name));
  const about = { number, title, target };
  if (missing.length > 0) {
    return { ...about, verdict: 'left out', figure: '-', reasons: [`needs ${missing.join(', ')}`], seconds: 0 };
  }
  const began = performance.now();
  const seconds = (): number => Math.round((performance.now() - began) / 100) / 10;
  try {
    const { figure, failures, note } = await row.run(scale);
    const verdict = failures.length === 0 ? 'ok' : 'fell short';
    return {
      ...about,
      verdict,
      figure,
      reasons: [...failures],
      seconds: seconds(),
      ...(note !== undefined && { note }),
    };
  } catch (error) {
    const reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return { ...about, verdict: 'fell short', figure: '-', reasons: [reason], seconds: seconds() };
  }
}

/** Rows side by side: most of them wait more than they work. */
const SIDE_BY_SIDE = 4;
/** Those that take longest begin first. */
const LONG: readonly number[] = [6, 28, 16, 21, 25, 11, 23];

/** Runs the rows, those that measure times one after the other, the rest side by side. @returns them in their order */
export async function runAll(rows: readonly Row[], scale: Scale, told: (result: Result) => void): Promise<Result[]> {
  const results: Result[] = [];
  const one = async (row: Row): Promise<void> => {
    const result = await runRow(row, scale);
    results.push(result);
    told(result);
  };
  const isAlone = ({ alone }: Row): boolean => alone === 'always' || (alone === 'full' && !scale.quick);
  for (const row of rows.filter(isAlone)) await one(row);
  const rank = ({ number }: Row): number => (LONG.includes(number) ? LONG.indexOf(number) : LONG.length);
  const waiting = rows.filter((row) => !isAlone(row)).sort((a, b) => rank(a) - rank(b));
  const runner = async (): Promise<void> => {
    for (let row = waiting.shift(); row !== undefined; row = waiting.shift()) await one(row);
  };
  await Promise.all(Array.from({ length: SIDE_BY_SIDE }, runner));
  return results.sort((a, b) => a.number - b.number);
}
