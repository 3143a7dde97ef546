/** Root hooks of the test run: names what was left out, and lets nothing be left out where all of it is required. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Context, RootHookObject, Suite } from 'mocha';
import { takeAdvised } from './advised.ts';
import { isStrict, LEFT_OUT_FILE, leftOut, summaryOf } from './requirements.ts';

/** Before mocha starts its processes, which inherit the environment. */
export function mochaGlobalSetup(): void {
  process.env[LEFT_OUT_FILE] = join(mkdtempSync(join(tmpdir(), 'cms-left-out-')), 'tests.jsonl');
}

export const mochaHooks: RootHookObject = {
  async afterAll(this: Context) {
    await assertAdvised();
    if (!isStrict()) return;
    const pending = pendingTests(rootOf(this));
    if (pending.length === 0) return;
    throw new Error(`CMS_E2E=required, but ${pending.length} tests did not run:\n${pending.join('\n')}`);
  },
};

/** After the reporter's own last words. */
export function mochaGlobalTeardown(): void {
  const summary = summaryOf(leftOut());
  rmSync(dirname(process.env[LEFT_OUT_FILE] ?? ''), { recursive: true, force: true });
  if (summary !== undefined) process.stderr.write(`\n${summary}\n`);
}

/** A command that a program advised, whichever test had it do so, can be run as it stands. */
async function assertAdvised(): Promise<void> {
  const advised = takeAdvised();
  if (advised.length === 0) return;
  const { assertRuns } = await import('./advice.ts');
  for (const each of advised) await assertRuns(each);
}

function rootOf(context: Context): Suite | undefined {
  let suite = context.test?.parent;
  while (suite?.parent !== undefined) suite = suite.parent;
  return suite;
}

function pendingTests(root: Suite | undefined): string[] {
  const titles: string[] = [];
  root?.eachTest((test) => {
    if (test.isPending()) titles.push(`  - ${test.fullTitle()}`);
  });
  return titles;
}
