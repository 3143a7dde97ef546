/** Figures as lines for a terminal. Pure. */
import { type Figure, type LeftOut, type Target, verdictOf } from './figures.ts';

export function lineOf(figure: Figure): string {
  const { title, note } = figure;
  const verdict = verdictOf(figure);
  const mark = verdict === 'met' ? 'ok    ' : verdict === 'missed' ? 'MISSED' : '      ';
  const target = targetText(figure);
  return `${mark}  ${title}: ${valueText(figure)}${target === '' ? '' : `; target ${target}`}${note === undefined ? '' : ` (${note})`}`;
}

export function leftOutLine({ title, reason }: LeftOut): string {
  return `left out ${title}: ${reason}`;
}

function valueText({ value, unit, ratio, reference, best }: Figure): string {
  const own = `${amount(value)} ${unit}`.replace(' /s', '/s');
  const least = best === undefined || unit === '/s' || unit === 'MB' ? '' : ` (best ${amount(best)})`;
  if (reference === undefined) return own + least;
  const times = ratio === undefined ? '' : `${ratio.toFixed(2)} × `;
  return `${own}${least}, ${times}${reference.title} (${amount(reference.value)})`;
}

export function targetText({ target, unit }: Pick<Figure, 'target' | 'unit'>): string {
  return target === undefined ? '' : boundText(target, target.of === 'ratio' ? ' ×' : ` ${unit}`);
}

function boundText({ most, least }: Target, unit: string): string {
  if (most !== undefined && least !== undefined) return 'the same';
  return most === undefined ? `≥ ${String(least)}${unit}` : `≤ ${String(most)}${unit}`;
}

/** Three digits that count. */
export function amount(value: number): string {
  if (!Number.isFinite(value)) return '?';
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}
