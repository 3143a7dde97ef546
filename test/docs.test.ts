/** The pages for users against the program: commands, flags, scripts and links that they name are there. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Command } from '@oclif/core';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const PAGES = [ROOT, join(ROOT, 'docs'), join(ROOT, 'docs', 'decisions')].flatMap((folder) =>
  readdirSync(folder).flatMap((name) => (name.endsWith('.md') ? [join(folder, name)] : [])),
);
const TOPICS = ['account', 'store', 'service'];

interface Page {
  name: string;
  path: string;
  text: string;
}

const pages: Page[] = PAGES.map((path) => ({ name: relative(ROOT, path), path, text: readFileSync(path, 'utf8') }));

describe('the documentation', () => {
  it('is found', () => {
    const names = pages.map(({ name }) => name);
    for (const name of ['README.md', 'SECURITY.md', 'docs/design.md', 'docs/gmail.md']) assert.ok(names.includes(name));
  });

  for (const page of pages) {
    it(`names commands and flags that exist: ${page.name}`, async () => {
      const lines = codeOf(page.text).flatMap(commandLines);
      for (const line of lines) await assertExists(line);
    });

    it(`links to what is there: ${page.name}`, () => {
      for (const [, target = ''] of page.text.matchAll(/\]\(([^)\s]+)\)/g)) assertResolves(page, target);
    });

    it(`names scripts of package.json: ${page.name}`, () => {
      const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: object };
      for (const [, script = ''] of page.text.matchAll(/npm run ([\w-]+(?::[\w-]+)*)/g))
        assert.ok(script in scripts, script);
    });
  }

  for (const { name, text } of pages.filter((page) => /developing|CONTRIBUTING|decisions/.test(page.name))) {
    it(`names files that are there: ${name}`, () => {
      for (const [, path = ''] of text.matchAll(
        /`((?:src|test|scripts|docs|bin|bench|demo|doc|\.github|\.ci)\/[\w./-]*)`/g,
      ))
        assert.ok(existsSync(join(ROOT, path)), path);
    });
  }

  it('has each command in the table of the design', () => {
    const design = readFileSync(join(ROOT, 'docs', 'design.md'), 'utf8').split(/^## /m)[1] ?? '';
    const rows = (design.match(/^\|.*$/gm) ?? []).join('\n');
    for (const command of commandNames()) assert.match(rows, new RegExp(`\\b${command}\\b`), command);
  });

  it('has the version of the package over the newest changes', () => {
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
    const [, newest] = /^## (\S+)/m.exec(readFileSync(join(ROOT, 'CHANGELOG.md'), 'utf8')) ?? [];
    assert.equal(newest, version);
  });

  it('names tests that are there for what SECURITY.md promises', () => {
    const rows = readFileSync(join(ROOT, 'SECURITY.md'), 'utf8').match(/^\|.*`test\/.*\|$/gm) ?? [];
    assert.ok(rows.length > 25);
    for (const [, file = ''] of rows.join('\n').matchAll(/`(test\/[^`]+)`/g))
      assert.ok(existsSync(join(ROOT, file)), file);
  });

  it('notices a command or flag that is not there', async () => {
    await assert.rejects(assertExists('account vanish'), /account vanish/);
    await assert.rejects(assertExists('token --vanish'), /--vanish/);
    assert.deepEqual(commandLines('x="$(cms token a@b.c --no-newline)" | y'), ['token a@b.c --no-newline']);
  });
});

/** The last word of each command, which a table may name together with its brothers. */
function commandNames(): string[] {
  const files = readdirSync(join(ROOT, 'src', 'commands'), { recursive: true, encoding: 'utf8' });
  const names = files.filter((file) => file.endsWith('.ts') && file !== 'base.ts').map((file) => basename(file, '.ts'));
  assert.ok(names.length > 12);
  return names;
}

/** Lines of fenced blocks, continued ones joined, and code spans. What is marked as planned is left out. */
function codeOf(markdown: string): string[] {
  const present = markdown.split('\n').filter((line) => !line.includes('_(planned)_'));
  const text = present.join('\n').replace(/\\\n\s*/g, '');
  const blocks = [...text.matchAll(/^ *```.*\n([\s\S]*?)^ *```/gm)].flatMap(([, block = '']) => block.split('\n'));
  const spans = [...text.replace(/^ *```.*\n[\s\S]*?^ *```/gm, '').matchAll(/`([^`]+)`/g)];
  return [...blocks, ...spans.map(([, span = '']) => span.replace(/\s+/g, ' '))];
}

/** What follows each `cms` that stands where a command stands. */
function commandLines(code: string): string[] {
  const commands = code.matchAll(/(?:^|[\s"($!])cms ((?:[a-z][\w-]*)(?: [^\s|&;#"')]+)*)/g);
  return [...commands].map(([, line = '']) => line.trim()).filter((line) => !/^cms\b/.test(line));
}

async function assertExists(line: string): Promise<void> {
  // What follows is a command of its own.
  if (line.startsWith('service run ')) return assertExists(line.slice('service run '.length));
  if (['help', 'version'].includes(line.split(' ')[0] ?? '')) return;
  const words = line.split(' ');
  const id = words.slice(0, TOPICS.includes(words[0] ?? '') ? 2 : 1);
  const file = join(ROOT, 'src', 'commands', `${id.join('/')}.ts`);
  assert.ok(existsSync(file), `there is no command: cms ${line}`);
  const { default: command } = (await import(file)) as { default: typeof Command };
  // A command without flags has none at all.
  const flags = Object.entries((command.flags as typeof command.flags | undefined) ?? {});
  for (const word of words.slice(id.length).filter((each) => each.startsWith('-'))) {
    const name = word.replace(/=.*$/, '');
    const known = flags.some(([flag, { char }]) => name === `--${flag}` || name === `-${char ?? ''}`);
    assert.ok(known || ['-h', '--help'].includes(name), `cms ${id.join(' ')} has no ${name}: ${line}`);
  }
}

function assertResolves({ path, text }: Page, target: string): void {
  if (/^[a-z]+:/.test(target)) return;
  const [file = '', anchor] = target.split('#');
  const destination = file === '' ? path : join(dirname(path), file);
  assert.ok(existsSync(destination), `${target} leads nowhere`);
  if (anchor === undefined) return;
  const headings = (file === '' ? text : readFileSync(destination, 'utf8')).matchAll(/^#+ (.+)$/gm);
  const anchors = [...headings].map(([, heading = '']) => slug(heading));
  assert.ok(anchors.includes(anchor), `${target}: there are only ${anchors.join(', ')}`);
}

/** The anchor that GitHub gives to a heading. */
function slug(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}_ -]/gu, '')
    .replaceAll(' ', '-');
}
