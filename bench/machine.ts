/** Where the figures come from. */
import { cpus, release, totalmem, type } from 'node:os';

export interface Machine {
  date: string;
  node: string;
  system: string;
  processors: number;
  model: string;
  memoryGB: number;
}

export function machine(): Machine {
  const processors = cpus();
  return {
    date: new Date().toISOString().slice(0, 10),
    node: process.version,
    system: `${type()} ${release().replace(/-.*/, '')} ${process.arch}`,
    processors: processors.length,
    model: (processors[0]?.model ?? 'unknown').replace(/\s+/g, ' ').trim(),
    memoryGB: Math.round(totalmem() / 1024 ** 3),
  };
}
