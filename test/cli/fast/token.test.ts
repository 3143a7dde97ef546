import assert from 'node:assert/strict';
import { parseTokenArguments } from '../../../src/cli/fast/token-arguments.ts';
import { makeHome } from '../../../bench/home.ts';
import { CMS_PROGRAM } from '../../support/environment.ts';
import { run } from '../../support/processes.ts';

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
  it('says in a sentence that the reader of its token is gone', async () => {
    await using home = await makeHome({ accounts: 1 });
    const { stdout, stderr } = await run(
      'sh',
      [
        '-c',
        'exec 3>&1; { "$@"; echo $? >&3; } | exec true 3>&-',
        'sh',
        process.execPath,
        CMS_PROGRAM,
        'token',
        home.address,
      ],
      { env: home.env },
    );
    assert.equal(Number(stdout), 74, stderr);
    assert.equal(stderr, 'cms: error: cannot write to stdout: EPIPE\n');
  });
});
