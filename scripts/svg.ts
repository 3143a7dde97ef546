/** A terminal as an SVG of plain text: it scales, and a screen reader can read it. Its dark ground suits both themes. */

const COLUMN = 8.43;
const LINE = 19;
const PADDING = 18;
const BAR = 34;
const FOREGROUND = '#d0d7de';
const BOLD = '#ffffff';
const DIM = '#8b949e';
const COLOURS: Partial<Record<number, string>> = {
  31: '#ff7b72',
  32: '#56d364',
  33: '#e3b341',
  34: '#79c0ff',
  35: '#d2a8ff',
  36: '#79c0ff',
  90: DIM,
};

interface Style {
  bold: boolean;
  dim: boolean;
  colour: string | undefined;
}

interface Run extends Style {
  row: number;
  column: number;
  text: string;
}

const PLAIN: Style = { bold: false, dim: false, colour: undefined };

/** @param lines with the codes of colours (SGR) in them */
export function terminalSvg(title: string, lines: readonly string[]): string {
  const columns = Math.max(...lines.map((line) => line.replace(/\u001b\[[\d;]*m/g, '').length));
  const width = Math.ceil(2 * PADDING + columns * COLUMN);
  const height = BAR + 2 * PADDING + (lines.length - 1) * LINE;
  const font = "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono','Liberation Mono',monospace";
  const texts = runsOf(lines).map(renderRun);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">
<title>${escapeXml(title)}</title>
<rect x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" rx="9" fill="#0d1117" stroke="#444c56"/>
<circle cx="20" cy="18" r="5.5" fill="#ff5f57"/><circle cx="40" cy="18" r="5.5" fill="#febc2e"/><circle cx="60" cy="18" r="5.5" fill="#28c840"/>
<g font-family="${font}" font-size="14">
${texts.join('\n')}
</g>
</svg>
`;
}

/** Splits lines at the codes of colours, which hold beyond a line's end, and leaves out the blanks around words. */
function runsOf(lines: readonly string[]): Run[] {
  const runs: Run[] = [];
  let style = PLAIN;
  for (const [row, line] of lines.entries()) {
    let column = 0;
    for (const [, codes, text = ''] of line.matchAll(/\u001b\[([\d;]*)m|([^\u001b]+)/g)) {
      if (codes !== undefined) style = codes.split(';').map(Number).reduce(applied, style);
      if (text.trim() !== '') {
        const indent = text.length - text.trimStart().length;
        runs.push({ ...style, row, column: column + indent, text: text.trim() });
      }
      column += text.length;
    }
  }
  return runs;
}

function applied(style: Style, code: number): Style {
  if (code === 0) return PLAIN;
  if (code === 1) return { ...style, bold: true };
  if (code === 2) return { ...style, dim: true };
  if (code === 22) return { ...style, bold: false, dim: false };
  if (code === 39) return { ...style, colour: undefined };
  return { ...style, colour: COLOURS[code] ?? style.colour };
}

function renderRun({ row, column, text, bold, dim, colour }: Run): string {
  const x = (PADDING + column * COLUMN).toFixed(1);
  const y = BAR + PADDING + row * LINE;
  // The reader's font may be wider or narrower than ours: the columns stay.
  const length = (text.length * COLUMN).toFixed(1);
  const fill = colour ?? (bold ? BOLD : dim ? DIM : FOREGROUND);
  const weight = bold ? ' font-weight="bold"' : '';
  return `<text x="${x}" y="${y}" textLength="${length}" fill="${fill}"${weight}>${escapeXml(text)}</text>`;
}

function escapeXml(text: string): string {
  // Runs of spaces would be drawn as one.
  return text.replaceAll(' ', '\u00a0').replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
