/**
 * The smart-hosts file as a whole. It may hold lines of other people: of it only the block between our two markers is
 * ours, the rest is kept byte for byte. Texts are latin1 strings here where they come from a file, so that every byte
 * survives.
 */
import { CmsError } from '../../core/errors.ts';
import { userName } from '../render/options.ts';
import { lookupKeys, renderSmartHost, type SmartHost } from './smart-hosts.ts';

export interface Markers {
  begin: string;
  end: string;
}

export function markersOf(user: string): Markers {
  const name = userName(user);
  return { begin: `# BEGIN cms ${name}`, end: `# END cms ${name}` };
}

/**
 * The block of one user, markers included.
 * @throws CmsError `data_invalid` as `renderSmartHost`; `config_invalid` for the name
 */
export function renderBlock(user: string, lines: readonly SmartHost[]): string {
  const { begin, end } = markersOf(user);
  return [begin, ...lines.map(renderSmartHost), end, ''].join('\n');
}

/**
 * `text` with the block of `user` replaced where it stands, else added at the end.
 * A last line without a newline gets one. A second block of the same user is dropped.
 * @throws CmsError `config_invalid` when the block in `text` has no end: what is ours cannot be told then
 */
export function replaceBlock(text: string, user: string, block: string): string {
  const markers = markersOf(user);
  const kept: string[] = [];
  let state: 'before' | 'inside' | 'after' = 'before';
  for (const line of linesOf(text)) {
    if (line === markers.begin) {
      if (state === 'before') kept.push(block);
      state = 'inside';
    } else if (state !== 'inside') kept.push(`${line}\n`);
    else if (line === markers.end) state = 'after';
  }
  if (state === 'inside') throw unclosed(markers);
  return `${kept.join('')}${state === 'before' ? block : ''}`;
}

/** The block of `user` as it stands in `text`, markers included, or undefined. */
export function findBlock(text: string, user: string): string | undefined {
  const { begin, end } = markersOf(user);
  const lines = linesOf(text);
  const first = lines.indexOf(begin);
  const last = lines.indexOf(end, first);
  return first < 0 || last < 0 ? undefined : `${lines.slice(first, last + 1).join('\n')}\n`;
}

/** A file that does not exist yet. */
export const NEW_FILE = `# Who sends where: one line for each sender, looked up by address, then by domain, then *.
#   KEY: host=NAME::PORT user=LOGIN oauth=SOCKET    or password=SECRET in place of oauth=
# Lines of your own may stand outside of the blocks that cms writes; the first line with a key counts.
`;

function linesOf(text: string): string[] {
  const lines = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  return lines;
}

function unclosed({ begin, end }: Markers): CmsError {
  return new CmsError('config_invalid', `the smart-hosts file has "${begin}" without "${end}"`, {
    suggestions: [`put the line "${end}" back where the block ends, or delete the block`],
  });
}

export interface Entry {
  key: string;
  value: string;
}

/** The entries of an lsearch file: comments and blank lines skipped, indented lines continue the one before. */
export function parseEntries(text: string): Entry[] {
  const entries: Entry[] = [];
  for (const line of linesOf(text)) {
    if (line.startsWith('#') || line.trim() === '') continue;
    const last = entries.at(-1);
    if (/^\s/.test(line)) {
      if (last !== undefined) last.value += ` ${line.trim()}`;
      continue;
    }
    const match = /^(?:"((?:[^"\\]|\\.)*)"|([^\s:]*))\s*:?\s*(.*)$/.exec(line);
    entries.push({ key: (match?.[1] ?? match?.[2] ?? '').toLowerCase(), value: match?.[3] ?? '' });
  }
  return entries;
}

/** The entry that serves `sender`, chosen as exim chooses it. */
export function entryFor(entries: readonly Entry[], sender: string): Entry | undefined {
  for (const key of lookupKeys(sender)) {
    const entry = entries.find((one) => one.key === key);
    if (entry !== undefined) return entry;
  }
  return undefined;
}

/** The fields of an entry; a quoted value loses its quotes. The first of two with one name counts. */
export function fieldsOf(entry: Entry): Map<string, string> {
  const fields = new Map<string, string>();
  for (const [, name = '', quoted, plain = ''] of entry.value.matchAll(
    /([^\s=]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|(\S*))/g,
  )) {
    if (!fields.has(name.toLowerCase())) fields.set(name.toLowerCase(), quoted?.replace(/\\(.)/g, '$1') ?? plain);
  }
  return fields;
}

/** The first sender or account of `user` that the block of another user names too, in words; undefined for none. */
export function nameOfOthers(text: string, user: string): string | undefined {
  const { begin } = markersOf(user);
  const [mine, theirs] = [new Set<string>(), new Map<string, string>()];
  let owner = '';
  for (const line of linesOf(text)) {
    if (line.startsWith('# BEGIN cms ')) owner = line.slice('# BEGIN cms '.length);
    else if (line.startsWith('# END cms ')) owner = '';
    const [entry] = owner === '' ? [] : parseEntries(line);
    if (entry === undefined) continue;
    const fields = fieldsOf(entry);
    const account = (fields.get('account') ?? fields.get('user') ?? '').toLowerCase();
    for (const name of [account, ...(entry.key === '*' ? [] : [entry.key])]) {
      if (begin === `# BEGIN cms ${owner}`) mine.add(name);
      else theirs.set(name, owner);
    }
  }
  const name = [...mine].find((each) => theirs.has(each));
  return name === undefined ? undefined : `${name} is in the block of ${theirs.get(name) ?? ''}`;
}
