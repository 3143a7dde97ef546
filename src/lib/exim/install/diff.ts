/** What an installation would change, as `diff -u` shows it. */
import { CmsError } from '../../core/errors.ts';
import type { Run } from '../../os/process.ts';
import { EXIM_CONFIG_FILE } from './install-script.ts';
import type { EximPlan } from './plan.ts';
import { replaceBlock } from '../smart-hosts/smart-hosts-file.ts';
import { readSmartHosts } from './workspace.ts';

/**
 * The differences of both files; empty where there are none. A smart-hosts file that is closed to the caller is not
 * compared, and the text says so.
 * @see diff(1)
 * @throws CmsError `io_error`
 */
export async function diffToInstalled(plan: EximPlan, run: Run, configFile = EXIM_CONFIG_FILE): Promise<string> {
  const { smartHostsFile } = plan.options;
  const hosts = await readSmartHosts(smartHostsFile);
  const lines = hosts.closed
    ? `# you may not read ${smartHostsFile}; this is what cms would write to it\n${plan.block}`
    : await diff(smartHostsFile, replaceBlock(hosts.text, plan.user, plan.block), run);
  return (await diff(configFile, plan.config, run)) + lines;
}

async function diff(path: string, text: string, run: Run): Promise<string> {
  const { status, stdout, stderr } = await run(
    ['diff', '-uN', '--label', path, '--label', `${path} (new)`, path, '-'],
    text,
  );
  if (status === 0 || status === 1) return stdout;
  throw new CmsError('io_error', `cannot compare with ${path}: ${stderr.trim()}`);
}
