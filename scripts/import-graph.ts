/**
 * Draws the rooms of src and what they import into docs/developing.md: npm run docs:generate. A room is a folder of src
 * or src/lib; a file that is in none is a room of its own, and not in the picture.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { posix } from 'node:path';
import { fileURLToPath } from 'node:url';

const SRC = fileURLToPath(new URL('../src/', import.meta.url));
export const PAGE = fileURLToPath(new URL('../docs/developing.md', import.meta.url));

export interface Import {
  from: string;
  to: string;
}

/** By each room, those that it imports. */
export type Graph = ReadonlyMap<string, ReadonlySet<string>>;

/** Every import of one source file by another, relative to src; type imports as well. */
export function readImports(): Import[] {
  const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
  return files.flatMap((from) => importsOf(from, readFileSync(`${SRC}${from}`, 'utf8')));
}

export function importsOf(from: string, text: string): Import[] {
  const specifiers = [...text.matchAll(/(?:\bfrom|\bimport\(|\brequire\()\s*'(\.[^']+)'/g)];
  return specifiers.map(([, specifier = '']) => ({ from, to: posix.join(posix.dirname(from), specifier) }));
}

export function roomOf(file: string): string {
  const [first = '', ...rest] = file.replace(/^lib\//, '').split('/');
  return rest.length === 0 ? file : first;
}

export function graphOf(imports: readonly Import[]): Graph {
  const graph = new Map<string, Set<string>>();
  const room = (file: string): Set<string> => {
    const found = graph.get(roomOf(file)) ?? new Set<string>();
    graph.set(roomOf(file), found);
    return found;
  };
  for (const { from, to } of imports) {
    room(to);
    if (roomOf(from) !== roomOf(to)) room(from).add(roomOf(to));
  }
  return graph;
}

/** The rooms of the first circle there is, the first one twice; undefined where there is none. */
export function circleIn(graph: Graph): string[] | undefined {
  const done = new Set<string>();
  const visit = (room: string, path: readonly string[]): string[] | undefined => {
    if (path.includes(room)) return [...path.slice(path.indexOf(room)), room];
    if (done.has(room)) return undefined;
    for (const next of graph.get(room) ?? []) {
      const circle = visit(next, [...path, room]);
      if (circle !== undefined) return circle;
    }
    done.add(room);
    return undefined;
  };
  for (const room of graph.keys()) {
    const circle = visit(room, []);
    if (circle !== undefined) return circle;
  }
  return undefined;
}

/** Those that are folders. */
export function foldersOf(graph: Graph): string[] {
  return [...graph.keys()].filter((room) => !room.endsWith('.ts')).sort();
}

/** The picture: an arrow that follows from others is left out. */
export function renderGraph(graph: Graph): string {
  const rooms = foldersOf(graph);
  const arrows = rooms.flatMap((room) =>
    [...(graph.get(room) ?? [])]
      .filter((next) => rooms.includes(next) && !leadsThere(graph, room, next))
      .sort()
      .map((next) => `  ${room} --> ${next}`),
  );
  const alone = rooms.filter((room) => !arrows.some((arrow) => arrow.trim().split(' --> ').includes(room)));
  return ['```mermaid', 'graph TD', ...alone.map((room) => `  ${room}`), ...arrows, '```'].join('\n');
}

/** Whether `to` is reached from `from` by another way than the arrow between the two. */
function leadsThere(graph: Graph, from: string, to: string): boolean {
  const seen = new Set<string>();
  const waiting = [...(graph.get(from) ?? [])].filter((room) => room !== to);
  for (const room of waiting) {
    if (room === to) return true;
    if (seen.has(room) || room.endsWith('.ts')) continue;
    seen.add(room);
    waiting.push(...(graph.get(room) ?? []));
  }
  return false;
}

const BEGIN = '<!-- Made from the imports by npm run docs:generate -->';
const END = '<!-- End of what is made -->';

/** `page` with the picture as it has to be. */
export function withPicture(page: string, graph: Graph): string {
  const [begin, end] = [page.indexOf(BEGIN) + BEGIN.length, page.indexOf(END)];
  return `${page.slice(0, begin)}\n\n${renderGraph(graph)}\n\n${page.slice(end)}`;
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  writeFileSync(PAGE, withPicture(readFileSync(PAGE, 'utf8'), graphOf(readImports())));
