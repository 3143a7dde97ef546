/**
 * Draws docs/demo.svg from what `npm run demo` really prints:
 *
 *   node --import tsx scripts/terminal-svg.ts > docs/demo.svg
 *
 * Plain text in an SVG: it scales, and a screen reader can read it.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** The steps that tell the story; the others are left out of the picture, not out of the demo. */
const STEPS = ['Sign in, once', 'Take a token', 'Send a message through exim', 'What the mail server received'];
const COLUMN = 8.43;
const LINE = 19;
const PADDING = 18;
const BAR = 34;
const COLOURS: Partial<Record<string, string>> = { '1': '#ffffff', '2': '#6e7681', '32': '#56d364', '36': '#79c0ff' };
const FOREGROUND = '#d0d7de';

interface Run {
  column: number;
  text: string;
  style: string;
}

function runDemo(): string {
  const demo = fileURLToPath(new URL('../demo/main.ts', import.meta.url));
  const env = { ...process.env, FORCE_COLOR: '1', TSX_DISABLE_CACHE: '1' };
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--import', 'tsx', demo], { env, encoding: 'utf8' });
  if (status !== 0) throw new Error(`the demo ended with ${String(status)}: ${stderr}`);
  return stdout;
}

/** The lines of the steps that are shown, with a blank line between them. */
function selectSteps(output: string): string[] {
  const parts = output
    .trimEnd()
    .split(/\n(?=\n\u001b\[1m)/)
    .map((part) => part.trim());
  const shown = parts.filter((part) => STEPS.some((title) => part.split('\n')[0]?.includes(title)));
  if (shown.length !== STEPS.length)
    throw new Error(`of the steps ${STEPS.join(', ')} only ${shown.length} took place`);
  return [
    '\u001b[36m$ npm run demo\u001b[0m',
    '\u001b[2m…\u001b[0m',
    ...shown.flatMap((part) => [...part.split('\n'), '']),
  ].slice(0, -1);
}

/** Splits a line at its colour codes. */
function runsOf(line: string): Run[] {
  const runs: Run[] = [];
  let style = '';
  let column = 0;
  for (const [, code, text = ''] of line.matchAll(/\u001b\[(\d*)m|([^\u001b]+)/g)) {
    if (code !== undefined) style = code === '0' ? '' : code;
    if (text.trim() !== '') {
      const indent = text.length - text.trimStart().length;
      runs.push({ column: column + indent, text: text.trim(), style });
    }
    column += text.length;
  }
  return runs;
}

function renderRun({ column, text, style }: Run, row: number): string {
  const x = (PADDING + column * COLUMN).toFixed(1);
  const y = BAR + PADDING + row * LINE;
  // The reader's font may be wider or narrower than ours: the columns stay.
  const length = (text.length * COLUMN).toFixed(1);
  const fill = COLOURS[style] ?? FOREGROUND;
  const weight = style === '1' ? ' font-weight="bold"' : '';
  return `<text x="${x}" y="${y}" textLength="${length}" fill="${fill}"${weight}>${escapeXml(text)}</text>`;
}

function escapeXml(text: string): string {
  // Runs of spaces would be drawn as one.
  return text.replaceAll(' ', '\u00a0').replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

function render(lines: readonly string[]): string {
  const columns = Math.max(...lines.map((line) => line.replace(/\u001b\[\d*m/g, '').length));
  const width = Math.ceil(2 * PADDING + columns * COLUMN);
  const height = BAR + 2 * PADDING + (lines.length - 1) * LINE;
  const font = "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono','Liberation Mono',monospace";
  const texts = lines.flatMap((line, row) => runsOf(line).map((run) => renderRun(run, row)));
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">
<title>npm run demo: a sign-in, a token, and a message sent through exim</title>
<rect x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" rx="9" fill="#0d1117" stroke="#444c56"/>
<circle cx="20" cy="18" r="5.5" fill="#ff5f57"/><circle cx="40" cy="18" r="5.5" fill="#febc2e"/><circle cx="60" cy="18" r="5.5" fill="#28c840"/>
<g font-family="${font}" font-size="14">
${texts.join('\n')}
</g>
</svg>
`;
}

process.stdout.write(render(selectSteps(runDemo())));
