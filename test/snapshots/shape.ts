/** What snapshots are made of: the shape of JSON, the declarations behind a type, the files below a folder. */
import { lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';

export type Shape = Record<string, string>;

/** The path of each value with the types that were seen there. Keys that are addresses count as one. */
export function shapeOf(...samples: readonly unknown[]): Shape {
  const seen = new Map<string, Set<string>>();
  for (const sample of samples) collect(sample, '', seen);
  return Object.fromEntries([...seen].sort().map(([path, types]) => [path, [...types].sort().join(' | ')]));
}

function collect(value: unknown, path: string, seen: Map<string, Set<string>>): void {
  const types = seen.get(path || '.') ?? new Set();
  seen.set(path || '.', types.add(typeName(value)));
  if (Array.isArray(value)) for (const each of value) collect(each, `${path}[]`, seen);
  else if (typeof value === 'object' && value !== null)
    for (const [key, each] of Object.entries(value))
      collect(each, `${path}.${key.includes('@') ? 'ADDRESS' : key}`, seen);
}

function typeName(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'array' : typeof value;
}

/** Each exported name of a declaration file, and each type that these names lead to, wherever it is declared. */
export function declarationsOf(file: string): Record<string, string> {
  const options = {
    module: ts.ModuleKind.NodeNext,
    target: ts.ScriptTarget.ES2023,
    types: ['node'],
    skipLibCheck: true,
  };
  const program = ts.createProgram([file], options);
  const checker = program.getTypeChecker();
  const source = program.getSourceFile(file);
  const module = source && checker.getSymbolAtLocation(source);
  if (module === undefined) throw new Error(`${file} exports nothing`);
  const found = new Map<string, string>();
  const waiting = checker.getExportsOfModule(module).map((symbol) => resolved(symbol, checker));
  for (const symbol of waiting) {
    const nodes = (symbol.declarations ?? []).filter((node) => !node.getSourceFile().fileName.includes('node_modules'));
    if (nodes.length === 0 || found.has(symbol.name)) continue;
    found.set(symbol.name, nodes.map(textOf).join('\n'));
    for (const node of nodes) waiting.push(...referencesOf(node, checker));
  }
  return Object.fromEntries([...found].sort());
}

function resolved(symbol: ts.Symbol, checker: ts.TypeChecker): ts.Symbol {
  return symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
}

/** Without comments, and without what a class keeps to itself. */
function textOf(node: ts.Declaration): string {
  const text = node.getText().replace(/\/\*[\s\S]*?\*\/|^\s*(#|private )[^\n]*\n/gm, '');
  return text.replace(/\s+/g, ' ');
}

function referencesOf(node: ts.Node, checker: ts.TypeChecker): ts.Symbol[] {
  const names: ts.Symbol[] = [];
  const visit = (child: ts.Node): void => {
    const name = ts.isTypeReferenceNode(child)
      ? child.typeName
      : ts.isTypeQueryNode(child)
        ? child.exprName
        : undefined;
    const symbol = name && checker.getSymbolAtLocation(name);
    if (symbol && !(symbol.flags & ts.SymbolFlags.TypeParameter)) names.push(resolved(symbol, checker));
    ts.forEachChild(child, visit);
  };
  visit(node);
  return names;
}

/** The entries below a folder with their modes; one named for a process or a random number under the name of its kind. */
export function entriesOf(folder: string): string[] {
  const entries = readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((name) => {
    const { mode } = lstatSync(join(folder, name));
    const kind = [...KINDS].find(([bits]) => (mode & 0o170000) === bits)?.[1] ?? 'other';
    return `${name.replace(/[0-9a-f]{32,}/, 'HASH')} ${kind} ${(mode & 0o7777).toString(8).padStart(4, '0')}`;
  });
  return [...new Set(entries)].sort();
}

const KINDS = new Map([
  [0o040000, 'directory'],
  [0o100000, 'file'],
  [0o140000, 'socket'],
  [0o120000, 'link'],
]);
