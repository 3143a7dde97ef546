/**
 * Writes the manual pages into man/ and the completions into completions/, from the built commands. `npm run build` does
 * it; neither is kept in the repository.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Config } from '@oclif/core';
import { COMPLETION_FILES, completionFor, SHELLS } from '../src/cli/completion/completion.ts';
import { commandLineOf } from '../src/cli/oclif/catalogue.ts';
import { manPages } from './man-page.ts';

const ROOT = fileURLToPath(new URL('../', import.meta.url));

function write(folder: string, files: readonly { file: string; text: string }[]): void {
  const path = join(ROOT, folder);
  rmSync(path, { recursive: true, force: true });
  mkdirSync(path);
  for (const { file, text } of files) writeFileSync(join(path, file), text);
}

// The same sources make the same pages, wherever somebody wants that: https://reproducible-builds.org/specs/source-date-epoch/
function today(): string {
  const { SOURCE_DATE_EPOCH: epoch } = process.env;
  return (epoch === undefined ? new Date() : new Date(Number(epoch) * 1000)).toISOString().slice(0, 10);
}

const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
// Under tsx the framework would look for the sources of the commands.
process.env.OCLIF_TS_NODE = '0';
const line = commandLineOf(await Config.load({ root: ROOT }));
write('man', manPages(line, { version, date: today() }));
write(
  'completions',
  SHELLS.map((shell) => ({ file: COMPLETION_FILES[shell], text: completionFor(shell, line) })),
);
