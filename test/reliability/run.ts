/** Runs one row, whatever it throws. */
import { performance } from 'node:perf_hooks';
import { isPresent } from '../support/requirements.ts';
import type { Row, Scale } from './harness.ts';
import type { Result } from './report.ts';

export function scaleOf(quick: boolean, soakMinutes: number): Scale {
  return { quick, soakMinutes, pick: (small, full) => (quick ? small : full) };
}

export async function runRow(row: Row, scale: Scale): Promise<Result> {
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
    return { ...about, verdict, figure, reasons: [...failures], seconds: seconds(), ...(note !== undefined && { note }) };
  } catch (error) {
    const reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return { ...about, verdict: 'fell short', figure: '-', reasons: [reason], seconds: seconds() };
  }
}
