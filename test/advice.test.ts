/** Every command that is advised can be run as it stands: a shell takes it apart, and the command's own parser takes it. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CATALOGUE } from '../src/lib/explain/explain.ts';
import { fill } from '../src/lib/explain/fill.ts';
import { quoted } from '../src/lib/core/shell-word.ts';
import { assertRuns, words } from './support/advice.ts';

const SRC = fileURLToPath(new URL('../src/', import.meta.url));
const ADDRESSES = ['jane@example.org', "o'neil@example.org", 'a&b|c@example.org', 'x`y`!z@xn--bcher-kva.example'];

/** What source files say as texts; what is put in is quoted where it may need that. */
function texts(): string[] {
  const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
  return files.flatMap((file) =>
    [
      ...readFileSync(join(SRC, file), 'utf8').matchAll(
        /(['"`])(cms (?:account|doctor|exim-config|status|store|token|unlock)\b(?:(?!\1|\n).)*)\1/g,
      ),
    ]
      .map(([, , text = '']) => text.replace(/\$\{quoted\([^}]*\)\}/g, quoted('jane@example.org')))
      // Spoken of, or the beginning of one to which an address is added.
      .filter((text) => /@|ADDRESS/.test(text) || !/^cms (?:account (?:test|show|remove)|token)\b|--try$/.test(text))
      // A flag that is made up elsewhere, or a name that is filled in by the catalogue, is looked at there.
      .filter((text) => !/[${}|…]/.test(text.replace(/\s#\s.*$/s, ''))),
  );
}

describe('a command that is advised', () => {
  it('can be run as it stands, wherever the sources advise one', async () => {
    const all = texts();
    assert.ok(all.length > 40, `${all.length} were found`);
    for (const text of all) await assertRuns(text);
  });

  for (const address of ADDRESSES) {
    it(`can be run with ${address}, wherever the catalogue advises one`, async () => {
      const subject = { address, login: address, user: address, scope: 'a b', clientId: 'x', host: 'mail.example.org' };
      const lines = CATALOGUE.flatMap(({ fix }) => fix.map((each) => fill(each, subject)));
      const commands = lines.filter((line) => line.startsWith('cms '));
      assert.ok(commands.length > 40);
      for (const line of commands) {
        await assertRuns(line);
        if (/^cms (?:account|token) /.test(line)) assert.ok(words(line).includes(address), line);
      }
    });
  }

  it('names no path unquoted in the sources', () => {
    const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((file) => /^lib.*\.ts$/.test(file));
    const commands = files.flatMap((file) => [
      ...readFileSync(join(SRC, file), 'utf8').matchAll(
        /`(?:sudo |\$\{sudo\})?(?:chmod|chown|df|edit|findmnt|fuser|install|ls|mkdir|mv|namei|rm) (?:\$\{(?:quoted|quote)\(`[^`]*`|[^`])*`/g,
      ),
    ]);
    assert.ok(commands.length > 30, `${commands.length} were found`);
    for (const [command] of commands) {
      const bare = command.replace(/ {3}#.*/, '').replace(/\bquoted\(`[^`]*`\)/g, '');
      assert.doesNotMatch(bare, /\$\{(?:dirname\()?(?:file|folder|path|place|program)\b/, command);
    }
  });

  it('names no address unquoted in the sources', () => {
    const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((file) => /^lib.*\.ts$/.test(file));
    for (const file of files)
      assert.doesNotMatch(
        readFileSync(join(SRC, file), 'utf8'),
        /[`'"]cms (?:account|token|doctor|status|exim-config)[a-z -]*\$\{(?:\w+\.)*(?:address|login|user)\}/,
        file,
      );
  });
});
