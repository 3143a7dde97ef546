/**
 * Other names for what is personal, the same one for the same thing: `jane@example.org` becomes `user1@domain1`
 * wherever it stands. What is not known to be public is masked: a report is pasted by people in a hurry.
 */
import { isIP } from 'node:net';
import { type Provider } from '../../providers/provider.ts';
import { PRESETS } from '../../providers/table.ts';
import { redact } from '../../core/redact.ts';

export interface MaskFacts {
  /** Names of users of this machine, also within other words, where they are not too short for that. */
  users: readonly string[];
  /** Local parts of addresses, where they stand by themselves. */
  locals: readonly string[];
  /** Names of this machine. */
  hostNames: readonly string[];
  /** Hosts and domains of accounts, which are masked even if they look like file names. */
  hosts: readonly string[];
  /** Identifiers of clients. */
  clients: readonly string[];
  /** Folders and what they are called instead. */
  folders: readonly (readonly [path: string, name: string])[];
  /** Words with a dot that are ours: ids of checks. */
  words: readonly string[];
}

/** A text with everything that is personal in it replaced. Keeps what it has called what. */
export type Mask = (text: string) => string;

/** Where cms itself sends people to read on. */
const PAGES = ['aka.ms', 'support.google.com', 'console.cloud.google.com', 'myaccount.google.com', 'github.com'];
const FILE_ENDS =
  /\.(?:json|jsonl|toml|sock|conf|key|service|socket|sealed|ts|js|mjs|md|pem|log|sh|lock|new|broken|target|cred)$/i;
/** Users and hosts whose names reveal nothing, and are in sentences and versions too. */
const PUBLIC_NAMES = new Set([
  ...['root', 'nobody', 'cms', 'Debian-exim', 'daemon', 'games', 'mail', 'home'],
  ...['admin', 'debian', 'exim', 'host', 'imap', 'node', 'server', 'smtp', 'test', 'ubuntu', 'user', 'vagrant'],
]);
const SHORTEST_NAME = 2;
/** A client of such a name reveals nothing, and sentences have the word too: "mail". */
const PLAIN_WORD = /^[a-z]{1,7}$/i;
/** Shorter ones are parts of other words. */
const LONG_NAME = 4;

/** Signs of addresses and URLs as a URL carries them. */
const ENCODED = /%(?:2[bdef]|3a|40|5f)/gi;
const GUID = /\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/gi;
const ADDRESS = /[^\s<>"'`(),;:=[\]|/]+@(?:[\p{L}\p{N}-]+\.)*[\p{L}\p{N}-]+/gu;
const DOMAIN_ALIAS = /(?<![\w@])@((?:[\p{L}\p{N}-]+\.)+[\p{L}\p{N}-]+)/gu;
const HOST = /(?<![\w.@-])(?:[\p{L}\p{N}_-]+\.)+\p{L}[\p{L}\p{N}-]+(?![\w-])/gu;
const IP = /(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7})(?![\w.]*:?[0-9a-f]{1,4}:)/gi;
/** Nothing that cms says is as long; whatever it is, it is not missed. */
const OPAQUE = /[A-Za-z0-9_-]{40,}/g;

export function createMask(facts: MaskFacts): Mask {
  const names = new Map<string, string>();
  const called = (kind: string, what: string): string => {
    const key = `${kind} ${what.toLowerCase()}`;
    const known = names.get(key);
    if (known !== undefined) return known;
    const name = `${kind}${[...names.keys()].filter((each) => each.startsWith(`${kind} `)).length + 1}`;
    names.set(key, name);
    return name;
  };
  const kept = publicHosts();
  const words = new Set(facts.words);
  const theirs = new Set(facts.hosts.map((each) => each.toLowerCase()));
  const domain = (name: string): string => (kept.has(name.toLowerCase()) ? name : called('domain', name));
  const address = (text: string): string => {
    const [local = '', host = ''] = text.split('@');
    return `${called('user', local)}@${domain(host)}`;
  };
  const host = (name: string): string => {
    const low = name.toLowerCase();
    if (kept.has(low) || words.has(name) || (FILE_ENDS.test(name) && !theirs.has(low))) return name;
    return names.get(`domain ${name.toLowerCase()}`) ?? called('host', name);
  };
  const isPrivate = (name: string): boolean => name.length >= SHORTEST_NAME && !PUBLIC_NAMES.has(name);
  const [people, locals] = [facts.users.filter(isPrivate), facts.locals.filter(isPrivate)];
  const hostNames = facts.hostNames.filter(isPrivate);
  const clients = facts.clients.filter((client) => !PLAIN_WORD.test(client));
  const folders = [...facts.folders].sort(([a], [b]) => b.length - a.length);
  return (text) => {
    let said = redact(text).replace(ENCODED, decodeURIComponent);
    for (const [path, name] of folders) said = said.replaceAll(path, name);
    said = said.replace(/\/home\/[^/\s:"')]+/g, '~');
    for (const client of clients) said = replaceWord(said, client, () => called('client', client));
    said = said.replace(GUID, (id) => called('id', id)).replace(ADDRESS, address);
    said = said.replace(DOMAIN_ALIAS, (_whole, name: string) => `@${domain(name)}`);
    for (const name of facts.hosts) said = replaceWord(said, name, () => (isIP(name) ? name : host(name)));
    said = said.replace(HOST, host);
    said = said.replace(IP, (ip) => (isIP(ip) === 0 || isLoopback(ip) ? ip : called('ip', ip)));
    for (const name of hostNames) said = replaceWord(said, name, () => 'this-host');
    for (const name of [...people, ...locals]) said = replaceWord(said, name, () => called('user', name));
    for (const name of people) if (name.length >= LONG_NAME) said = said.replaceAll(name, () => called('user', name));
    return said.replace(OPAQUE, '[opaque]');
  };
}

function replaceWord(text: string, word: string, by: () => string): string {
  if (word === '') return text;
  const escaped = word.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  return text.replace(new RegExp(`(?<![\\p{L}\\p{N}_.-])${escaped}(?![\\p{L}\\p{N}_-])`, 'giu'), by);
}

function isLoopback(ip: string): boolean {
  return ip === '::1' || ip === '::' || ip.startsWith('127.') || ip === '0.0.0.0';
}

/** The names in the shipped presets, letter for letter: what is below them may belong to a user. */
function publicHosts(): Set<string> {
  const names = PRESETS.flatMap(namesIn).concat(PAGES, 'localhost', 'localhost.localdomain');
  return new Set(names.map((name) => name.toLowerCase()));
}

function namesIn(provider: Provider): string[] {
  const servers = Object.values(provider.servers).flatMap((all) => all.map(({ host }) => host));
  const texts =
    provider.oauth === 'none' ? [] : [...Object.values(provider.endpoints), ...Object.values(provider.scopes).flat()];
  const urls = texts.filter((each) => typeof each === 'string' && URL.canParse(each)) as string[];
  return [...servers, ...provider.detect.domains, ...urls.map((url) => new URL(url).hostname), ...texts.map(String)];
}
