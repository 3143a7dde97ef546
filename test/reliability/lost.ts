/**
 * Nothing lost: after a fault and a restart, without any help from a person, for every account
 *
 * 1. the newest refresh token that was stored, or the one before it while the provider still takes it, is there and
 *    brings a new access token that the provider honours;
 * 2. no account waits for a sign-in unless the provider really revoked its grant;
 * 3. no file is damaged or open to others, and no temporary file outlives one start;
 * 4. no secret stands in a log.
 */
import { lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { openContext } from '../../src/lib/context.ts';
import type { Site } from './harness.ts';
import { textIfAny } from '../../src/lib/os/look.ts';

export interface Losses {
  /** One sentence each; empty: nothing is lost. */
  problems: string[];
  /** Accounts that need a sign-in because the provider took their grant away, which is not a problem of ours. */
  revoked: string[];
}

export interface LostOptions {
  /** A broker that has been started again already; it is left running. Else one is started and ended. */
  restarted?: boolean;
  /** The provider may have revoked grants: it answers a second use of a refresh token with that. */
  reuseRevokes?: boolean;
}

export async function nothingLost(site: Site, options: LostOptions = {}): Promise<Losses> {
  const broker = options.restarted === true ? undefined : await site.serve();
  const losses: Losses = { problems: [], revoked: [] };
  try {
    await Promise.all(site.addresses.map((address) => checkGrant(site, address, options, losses)));
  } finally {
    await broker?.stop();
  }
  await checkVault(site, losses.problems);
  for (const folder of [site.home.stateDir, site.home.configDir]) checkFiles(folder, losses.problems);
  checkLogs(site, losses.problems);
  return losses;
}

async function checkGrant(site: Site, address: string, options: LostOptions, losses: Losses): Promise<void> {
  const before = await site.ask(`SMTP,json,wait=20 ${address}`);
  const answer = JSON.parse((await site.ask(`REFRESH ${address}`)) || '{}') as Record<string, unknown>;
  if (typeof answer.expires_at === 'number') {
    const token = await site.ask(`SMTP,token ${address}`);
    const { active } = await site.provider.introspect(token);
    if (!active) losses.problems.push(`${address}: the provider does not honour the token that is served`);
    return;
  }
  const because = `${String(answer.error)}: ${String(answer.error_description)}; asked before: ${before.slice(0, 60)}`;
  if (options.reuseRevokes === true && answer.error === 'authorization_required') losses.revoked.push(address);
  else losses.problems.push(`${address}: no refresh after the restart (${because})`);
}

/** Every sealed file opens and is of an account. */
async function checkVault(site: Site, problems: string[]): Promise<void> {
  const { vault } = openContext(site.env);
  for (const address of site.addresses) {
    try {
      const record = await vault.read(address);
      if (record?.secrets.refresh_token === undefined) problems.push(`${address}: no refresh token in the vault`);
    } catch (error) {
      problems.push(`${address}: ${String(error)}`);
    }
  }
}

function checkFiles(folder: string, problems: string[]): void {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    const stat = lstatSync(path);
    if ((stat.mode & 0o077) !== 0) problems.push(`${path} has the mode ${(stat.mode & 0o777).toString(8)}`);
    if (name.includes('.tmp-')) problems.push(`${path} was left behind`);
    if (stat.isDirectory()) checkFiles(path, problems);
  }
}

function checkLogs(site: Site, problems: string[]): void {
  const audit = ['audit.jsonl', 'audit.jsonl.1'].map((name) => textIfAny(join(site.home.stateDir, name)));
  const text = [...site.logs, ...audit].join('\n');
  const leaked = site.provider.issuedTokens.filter((token) => text.includes(token));
  if (leaked.length > 0) problems.push(`${leaked.length} tokens stand in the logs`);
}
