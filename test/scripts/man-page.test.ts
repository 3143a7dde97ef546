/** The manual pages, judged by groff and mandoc, and against the commands that there are. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Config } from '@oclif/core';
import { type ManPage, manPages, roff } from '../../scripts/man-page.ts';
import { EXIT_STATUSES } from '../../scripts/man-texts.ts';
import type { CommandLine, CommandText } from '../../src/cli/completion/command.ts';
import { EXIT_STATUS } from '../../src/lib/core/errors.ts';
import { commandLineOf } from '../../src/cli/oclif/catalogue.ts';
import { requires } from '../support/requirements.ts';

const EDITION = { version: '1.2.3', date: '2026-01-02' };
const HOSTILE = String.raw`.TH \n a-b -- 'x' "y" ^~${'`'} ’…é \fBbold \*(xx`;

function shown(page: string): string {
  const { stdout, stderr, status } = spawnSync(
    'groff',
    ['-man', '-Tutf8', '-ww', '-rLL=100n', '-P-c', '-P-b', '-P-u'],
    {
      input: page,
      encoding: 'utf8',
    },
  );
  assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
  return stdout;
}

describe('the manual pages', function () {
  this.timeout(30_000);
  let line: CommandLine;
  let pages: ManPage[];

  before(async () => {
    const root = fileURLToPath(new URL('../../', import.meta.url));
    line = commandLineOf(await Config.load({ root }));
    pages = manPages(line, EDITION);
  });

  it('are one for the program, and one for each command', () => {
    assert.ok(line.commands.length >= 13);
    assert.deepEqual(
      pages.map(({ file }) => file),
      ['cms.1', ...line.commands.map(({ words }) => `cms-${words.join('-')}.1`)],
    );
  });

  it('are named in package.json, whose list is what npm install -g links', () => {
    const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
    const { man } = JSON.parse(text) as { man: string[] };
    assert.deepEqual(man.toSorted(), pages.map(({ file }) => `man/${file}`).toSorted());
  });

  it('are taken by groff without a warning, and name each flag', function () {
    requires(this, 'groff');
    for (const [index, { text }] of pages.entries()) {
      const page = shown(text);
      for (const { name } of line.commands[index - 1]?.flags ?? []) assert.ok(page.includes(`--${name}`), name);
      for (const title of ['NAME', 'SYNOPSIS', 'FILES', 'ENVIRONMENT', 'EXIT STATUS', 'SEE ALSO'])
        assert.match(page, new RegExp(`^${title}$`, 'm'));
    }
  });

  it('have nothing that mandoc would find fault with', function () {
    requires(this, 'mandoc');
    for (const { file, text } of pages) {
      const { stdout } = spawnSync('mandoc', ['-Tlint'], { input: text, encoding: 'utf8' });
      assert.equal(stdout, '', file);
    }
  });

  it('show every character as it was written, whatever it means to roff', function () {
    requires(this, 'groff');
    const command: CommandText = {
      words: ['x'],
      summary: 'try',
      description: `${HOSTILE}\n\n${HOSTILE}`,
      arguments: [],
      flags: [],
      examples: [{ description: undefined, command: HOSTILE }],
    };
    const [, page] = manPages({ commands: [command], topics: [] }, EDITION);
    const text = shown(page?.text ?? '').replace(/\s+/g, ' ');
    assert.equal(text.split(HOSTILE.replace('…', '...')).length - 1, 3, text);
  });

  it('begin no line with a request that came from a text', () => {
    assert.equal(roff(".so /etc/passwd\n'so x"), '\\&.so /etc/passwd\n\\(aqso x');
  });

  it('tell every exit status', () => {
    const statuses = new Set(['0', ...Object.values(EXIT_STATUS).map(String)]);
    assert.deepEqual(
      EXIT_STATUSES.map(([status]) => status),
      [...statuses].sort((a, b) => Number(a) - Number(b)),
    );
  });
});
