/** What every suite is given. */
import type { Findings } from './figures.ts';
import type { Tools } from './tools.ts';

export interface Setting {
  quick: boolean;
  tools: Tools;
  /** For sockets and files of the run; gone afterwards. */
  folder: string;
  /** The size for this run. */
  pick: <T>(quick: T, full: T) => T;
  say: (text: string) => void;
}

export interface Suite {
  name: string;
  title: string;
  measure: (setting: Setting) => Promise<Findings>;
}
