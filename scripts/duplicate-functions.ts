/**
 * Names functions that have the same body in two files, whatever they are called; `npm run lint` does it. What is too
 * short to be worth an import does not count.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const FOLDERS = ['src', 'bench', 'demo', 'scripts', 'test'];
/** Letters and signs of a body without blanks and comments. */
const SHORTEST_BODY = 60;

export interface Place {
  file: string;
  name: string;
  line: number;
}

/** The functions whose bodies stand in more than one file. */
export function duplicateFunctions(sources: ReadonlyMap<string, string>): Place[][] {
  const places = new Map<string, Place[]>();
  for (const [file, text] of sources)
    for (const { body, ...place } of functionsOf(file, text)) places.set(body, [...(places.get(body) ?? []), place]);
  return [...places.values()].filter((found) => new Set(found.map(({ file }) => file)).size > 1);
}

/** The functions of the module itself; what is inside of one or in a class is bound to its surroundings. */
function functionsOf(file: string, text: string): (Place & { body: string })[] {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.ES2023, true);
  return source.statements.flatMap(namedFunctions).flatMap(({ name, parameters, body }) => {
    const tokens = tokensOf(`${parameters.map((each) => each.name.getText()).join(',')} ${body.getText()}`);
    const line = source.getLineAndCharacterOfPosition(body.getStart()).line + 1;
    return tokens.length < SHORTEST_BODY ? [] : [{ file, name, line, body: tokens }];
  });
}

interface NamedFunction {
  name: string;
  parameters: readonly ts.ParameterDeclaration[];
  body: ts.Node;
}

function namedFunctions(node: ts.Statement): NamedFunction[] {
  if (ts.isFunctionDeclaration(node) && node.body !== undefined)
    return [{ name: node.name?.text ?? 'default', parameters: node.parameters, body: node.body }];
  if (!ts.isVariableStatement(node)) return [];
  return node.declarationList.declarations.flatMap(({ name, initializer }) =>
    initializer !== undefined && (ts.isArrowFunction(initializer) || ts.isFunctionExpression(initializer))
      ? [{ name: name.getText(), parameters: initializer.parameters, body: initializer.body }]
      : [],
  );
}

function tokensOf(text: string): string {
  const scanner = ts.createScanner(ts.ScriptTarget.ES2023, true, ts.LanguageVariant.Standard, text);
  const tokens: string[] = [];
  while (scanner.scan() !== ts.SyntaxKind.EndOfFileToken) tokens.push(scanner.getTokenText());
  return tokens.join(' ');
}

function main(): void {
  const root = fileURLToPath(new URL('../', import.meta.url));
  const files = FOLDERS.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name)),
  );
  const sources = new Map(
    files.filter((file) => file.endsWith('.ts')).map((file) => [file, readFileSync(join(root, file), 'utf8')]),
  );
  const found = duplicateFunctions(sources);
  for (const places of found)
    console.error(places.map(({ file, name, line }) => `${file}:${line} ${name}`).join('\n  is also '));
  if (found.length > 0) process.exitCode = 1;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
