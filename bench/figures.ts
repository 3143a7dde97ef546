/** What was measured, against what, and whether that is what was aimed at. Pure. */

export type Verdict = 'met' | 'missed' | 'measured' | 'left out';

/** A bound on the value itself, or on its ratio to the reference. */
export interface Target {
  of: 'value' | 'ratio';
  most?: number;
  least?: number;
}

export interface Figure {
  /** Stable, `suite.name`: what a reader of the JSON goes by. */
  id: string;
  title: string;
  unit: string;
  value: number;
  /** The best of the runs: on a noisy machine nearer to the truth than the median. */
  best?: number;
  reference?: { title: string; value: number };
  /** Median over the rounds of the ratio within a round, where there were rounds; else the ratio of the values. */
  ratio?: number;
  target?: Target;
  note?: string;
}

export interface LeftOut {
  id: string;
  title: string;
  reason: string;
}

/** Points of one line of a plot. */
export interface Series {
  name: string;
  points: { x: number | string; y: number }[];
}

export interface Findings {
  figures: Figure[];
  leftOut: LeftOut[];
  /** By the name of the plot. */
  plots: Record<string, Series[]>;
}

export function together(all: readonly Findings[]): Findings {
  return {
    figures: all.flatMap(({ figures }) => figures),
    leftOut: all.flatMap(({ leftOut }) => leftOut),
    plots: Object.assign({}, ...all.map(({ plots }) => plots)) as Findings['plots'],
  };
}

export function verdictOf({ value, ratio, target }: Figure): Verdict {
  if (target === undefined) return 'measured';
  const judged = target.of === 'value' ? value : ratio;
  if (judged === undefined || Number.isNaN(judged)) return 'missed';
  return judged <= (target.most ?? Infinity) && judged >= (target.least ?? -Infinity) ? 'met' : 'missed';
}

/** The value below which `share` (0 … 1) of the values lie. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? NaN) + upper) / 2;
}

/** A machine that is slow for a while is so for both sides of a round. */
function medianRatio(values: readonly number[], references: readonly number[]): number {
  return median(values.flatMap((value, index) => value / (references[index] ?? NaN)));
}

export interface Compared {
  id: string;
  title: string;
  unit: string;
  values: readonly number[];
  reference?: { title: string; values: readonly number[] } | undefined;
  target?: Target | undefined;
  note?: string | undefined;
  /** Default: the smallest value is the best. */
  best?: 'least' | 'most';
}

/** One figure from the runs of a case, beside those of its reference in the same rounds. */
export function figureOf({ values, reference, target, note, best = 'least', ...rest }: Compared): Figure {
  return {
    ...rest,
    value: median(values),
    best: best === 'least' ? Math.min(...values) : Math.max(...values),
    ...(reference !== undefined && {
      reference: { title: reference.title, value: median(reference.values) },
      ratio: medianRatio(values, reference.values),
    }),
    ...(target !== undefined && { target }),
    ...(note !== undefined && { note }),
  };
}
