import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { roomOf } from '../scripts/import-graph.ts';

const SRC = fileURLToPath(new URL('../src/', import.meta.url));

/** From the ground up: a room may import from those before it. The one list is that of the design. */
const ROOMS = roomsOf(readFileSync(fileURLToPath(new URL('../docs/design.md', import.meta.url)), 'utf8'));

function roomsOf(design: string): string[] {
  const list = /^## 5\. Layers\n[^]*?\n```\n([^]*?)\n```/m.exec(design)?.[1] ?? '';
  const names = list.split('\n').map((line) => line.split(' ', 1)[0] ?? '');
  return names.map((name) => (name.endsWith('.ts') ? name : name.replace(/^lib\//, '')));
}

/** Third parties, and the only rooms that may load them. */
const THIRD_PARTIES: Record<string, RegExp> = {
  '@oclif/core': /^(commands|cli\/oclif)\//,
  '@inquirer/prompts': /^cli\/prompts\//,
  'openid-client': /^lib\/oauth\//,
  'proxy-from-env': /^lib\/oauth\//,
  '@napi-rs/keyring': /^lib\/vault\/keyring\/keyring-helper/,
  koffi: /^lib\/os\/libc/,
  leven: /^lib\/core\/nearest/,
  nodemailer: /^lib\/mail\//,
  imapflow: /^lib\/mail\//,
  pino: /^lib\/terminal\/pretty-log/,
  'smol-toml': /^lib\/(config|exim)\//,
  open: /^lib\/os\/browser/,
  sax: /^lib\/providers\/autoconfig/,
  'wrap-ansi': /^(commands\/base|lib\/terminal\/width)/,
  'string-width': /^lib\/terminal\/width/,
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

describe('the layers', () => {
  it('are all named, and are not many', () => {
    assert.deepEqual([...new Set(files.map(roomOf))].sort(), [...ROOMS].sort());
    assert.ok(ROOMS.length <= 25, String(ROOMS.length));
  });

  it('import downwards only', () => {
    const upward = imports
      .filter(({ to }) => to.startsWith('.'))
      .map(({ from, to }) => ({
        from: roomOf(from),
        to: roomOf(relative(SRC, resolve(SRC, dirname(from), to))),
        file: from,
      }))
      .filter(({ from, to }) => from !== to && ROOMS.indexOf(to) >= ROOMS.indexOf(from));
    assert.deepEqual(upward, []);
  });

  it('have no folder of more than fifteen files, and nothing loose', () => {
    const folders = [...new Set(files.map(dirname))];
    const full = folders.filter((folder) => files.filter((file) => dirname(file) === folder).length > 15);
    assert.deepEqual(full, []);
    const loose = files.filter((file) => ['.', 'lib'].includes(dirname(file)));
    assert.deepEqual(loose.sort(), ['index.ts', 'lib/context.ts']);
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
      const room = THIRD_PARTIES[name];
      return !room?.test(from);
    });
    assert.deepEqual(strangers, []);
  });
});
