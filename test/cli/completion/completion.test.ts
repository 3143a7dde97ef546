/** The scripts are read by the real shells; what they offer is seen in test/e2e/completion.e2e.ts. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CommandLine, followersOf, offerForArgument, offerForFlag } from '../../../src/cli/completion/command.ts';
import { completionFor, SHELLS } from '../../../src/cli/completion/completion.ts';
import { requires } from '../../support/requirements.ts';

const HOSTILE = `it's [a] \\ "b": $(id) \`id\` 100%`;
const FLAG = {
  char: undefined,
  description: HOSTILE,
  value: undefined,
  options: [],
  repeatable: false,
  negatable: false,
};
const LINE: CommandLine = {
  commands: [
    {
      words: ['box', 'open'],
      summary: HOSTILE,
      description: '',
      arguments: [{ name: 'address', description: HOSTILE, required: true, options: [] }],
      flags: [
        { ...FLAG, name: 'force', char: 'f', negatable: true },
        { ...FLAG, name: 'how', value: 'HOW', options: ['slow', 'fast'], repeatable: true },
        { ...FLAG, name: 'into', value: 'DIR' },
      ],
      examples: [],
    },
    { words: ['box', 'shut'], summary: 'shut it', description: '', arguments: [], flags: [], examples: [] },
    { words: ['look'], summary: 'look at it', description: '', arguments: [], flags: [], examples: [] },
  ],
  topics: [{ name: 'box', summary: 'boxes' }],
};

describe('the completions', () => {
  for (const shell of SHELLS) {
    it(`are taken by ${shell}, whatever stands in a description`, function () {
      if (shell !== 'bash') requires(this, shell);
      const folder = mkdtempSync(join(tmpdir(), 'cms-completion-'));
      try {
        const file = join(folder, 'script');
        writeFileSync(file, completionFor(shell, LINE));
        const { status, stderr } = spawnSync(shell, ['-n', file], { encoding: 'utf8' });
        assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
      } finally {
        rmSync(folder, { recursive: true });
      }
    });
  }

  it('offer topics and commands first, each once', () => {
    assert.deepEqual(
      [...followersOf(LINE)],
      [
        [
          '',
          [
            { name: 'box', summary: 'boxes' },
            { name: 'look', summary: 'look at it' },
          ],
        ],
        [
          'box',
          [
            { name: 'open', summary: HOSTILE },
            { name: 'shut', summary: 'shut it' },
          ],
        ],
      ],
    );
  });

  it('know from the name of a value what it can be', () => {
    const offers = ['ADDRESS', 'SENDER', 'FILE', 'PATH', 'DIR', 'URL'].map((value) =>
      offerForFlag({ ...FLAG, name: 'x', value }),
    );
    assert.deepEqual(offers, ['account', 'account', 'file', 'file', 'folder', 'nothing']);
    const place = { name: 'place', description: '', required: true, options: ['keyring', 'file'] };
    assert.deepEqual(offerForArgument(place), ['keyring', 'file']);
  });
});
