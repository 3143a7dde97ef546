/** `cms completion`, in the real shells: what they offer, and what Tab makes of it. */
import assert from 'node:assert/strict';
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { oauthAccount } from '../lib/exim/fixtures.ts';
import { runCms, temporaryHome, type TemporaryHome } from '../support/environment.ts';
import { run } from '../support/processes.ts';
import { runInTerminal } from '../support/pty.ts';
import { requires } from '../support/requirements.ts';

// Backquotes are allowed in an address, and must never be run.
const ODD = 'odd`id`@example.net';
const ADDRESSES = ['jane@example.org', 'jane@example.net', ODD];

/** How a shell begins without settings of its own, and how it takes in the script. */
const SHELLS = {
  bash: { argv: ['--norc', '--noprofile', '-i'], setup: 'source ./cms.bash' },
  zsh: { argv: ['-f', '-i'], setup: 'autoload -Uz compinit; compinit -u -d ./dump; source ./cms.zsh' },
  fish: { argv: ['--no-config', '-i'], setup: 'source ./cms.fish' },
} as const;

describe('cms completion', function () {
  this.timeout(30_000);
  let home: TemporaryHome;

  before(async () => {
    home = await temporaryHome();
    await mkdir(join(home.home, 'bin'));
    // In place of cms, to see the words that it would get.
    await writeFile(join(home.home, 'bin', 'cms'), '#!/bin/sh\nprintf \'<%s>\' "$@"; echo\n', { mode: 0o755 });
    await copyFile(join(home.home, 'bin', 'cms'), join(home.home, 'bin', 'cms-token'));
    await writeFile(join(home.home, 'client_secret.json'), '{}');
    const accounts = Object.fromEntries(ADDRESSES.map((address) => [address, oauthAccount(address)]));
    await home.writeConfig('accounts.json', `${JSON.stringify({ version: 1, accounts }, null, 2)}\n`);
    for (const shell of Object.keys(SHELLS)) {
      const { status, stdout, stderr } = await runCms(['completion', shell], { env: home.env });
      assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
      await writeFile(join(home.home, `cms.${shell}`), stdout);
    }
  });

  after(() => home.remove());

  /** What bash offers at the end of this line. */
  async function offered(line: string): Promise<string[]> {
    const by = line.startsWith('cms ') ? '_cms' : '_cms_token';
    const script = `source ./cms.bash; COMP_LINE=$1 COMP_POINT=\${#1}; $2 "\${1%% *}"; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { stdout } = await run('bash', ['--norc', '-c', script, 'bash', line, by], { env: home.env, cwd: home.home });
    return stdout.split('\n').filter((word) => word !== '');
  }

  const OFFERS: Record<string, string[]> = {
    'cms a': ['account'],
    'cms account ': ['add', 'list', 'remove', 'show'],
    'cms store move ': ['keyring', 'file'],
    'cms completion ': ['bash', 'zsh', 'fish'],
    'cms token --pro': ['--protocol'],
    'cms token --protocol ': ['smtp', 'imap', 'pop'],
    'cms token --protocol=i': ['imap'],
    'cms token jane@example.org -o xoauth2': ['xoauth2', 'xoauth2-b64'],
    'cms account add --store ': ['keyring', 'file'],
    'cms exim-config --section tr': ['transports'],
    'cms service install --no-l': ['--no-linger'],
    // bash has cut the word before the @, and keeps what stands there.
    'cms token jane@': ['@example.org', '@example.net'],
    'cms token ja': ['jane@example.org', 'jane@example.net'],
    'cms token --protocol imap ja': ['jane@example.org', 'jane@example.net'],
    'cms exim-config --default jane@example.o': ['@example.org'],
    'cms token odd': [ODD.replaceAll('`', '\\`')],
    'cms token jane@example.org ja': [],
    'cms nonsense ': [],
    'cms account add --provider micro': [
      'microsoft',
      'microsoft-personal',
      'microsoft-gcc-high',
      'microsoft-dod',
      'microsoft-21vianet',
    ],
    'cms service run acc': ['account'],
    'cms service run account sh': ['show'],
    'cms service run token --protocol i': ['imap'],
    'cms-token jane@example.o': ['@example.org'],
    './bin/cms-token --protocol ': ['smtp', 'imap', 'pop'],
    'cms-token -o xo': ['xoauth2', 'xoauth2-b64'],
    'cms account add --client-id ': [],
  };

  for (const [line, words] of Object.entries(OFFERS)) {
    it(`offers in bash: ${line}`, async () => {
      const all = await offered(line);
      if (line === 'cms account ') for (const word of words) assert.ok(all.includes(word), word);
      else assert.deepEqual(all, words);
    });
  }

  it('names every command and flag that help names', async () => {
    const flags = await offered('cms account add --');
    const { stdout } = await runCms(['account', 'add', '--help'], { env: home.env });
    const named = [...stdout.matchAll(/^ {2,6}(?:-\w, )?(--[\w-]+)/gm)].map(([, flag]) => flag);
    assert.ok(named.length > 20);
    assert.deepEqual(
      named.filter((flag) => !flags.includes(flag ?? '')),
      [],
    );
  });

  it('is quiet where there is no account yet', async () => {
    const env = { ...home.env, CMS_CONFIG_DIR: '/nonexistent' };
    const script = 'source ./cms.bash; COMP_LINE="cms token " COMP_POINT=10; _cms; echo "${#COMPREPLY[@]}"';
    const { stdout, stderr } = await run('bash', ['-c', script], { env, cwd: home.home });
    assert.deepEqual({ stdout, stderr }, { stdout: '0\n', stderr: '' });
  });

  for (const [shell, { argv, setup }] of Object.entries(SHELLS)) {
    it(`completes at Tab in ${shell}`, async function () {
      if (shell !== 'bash') requires(this, shell as 'zsh' | 'fish');
      const env = { ...home.env, PATH: `${join(home.home, 'bin')}:${home.env.PATH ?? ''}`, PS1: '> ' };
      await using terminal = runInTerminal(shell, argv, { env, cwd: home.home, cols: 120 });
      const tab = async (typed: string, ...words: string[]): Promise<void> => {
        terminal.type(typed);
        terminal.press('tab');
        // Enter belongs to what Tab has made of the line.
        await sleep(300);
        terminal.press('enter');
        const [, got = ''] = await terminal.waitFor(/^<(.*)>$/m);
        assert.deepEqual(got.split('><'), words);
      };
      terminal.type(`${setup}; echo rea''dy\r`);
      await terminal.waitFor(/^ready/m);
      await tab('cms exim-config --chec', 'exim-config', '--check');
      await tab('cms token jane@example.n', 'token', 'jane@example.net');
      await tab('cms token odd', 'token', ODD);
      await tab('cms token --protocol im', 'token', '--protocol', 'imap');
      await tab('cms account add --client-file cli', 'account', 'add', '--client-file', 'client_secret.json');
      await tab('cms store mo', 'store', 'move');
      await tab('cms account add --provider goo', 'account', 'add', '--provider', 'google');
      await tab('cms service run account sh', 'service', 'run', 'account', 'show');
      await tab('cms service run token jane@example.n', 'service', 'run', 'token', 'jane@example.net');
      await tab('cms-token jane@example.n', 'jane@example.net');
      await tab('cms-token --protocol im', '--protocol', 'imap');
      terminal.type('exit\r');
      await terminal.wait();
    });
  }
});
