/** Values kept as JSON beside this file. `npm run snapshot` writes them; each test compares. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { format } from 'prettier';

/** @param name of the file, without its ending */
export async function matchesSnapshot(name: string, value: unknown): Promise<void> {
  const file = new URL(`${name}.json`, import.meta.url);
  if (process.env.UPDATE_SNAPSHOTS) {
    const text = await format(JSON.stringify(value), { parser: 'json', printWidth: 120 });
    writeFileSync(file, text);
  }
  const kept = JSON.parse(readFileSync(file, 'utf8')) as unknown;
  assert.deepEqual(JSON.parse(JSON.stringify(value)), kept, `${name} changed; if that is meant: npm run snapshot`);
}
