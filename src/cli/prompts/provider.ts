/** Asks who runs the mailbox, if `cms` cannot find out. */
import type { Proposal } from '../../lib/enrol/propose.ts';
import { discover } from '../../lib/oauth/client/discover.ts';
import type { Provider } from '../../lib/providers/provider.ts';
import { PRESETS } from '../../lib/providers/table.ts';
import { askSearch, askText, type Choice } from './ask.ts';

/** Which of the presets, the organisation's before the others; and the issuer of a server that has none. */
export async function askProvider(
  say: (line: string) => void,
  issuer: (proposed?: string) => Promise<string>,
  address: string,
  own: readonly Provider[],
  proposal: Proposal | undefined,
): Promise<{ provider: Provider; issuer?: string }> {
  if (proposal !== undefined) sayProposal(say, proposal);
  const presets = [...own, ...likelyFirst(PRESETS)];
  // What was found out about the domain is its own server.
  const ordered = proposal === undefined ? presets : [...presets].sort((a, b) => customFirst(a) - customFirst(b));
  const provider = await askSearch(`Which provider has ${address}?`, (term) => offered(ordered, term));
  if (provider.id !== 'custom') return { provider };
  return { provider, issuer: await issuer(proposal?.issuer) };
}

/** What fits, what begins so before the rest; and always the way for a server that is not among them. Pure. */
function offered(presets: readonly Provider[], term: string): (Choice<Provider> | string)[] {
  const choice = (preset: Provider): Choice<Provider> => ({ ...labelOf(preset), value: preset });
  const fitting = presets.filter((preset) => namesOf(preset).some((name) => name.includes(term)));
  const begins = (preset: Provider): boolean => namesOf(preset).some((name) => name.startsWith(term));
  const sorted = [...fitting.filter(begins), ...fitting.filter((preset) => !begins(preset))].map(choice);
  const custom = presets.filter((preset) => preset.id === 'custom' && !fitting.includes(preset)).map(choice);
  return sorted.length > 0 ? [...sorted, ...custom] : [`no "${term}" in this list; for any other server:`, ...custom];
}

function namesOf({ id, name, detect }: Provider): string[] {
  return [id, name.toLowerCase(), ...detect.domains];
}

/** A slip in it would else show only after all other questions. */
export function askIssuer(caFile: string | undefined, proposed?: string): Promise<string> {
  return askText('OpenID Connect issuer (https://…):', (text) => discover(text, caFile), proposed);
}

/** A line of a list does not wrap well: of a long name the end is shown below. */
function labelOf({ id, name }: Provider): { name: string; description?: string } {
  const [, short = name, description = ''] = /^(.+?) \((.+)\)$/.exec(name) ?? [];
  return id === 'custom' ? { name: short, description } : { name };
}

function customFirst({ id }: Provider): number {
  return id === 'custom' ? 0 : 1;
}

function sayProposal(say: (line: string) => void, { from, servers, issuer }: Proposal): void {
  const hosts = Object.values(servers).map(({ host, port }) => `${host}:${port}`);
  if (hosts.length > 0) say(`${from} names ${hosts.join(', ')}`);
  if (issuer !== undefined) say(`${issuer} is an OpenID Connect issuer`);
}

/** The three that most people have, then whatever else there is, then the long list. */
function likelyFirst(presets: readonly Provider[]): Provider[] {
  const custom = presets.filter(({ id }) => id === 'custom');
  const others = presets.filter(({ id }) => id !== 'custom');
  return [...others.slice(0, 3), ...custom, ...others.slice(3)];
}
