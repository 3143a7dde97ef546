/** Colours, where they are wanted. */
export interface Style {
  title: (text: string) => string;
  command: (text: string) => string;
  dim: (text: string) => string;
  good: (text: string) => string;
}

export function styleText(colours: boolean): Style {
  const wrap = (code: string) => (text: string) => (colours ? `\u001b[${code}m${text}\u001b[0m` : text);
  return { title: wrap('1'), command: wrap('36'), dim: wrap('2'), good: wrap('32') };
}
