import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const SRC = fileURLToPath(new URL('../src/', import.meta.url));

/** From the ground up: a layer may import from those before it, and its own files from each other. */
const LAYERS = [
  ['core', 'os'],
  ['errors', 'log', 'redact', 'width', 'elapsed', 'local-time', 'nearest', 'stderr', 'exposure', 'shell-word'],
  ['paths', 'native', 'report', 'ending', 'table', 'pretty-log', 'secret', 'endpoint', 'sudo'],
  ['store', 'sasl', 'browser', 'explain', 'completion'],
  ['accounts', 'trust'],
  ['providers', 'mail', 'exim'],
  ['settings', 'oauth'],
  ['token'],
  ['notify'],
  ['broker'],
  ['context'],
  ['direct', 'enrol', 'index', 'service', 'status'],
  ['proof', 'unknown-account'],
  ['doctor'],
  ['arguments'],
  ['serve-arguments', 'token-arguments'],
  ['token-broker'],
  ['prompts', 'serve-main', 'token-main'],
  ['command-line'],
  ['oclif-errors', 'oclif-commands', 'oclif-help'],
  ['oclif-main'],
  ['commands'],
];

/** Third parties, and the only rooms that may load them. */
const ROOMS: Record<string, RegExp> = {
  '@oclif/core': /^(commands\/|oclif-)/,
  '@inquirer/prompts': /^prompts\//,
  'openid-client': /^lib\/oauth\//,
  'proxy-from-env': /^lib\/oauth\//,
  '@napi-rs/keyring': /^lib\/store\/keyring-helper/,
  koffi: /^lib\/native/,
  leven: /^lib\/nearest/,
  nodemailer: /^lib\/mail\//,
  imapflow: /^lib\/mail\//,
  pino: /^lib\/pretty-log/,
  'smol-toml': /^lib\/(settings|exim\/)/,
  open: /^lib\/browser/,
  sax: /^lib\/providers\/autoconfig/,
  'wrap-ansi': /^(commands\/base|lib\/width)/,
  'string-width': /^lib\/width/,
};

interface Import {
  from: string;
  to: string;
}

const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
const imports: Import[] = files.flatMap((from) =>
  [...readFileSync(join(SRC, from), 'utf8').matchAll(/(?:from|import\(|require\)?\()\s*'([^']+)'/g)].map(
    ([, to = '']) => ({ from, to }),
  ),
);

function layerOf(file: string): string {
  const [first = '', second = ''] = file.replace(/^lib\//, '').split('/');
  return second === '' ? first.replace(/\.ts$/, '') : first;
}

function rank(layer: string): number {
  return LAYERS.findIndex((layers) => layers.includes(layer));
}

describe('the layers', () => {
  it('are all named', () => {
    assert.deepEqual(
      [...new Set(files.map(layerOf))].filter((layer) => rank(layer) < 0),
      [],
    );
  });

  it('import downwards only', () => {
    const upward = imports
      .filter(({ to }) => to.startsWith('.'))
      .map(({ from, to }) => ({ from, to: relative(SRC, resolve(SRC, dirname(from), to)) }))
      .filter(({ from, to }) => layerOf(from) !== layerOf(to) && rank(layerOf(to)) >= rank(layerOf(from)));
    assert.deepEqual(upward, []);
  });

  it('have no cycles between files', () => {
    const edges = new Map(files.map((file) => [file, [] as string[]]));
    for (const { from, to } of imports)
      if (to.startsWith('.')) edges.get(from)?.push(relative(SRC, resolve(SRC, dirname(from), to)));
    const done = new Set<string>();
    const visit = (file: string, path: readonly string[]): void => {
      assert.ok(!path.includes(file), `cycle: ${[...path, file].join(' → ')}`);
      if (done.has(file)) return;
      for (const next of edges.get(file) ?? []) visit(next, [...path, file]);
      done.add(file);
    };
    for (const file of files) visit(file, []);
  });

  it('keep third parties in one room each', () => {
    const strangers = imports.filter(({ from, to }) => {
      if (to.startsWith('.') || to.startsWith('node:')) return false;
      const name = to.split('/', to.startsWith('@') ? 2 : 1).join('/');
      const room = ROOMS[name];
      return !room?.test(from);
    });
    assert.deepEqual(strangers, []);
  });
});
