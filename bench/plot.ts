/**
 * Plots as SVG text. Pure. Each draws its own background, so that it can be read on a light page and on a dark one, and
 * every mark has its number beside it or in a title.
 */
import type { Series } from './figures.ts';
import { amount } from './report.ts';

const WIDTH = 760;
const COLOURS = ['a', 'b', 'c'];
const STYLE = `<style>
text{font:13px system-ui,-apple-system,'Segoe UI','DejaVu Sans',sans-serif;fill:#1f2328}
.h{font-weight:600;font-size:15px}.s{fill:#59636e;font-size:12px}.card{fill:#fff;stroke:#d1d9e0}.grid{stroke:#d1d9e0}
.a{fill:#8c959f;stroke:#8c959f}.b{fill:#0969da;stroke:#0969da}.c{fill:#bf8700;stroke:#bf8700}
.limit{stroke:#cf222e;stroke-dasharray:5 4}path{fill:none!important;stroke-width:2}
rect.a,rect.b,rect.c{stroke:none}text.a,text.b,text.c{stroke:none}
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.s{fill:#9198a1}.card{fill:#0d1117;stroke:#3d444d}.grid{stroke:#3d444d}
.a{fill:#9198a1;stroke:#9198a1}.b{fill:#4493f8;stroke:#4493f8}.c{fill:#d29922;stroke:#d29922}.limit{stroke:#f85149}}
</style>`;

export interface Titles {
  title: string;
  /** Below it, smaller: what the numbers are. */
  subtitle: string;
}

function frame({ title, subtitle }: Titles, height: number, body: readonly string[]): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img">
<title>${escapeXml(`${title}: ${subtitle}`)}</title>
${STYLE}
<rect class="card" x="0.5" y="0.5" width="${WIDTH - 1}" height="${height - 1}" rx="8"/>
<text class="h" x="20" y="30">${escapeXml(title)}</text>
<text class="s" x="20" y="49">${escapeXml(subtitle)}</text>
${body.join('\n')}
</svg>
`;
}

const BAR = 26;
const LABEL = 300;
const TOP = 68;

/** One horizontal bar for each point, the smallest first. `isOurs` chooses the colour. */
export function bars(titles: Titles, { points }: Series, isOurs: (name: string) => boolean): string {
  const sorted = [...points].sort((a, b) => a.y - b.y);
  const scale = (WIDTH - LABEL - 90) / Math.max(...sorted.map(({ y }) => y), 1);
  const body = sorted.map(({ x, y }, row) => {
    const top = TOP + row * BAR;
    const width = Math.max(1, y * scale);
    return `<text x="${LABEL - 10}" y="${top + 13}" text-anchor="end">${escapeXml(String(x))}</text>
<rect class="${isOurs(String(x)) ? 'b' : 'a'}" x="${LABEL}" y="${top}" width="${width.toFixed(1)}" height="17" rx="2"/>
<text x="${(LABEL + width + 8).toFixed(1)}" y="${top + 13}">${amount(y)}</text>`;
  });
  return frame(titles, TOP + sorted.length * BAR + 14, body);
}

const PLOT = { left: 64, right: 190, top: 70, height: 220, bottom: 44 };

export interface Axis {
  logarithmic?: boolean;
  label: string;
}

/** One line for each series over the same points, which stand at equal distances. */
export function lines(titles: Titles, series: readonly Series[], axis: Axis): string {
  const xs = series[0]?.points.map(({ x }) => x) ?? [];
  const step = (WIDTH - PLOT.left - PLOT.right) / Math.max(1, xs.length - 1);
  const y = scaleOf(
    series.flatMap(({ points }) => points.map((point) => point.y)),
    axis.logarithmic ?? false,
  );
  const body = [
    ...grid(y),
    ...xs.map((x, index) => label(PLOT.left + index * step, String(x))),
    `<text class="s" x="${PLOT.left + ((xs.length - 1) * step) / 2}" y="${PLOT.top + PLOT.height + 38}" text-anchor="middle">${escapeXml(axis.label)}</text>`,
    ...apart(series.map(({ points }) => y.at(points.at(-1)?.y ?? 0))).flatMap((nameY, index) => {
      const { name = '', points = [] } = series[index] ?? {};
      const colour = COLOURS[index % COLOURS.length] ?? 'a';
      const at = points.map((point, i) => [PLOT.left + i * step, y.at(point.y)] as const);
      const path = at.map(([px, py], i) => `${i === 0 ? 'M' : 'L'}${px.toFixed(1)} ${py.toFixed(1)}`).join('');
      const dots = at.map(
        ([px, py], i) =>
          `<circle class="${colour}" cx="${px.toFixed(1)}" cy="${py.toFixed(1)}" r="3.5"><title>${escapeXml(name)}: ${amount(points[i]?.y ?? 0)}</title></circle>`,
      );
      const text = `<text class="${colour}" x="${WIDTH - PLOT.right + 14}" y="${(nameY + 4).toFixed(1)}">${escapeXml(name)} ${amount(points.at(-1)?.y ?? 0)}</text>`;
      return [`<path class="${colour}" d="${path}"/>`, ...dots, text];
    }),
  ];
  return frame(titles, PLOT.top + PLOT.height + PLOT.bottom + 8, body);
}

/** One column for each point, with a line at `limit`. */
export function columns(titles: Titles, { points }: Series, limit: { y: number; name: string }, axis: Axis): string {
  const y = scaleOf([...points.map((point) => point.y), limit.y], false);
  const width = (WIDTH - PLOT.left - 30) / Math.max(1, points.length);
  const base = PLOT.top + PLOT.height;
  const body = [
    ...grid(y, WIDTH - 30),
    ...points.map(({ x, y: value }, index) => {
      const top = y.at(value);
      const left = PLOT.left + index * width;
      return `<rect class="b" x="${(left + 1).toFixed(1)}" y="${top.toFixed(1)}" width="${(width - 2).toFixed(1)}" height="${(base - top).toFixed(1)}"><title>${x}: ${amount(value)}</title></rect>`;
    }),
    ...points.flatMap(({ x }, index) =>
      index % 10 === 0 ? [label(PLOT.left + (index + 0.5) * width, String(x))] : [],
    ),
    `<line class="limit" x1="${PLOT.left}" x2="${WIDTH - 30}" y1="${y.at(limit.y).toFixed(1)}" y2="${y.at(limit.y).toFixed(1)}"/>`,
    `<text class="s" x="${WIDTH - 30}" y="${(y.at(limit.y) - 6).toFixed(1)}" text-anchor="end">${escapeXml(limit.name)}</text>`,
    `<text class="s" x="${PLOT.left + (points.length * width) / 2}" y="${base + 38}" text-anchor="middle">${escapeXml(axis.label)}</text>`,
  ];
  return frame(titles, base + PLOT.bottom + 8, body);
}

interface Scale {
  ticks: number[];
  at: (value: number) => number;
}

function scaleOf(values: readonly number[], logarithmic: boolean): Scale {
  const [least, most] = [Math.min(...values), Math.max(...values, 1e-9)];
  const base = PLOT.top + PLOT.height;
  if (!logarithmic) {
    const step = niceStep(most / 5);
    const ticks = Array.from({ length: Math.ceil(most / step) + 1 }, (_, i) => i * step);
    return { ticks, at: (value) => base - (value / (ticks.at(-1) ?? 1)) * PLOT.height };
  }
  const [low, high] = [Math.floor(Math.log10(least)), Math.ceil(Math.log10(most))];
  const ticks = Array.from({ length: high - low + 1 }, (_, i) => 10 ** (low + i));
  return { ticks, at: (value) => base - ((Math.log10(value) - low) / Math.max(1, high - low)) * PLOT.height };
}

/** 1, 2 or 5 times a power of ten. */
function niceStep(rough: number): number {
  const power = 10 ** Math.floor(Math.log10(rough));
  return ([1, 2, 5].find((factor) => factor * power >= rough) ?? 10) * power;
}

function grid({ ticks, at }: Scale, right = WIDTH - PLOT.right): string[] {
  return ticks.map(
    (tick) =>
      `<line class="grid" x1="${PLOT.left}" x2="${right}" y1="${at(tick).toFixed(1)}" y2="${at(tick).toFixed(1)}"/>
<text class="s" x="${PLOT.left - 8}" y="${(at(tick) + 4).toFixed(1)}" text-anchor="end">${tick.toLocaleString('en')}</text>`,
  );
}

function label(x: number, text: string): string {
  return `<text class="s" x="${x.toFixed(1)}" y="${PLOT.top + PLOT.height + 19}" text-anchor="middle">${escapeXml(text)}</text>`;
}

const NAME_HEIGHT = 17;

/** The same heights, moved down where names would cover each other. */
function apart(heights: readonly number[]): number[] {
  const order = heights.map((height, index) => ({ height, index })).sort((a, b) => a.height - b.height);
  const moved: number[] = [];
  let previous = -Infinity;
  for (const { height, index } of order) {
    previous = Math.max(height, previous + NAME_HEIGHT);
    moved[index] = previous;
  }
  return moved;
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
