import assert from 'node:assert/strict';
import { parseTokenArguments } from '../src/token-arguments.ts';
import { makeHome } from '../bench/home.ts';
import { CMS_PROGRAM, runCms, temporaryHome } from './support/environment.ts';
import { run } from './support/processes.ts';

const JANE = 'jane@example.org';
const DEFAULTS = { address: JANE, output: 'token', protocol: 'smtp', forceRefresh: false, newline: true };

describe('the arguments of cms token', () => {
  for (const [argv, expected] of [
    [[JANE], {}],
    [['Jane@Example.ORG'], {}],
    [[JANE, '-o', 'xoauth2-b64'], { output: 'xoauth2-b64' }],
    [['-ojson', JANE], { output: 'json' }],
    [['--json', JANE], { output: 'json' }],
    [['--output=oauthbearer', '--host', 'a.b', '--port=25', JANE], { output: 'oauthbearer', host: 'a.b', port: 25 }],
    [
      [JANE, '--protocol', 'imap', '--no-newline', '--force-refresh'],
      { protocol: 'imap', newline: false, forceRefresh: true },
    ],
    [[JANE, '--min-validity', '0'], { minValiditySeconds: 0 }],
    [[JANE, '--min-validity=86400'], { minValiditySeconds: 86_400 }],
    [['--', JANE], {}],
  ] as const) {
    it(`${argv.join(' ')} is understood`, () => {
      assert.deepEqual(parseTokenArguments(argv), { ...DEFAULTS, ...expected });
    });
  }

  for (const argv of [
    [],
    [JANE, 'bob@x.org'],
    [JANE, '-o', 'yaml'],
    [JANE, '--output'],
    [JANE, '--protocol', 'SMTP'],
    [JANE, '--protocol', ''],
    [JANE, '--min-validity', '-1'],
    [JANE, '--min-validity=1.5'],
    [JANE, '--min-validity', '1e9'],
    [JANE, '--min-validity', '1000000'],
    [JANE, '--port', '70000'],
    [JANE, '--port', ''],
    [JANE, '--host', 'a\x01b'],
    [JANE, '--host', 'a b'],
    [JANE, '--nonsense'],
    [JANE, '--no-newline=yes'],
    [JANE, '-x'],
  ]) {
    it(`${JSON.stringify(argv.join(' '))} is wrong usage, in one line`, () => {
      assert.throws(
        () => parseTokenArguments(argv),
        (error: { code?: string; message?: string }) => {
          assert.doesNotMatch(error.message ?? '', /\n/);
          return error.code === 'usage';
        },
      );
    });
  }

  for (const address of ['', 'jane', 'a b@x.org', '$x@y.z', '--@']) {
    it(`${JSON.stringify(address)} is no address`, () => {
      assert.throws(() => parseTokenArguments(['--', address]), { code: 'data_invalid' });
    });
  }
});

describe('cms token', () => {
  it('says what is wrong on stderr alone, with the status of the table', async () => {
    await using home = await temporaryHome();
    for (const [argv, status, says] of [
      [[JANE], 67, /^cms: error: no account jane@example\.org\ncms: try: cms account add jane@example\.org\n$/],
      [['x'], 65, /^cms: error: not a usable mail address/],
      [[], 64, /^cms: error: give one address\ncms: try: cms token --help\n$/],
      [[JANE, '--json'], 67, /^\{"error":"account_unknown","error_description":"no account jane@example\.org"/],
      [[JANE, '-o', 'json', '--nonsense'], 64, /^\{"error":"usage"/],
    ] as const) {
      const finished = await runCms(['token', ...argv], { env: home.env });
      assert.deepEqual([finished.status, finished.stdout], [status, ''], finished.stderr);
      assert.match(finished.stderr, says);
    }
  });

  it('refuses a folder that is no absolute path', async () => {
    await using home = await temporaryHome({ env: { CMS_STATE_DIR: 'state' } });
    const { status, stderr } = await runCms(['token', JANE], { env: home.env });
    assert.equal(status, 78);
    assert.match(stderr, /CMS_STATE_DIR must be an absolute path/);
  });

  it('has company: no command crashes where its output is not taken', async () => {
    await using home = await makeHome({ accounts: 1 });
    for (const command of ['account list', 'status --json', '--help', 'account list --help']) {
      const { status, stderr } = await run(
        'sh',
        ['-c', `"$0" "$1" ${command} >/dev/full`, process.execPath, CMS_PROGRAM],
        {
          env: home.env,
        },
      );
      assert.deepEqual([status, stderr], [74, 'cms: error: cannot write to stdout: ENOSPC\n'], command);
    }
  });

  it('says in a sentence that nobody takes the token', async () => {
    await using home = await makeHome({ accounts: 1 });
    for (const [script, reason] of [
      ['"$@" >/dev/full', 'ENOSPC'],
      ['{ "$@"; echo $? >&3; } | exec true 3>&-', 'EPIPE'],
    ] as const) {
      const { status, stdout, stderr } = await run(
        'sh',
        ['-c', `exec 3>&1; ${script}`, 'sh', process.execPath, CMS_PROGRAM, 'token', home.address],
        { env: home.env },
      );
      assert.equal(reason === 'EPIPE' ? Number(stdout) : status, 74, stderr);
      assert.equal(stderr, `cms: error: cannot write to stdout: ${reason}\n`);
    }
  });
});
