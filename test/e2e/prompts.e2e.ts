/**
 * Every question of `account add`, one row each: it is answered, given up, gone on with by the command that is then
 * printed, and without a terminal the flag that answers it is named.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CMS_PROGRAM } from '../support/environment.ts';
import { runInTerminal, type Terminal } from '../support/pty.ts';
import { startWorld, type World } from '../support/world.ts';

const JANE = 'jane@example.org';
const SCOPE = 'openid email offline_access mail.smtp mail.imap';
const SOURCES = join(import.meta.dirname, '..', '..', 'src', 'cli', 'prompts');

/** Keys for a list are typed as the beginning of a name; `then` is waited for before Enter. */
interface Answer {
  question: RegExp;
  type: string;
  then?: RegExp;
}

interface Row extends Answer {
  title: string;
  /** After `account add`. */
  argv: string[];
  before?: Answer[];
  /** What comes next. */
  next: RegExp;
  /** In the command that goes on after this answer; undefined for what is asked for again. */
  remembered?: RegExp;
  /** Without a terminal: exit status and a stable part of what is said. */
  unattended: readonly [status: number, words: RegExp];
}

const CLIENT_ID = /Client id:/;
const WAITING = /p: paste/;
const ANOTHER: Answer = { question: /Which provider has/, type: 'another', then: /❯ another server/ };

/** Where all is: known only once it runs. */
interface Places {
  issuerUrl: string;
  clientId: string;
  smtpPort: number;
  imapPort: number;
  folder: string;
}

const NOWHERE: Places = { issuerUrl: '', clientId: '', smtpPort: 0, imapPort: 0, folder: '' };

function placesOf({ provider, submission, imap, home }: World): Places {
  const { issuer: issuerUrl, clientId } = provider;
  return { issuerUrl, clientId, smtpPort: submission.port, imapPort: imap.port, folder: home.path };
}

function rows({ issuerUrl, clientId, smtpPort, imapPort, folder }: Places): Row[] {
  const issuer = ['--issuer', issuerUrl];
  const client = ['--client-id', clientId, '--scope', SCOPE];
  const smtp = ['--smtp-host', 'localhost', '--smtp-port', String(smtpPort)];
  const imapServer = ['--imap-host', 'localhost', '--imap-port', String(imapPort), '--imap-tls', 'implicit'];
  const servers = [...smtp, ...imapServer];
  const file = join(folder, 'client.json');
  const store = ['--store', 'file'];
  const oauth: Answer = { question: /How should cms log in at \w+/, type: '', then: /navigate/ };
  const register = (answer: string): Answer => ({ question: /Register cms at/, type: answer });
  return [
    {
      title: 'the address',
      argv: [],
      question: /Mail address:/,
      type: JANE,
      next: /Which provider has/,
      remembered: /account add jane@example\.org {3}#/,
      unattended: [64, /the address is missing\ncms: try: cms account add /],
    },
    {
      title: 'the provider',
      argv: [JANE, ...servers],
      question: /Which provider has/,
      type: 'Google',
      then: /❯ Google/,
      next: /How should cms log in at Google/,
      remembered: / --provider google /,
      unattended: [64, /cannot tell which provider[^]*--provider ID/],
    },
    {
      title: 'the issuer of a server of one’s own',
      argv: [JANE, ...servers],
      before: [ANOTHER],
      question: /OpenID Connect issuer/,
      type: issuerUrl,
      next: /Register cms at/,
      remembered: / --provider custom --issuer http/,
      unattended: [64, /--issuer URL/],
    },
    {
      title: 'the issuer of --provider custom',
      argv: [JANE, '--provider', 'custom', ...servers],
      question: /OpenID Connect issuer/,
      type: issuerUrl,
      next: /Register cms at/,
      remembered: / --provider custom .*--issuer http/,
      unattended: [64, /where does jane@example\.org sign in\?[^]*--issuer URL/],
    },
    {
      title: 'the SMTP server',
      argv: [JANE, ...issuer, ...client],
      question: /SMTP server of/,
      type: `localhost:${smtpPort}`,
      next: /IMAP server of/,
      remembered: / --smtp-host localhost --smtp-port \d+ /,
      unattended: [69, /--store file/],
    },
    {
      title: 'the IMAP server',
      argv: [JANE, ...issuer, ...client, ...smtp],
      question: /IMAP server of/,
      type: 'localhost',
      next: /vault key/,
      remembered: / --imap-host localhost /,
      unattended: [69, /--store file/],
    },
    {
      title: 'registration',
      argv: [JANE, ...issuer, ...servers],
      question: /Register cms at/,
      type: 'y',
      next: /Scopes to ask for:/,
      unattended: [78, /cms account add jane@example\.org .* --register$/m],
    },
    {
      title: 'the scopes',
      argv: [JANE, ...issuer, ...servers, ...store],
      before: [register('y')],
      question: /Scopes to ask for:/,
      type: '',
      next: WAITING,
      remembered: / --scope '.*' --register /,
      unattended: [78, /--register/],
    },
    {
      title: 'the client id',
      argv: [JANE, ...issuer, ...servers, '--scope', SCOPE, ...store],
      before: [register('n')],
      question: CLIENT_ID,
      type: clientId,
      next: /Client secret/,
      unattended: [78, /no client id[^]*--client-id ID/],
    },
    {
      title: 'no client secret',
      argv: [JANE, ...issuer, ...servers, '--scope', SCOPE, ...store],
      before: [register('n'), { question: CLIENT_ID, type: clientId }],
      question: /Client secret, or @FILE \(empty if it has none\):/,
      type: '',
      next: WAITING,
      remembered: / --client-id cms-test /,
      unattended: [78, /--client-id ID/],
    },
    {
      title: 'a client secret, which is in no command',
      argv: [JANE, '--provider', 'yandex', ...store],
      before: [oauth, { question: CLIENT_ID, type: 'an-id' }],
      question: /Client secret, or @FILE:/,
      type: 'CANARY-secret',
      next: WAITING,
      unattended: [78, /--client-id ID/],
    },
    {
      title: 'a client secret in a file',
      argv: [JANE, '--provider', 'yandex', ...store],
      before: [oauth, { question: CLIENT_ID, type: 'an-id' }],
      question: /Client secret, or @FILE:/,
      type: `@${join(folder, 'secret')}`,
      next: WAITING,
      remembered: / --client-id an-id --client-secret-file \S+\/secret /,
      unattended: [78, /--client-id ID/],
    },
    {
      title: 'OAuth or an app password',
      argv: ['jane@gmail.com', '--store', 'file'],
      ...oauth,
      next: /Client id, or path of the downloaded JSON file:/,
      unattended: [78, /--client-file FILE/],
    },
    {
      title: 'Google’s file',
      argv: ['jane@gmail.com', '--store', 'file'],
      before: [oauth],
      question: /Client id, or path of the downloaded JSON file:/,
      type: file,
      next: WAITING,
      remembered: / --client-file \S+\/client\.json /,
      unattended: [78, /--client-file FILE/],
    },
    {
      title: 'the tenant',
      argv: [JANE, '--provider', 'microsoft-gcc-high', ...store],
      question: /Tenant \(its id, or a domain of it\):/,
      type: 'contoso.example',
      next: CLIENT_ID,
      unattended: [78, /--client-id ID/],
    },
    {
      title: 'the client id of that tenant',
      argv: [JANE, '--provider', 'microsoft-gcc-high', ...store],
      before: [{ question: /Tenant/, type: 'contoso.example' }],
      question: CLIENT_ID,
      type: '11111111-2222-3333-4444-555555555555',
      next: WAITING,
      remembered: / --client-id 1+-\S+ --tenant contoso\.example /,
      unattended: [78, /--client-id ID/],
    },
    {
      title: 'whether an app password will do',
      argv: ['jane@yahoo.com', ...store],
      question: /Use an app password\?/,
      type: '',
      next: /App password:/,
      unattended: [78, /--password-file FILE/],
    },
    {
      title: 'the app password, which is in no command',
      argv: ['jane@icloud.com', '--no-test'],
      question: /App password:/,
      type: 'CANARY-password',
      next: /vault key/,
      unattended: [78, /--password-file FILE/],
    },
    {
      title: 'where the key is kept',
      argv: [JANE, ...issuer, ...client, ...servers],
      question: /Where should the vault key be kept\?/,
      type: '',
      then: /navigate/,
      next: WAITING,
      remembered: / --store file /,
      unattended: [69, /--store file/],
    },
  ];
}

/** Questions with tests of their own, where what follows an answer is more than another question. */
const ELSEWHERE: readonly (readonly [question: RegExp, file: string])[] = [
  [/App password:/, 'wizard.e2e.ts'],
  [/Is \S+ the login that may use the mailbox/, 'wizard.e2e.ts'],
  [/Nothing proves that this is \S+/, 'wizard.e2e.ts'],
  [/File of that authority/, 'wizard.e2e.ts'],
  [/Sign in again, and allow everything that is asked for/, 'wizard.e2e.ts'],
  [/Address or code:/, 'first-run.e2e.ts'],
  [/Send yourself a test mail\?/, 'first-run.e2e.ts'],
  [/exim4 is installed\. Have it send through this account\?/, 'after-sign-in.e2e.ts'],
  [/Write it\?/, 'after-sign-in.e2e.ts'],
  [/Start the broker now and at each login\?/, 'after-sign-in.e2e.ts'],
];

/** What stands in the sources, with a word in the place of what is filled in. */
function questionsInSources(): string[] {
  const sources = readdirSync(SOURCES).map((name) => readFileSync(join(SOURCES, name), 'utf8'));
  const calls =
    /ask(?:Text|ToEdit|Pasted|Secret|YesNo|Choice|Search)\(\s*(?:required \? )?(['`])(.+?)\1(?: : (['`])(.+?)\3)?/g;
  const named = /const question = (`)(.+?)\1/g;
  return sources
    .flatMap((source) => [...source.matchAll(calls), ...source.matchAll(named)])
    .flatMap(([, , first = '', , second]) => (second === undefined ? [first] : [first, second]))
    .map((text) => text.replace(/\$\{[^}]+\}/g, 'X'));
}

describe('the questions of account add', function () {
  this.timeout(60_000);
  let world: World;
  const terminals: Terminal[] = [];

  before(async () => {
    world = await startWorld({ registration: true });
    Object.assign(world.env, { CMS_STORE: undefined, BROWSER: 'true', TERM: 'xterm-256color' });
    const client = { installed: { client_id: '1.apps', client_secret: 'CANARY-file' } };
    await writeFile(join(world.home.path, 'client.json'), JSON.stringify(client));
    await writeFile(join(world.home.path, 'secret'), 'CANARY-file\n');
  });

  afterEach(async () => {
    for (const terminal of terminals.splice(0)) await terminal.stop();
    assert.deepEqual(readdirSync(world.home.path).sort(), ['client.json', 'home', 'secret']);
    assert.deepEqual(readdirSync(world.home.home), []);
  });
  after(() => world[Symbol.asyncDispose]());

  function inTerminal(command: string, args: string[]): Terminal {
    // Wide enough for the command that goes on to stay in one line.
    const terminal = runInTerminal(command, args, { env: world.env, cols: 600 });
    terminals.push(terminal);
    return terminal;
  }

  async function answer(at: Terminal, { question, type, then }: Answer): Promise<void> {
    await at.waitFor(question, 20_000);
    at.type(type);
    if (then !== undefined) await at.waitFor(then);
    at.press('enter');
  }

  async function giveUp(at: Terminal): Promise<string | undefined> {
    at.press('ctrl-c');
    assert.equal((await at.wait()).status, 64, at.screen);
    assert.match(at.screen, /cms: error: cancelled; nothing was changed\n/);
    assert.doesNotMatch(at.output, /CANARY/);
    return /^cms: try: cms (account add .* {3}# goes on where you stopped)$/m.exec(at.screen)?.[1];
  }

  it('are all in this table, or in a test of their own', () => {
    const here = rows(placesOf(world)).map(({ question }) => question);
    const asked = questionsInSources();
    assert.ok(asked.length >= 20, asked.join('\n'));
    for (const text of asked) {
      const known = here.some((each) => each.test(text)) || ELSEWHERE.some(([each]) => each.test(text));
      assert.ok(known || text.startsWith('X server of'), text);
    }
    for (const [question, file] of ELSEWHERE) {
      const source = readFileSync(join(import.meta.dirname, file), 'utf8').replaceAll('\\', '');
      const words = /[\w ]{8,}/.exec(question.source)?.[0] ?? '';
      assert.ok(source.includes(words), `${words} in ${file}`);
    }
  });

  const titles = rows(NOWHERE).map(({ title }) => title);

  for (const [index, title] of titles.entries()) {
    it(`${title}: answered, given up, gone on with, and named where nobody can be asked`, async () => {
      const row = rows(placesOf(world))[index];
      assert.ok(row !== undefined);
      const { argv, before = [], question, next, remembered } = row;
      const words = ['account', 'add', ...argv];

      const unattended = await world.cms(...words);
      assert.equal(unattended.status, row.unattended[0], unattended.stderr);
      assert.match(unattended.stderr, row.unattended[1]);

      const abandoned = inTerminal(process.execPath, [CMS_PROGRAM, ...words]);
      for (const each of before) await answer(abandoned, each);
      await abandoned.waitFor(question, 20_000);
      await giveUp(abandoned);

      const answered = inTerminal(process.execPath, [CMS_PROGRAM, ...words]);
      for (const each of [...before, row]) await answer(answered, each);
      await answered.waitFor(next, 20_000);
      const command = await giveUp(answered);
      if (remembered === undefined) return;

      assert.match(command ?? answered.screen, remembered);
      const resumed = inTerminal('/bin/sh', ['-c', `exec "$0" "$1" ${command ?? ''}`, process.execPath, CMS_PROGRAM]);
      await resumed.waitFor(next, 20_000);
      assert.doesNotMatch(resumed.screen, question);
      await giveUp(resumed);
    });
  }
});
