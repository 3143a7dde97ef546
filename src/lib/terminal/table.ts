/** A plain table: columns as wide as their widest cell, two blanks between them, no lines. Pure. */
import { displayWidth, padTo } from './width.ts';

const GAP = '  ';

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = columnWidths(head, rows);
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => padTo(cell, widths[column] ?? 0))
      .join(GAP)
      .trimEnd();
  return `${[head, ...rows].map(line).join('\n')}\n`;
}

/** Columns of the terminal that its widest line takes. */
export function tableWidth(head: readonly string[], rows: readonly (readonly string[])[]): number {
  const widths = columnWidths(head, rows);
  return widths.reduce((sum, width) => sum + width, GAP.length * (widths.length - 1));
}

function columnWidths(head: readonly string[], rows: readonly (readonly string[])[]): number[] {
  // Not Math.max(...): ten thousand rows are too many arguments.
  return head.map((title, column) =>
    rows.reduce((widest, row) => Math.max(widest, displayWidth(row[column] ?? '')), displayWidth(title)),
  );
}
