import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Linter } from 'eslint';
import { CMS_PROGRAM, runCms, temporaryHome, type TemporaryHome } from './support/environment.ts';

const VERSIONS: readonly [version: string, wanted: string | undefined][] = [
  ['12.22.12', '20.19 or newer'],
  ['18.20.8', '20.19 or newer'],
  ['20.18.3', '20.19 or newer'],
  ['20.19.0', undefined],
  ['21.7.3', '22.3 or newer'],
  ['22.2.0', '22.3 or newer'],
  ['22.3.0', undefined],
  ['24.0.0', undefined],
  ['100.0.0', undefined],
];
const COMMANDS = [['token', 'jane@example.org'], ['serve', '--help'], ['account', 'list'], ['--version'], []];

describe('the version of Node', () => {
  let home: TemporaryHome;
  beforeEach(async () => {
    home = await temporaryHome();
  });
  afterEach(() => home.remove());

  /** Runs `cms` as if this Node were another; a file that is loaded before the version is judged is told on stderr. */
  async function runOn(version: string, argv: readonly string[]): ReturnType<typeof runCms> {
    const preload = join(home.path, 'older.cjs');
    await writeFile(
      preload,
      `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '${version}' } });
       const Module = require('node:module');
       const load = Module._load;
       Module._load = (name, parent, main) => {
         if (!main) process.stderr.write('loads ' + name + '\\n');
         return load(name, parent, main);
       };`,
    );
    return runCms(argv, { env: { ...home.env, NODE_OPTIONS: `--require=${preload}` } });
  }

  for (const [version, wanted] of VERSIONS) {
    it(`is ${wanted === undefined ? 'taken' : 'refused'} where it is ${version}`, async () => {
      const { status, stderr } = await runOn(version, ['token', 'jane@example.org']);
      assert.equal(status, wanted === undefined ? 67 : 78, stderr);
      const [said] = stderr.split('\n');
      if (wanted === undefined) assert.match(stderr, /^loads /);
      else assert.equal(said, `cms: error: cms needs Node.js ${wanted}, this is ${version} (${process.execPath})`);
    });
  }

  for (const argv of COMMANDS) {
    it(`is judged before anything is loaded: ${['cms', ...argv].join(' ')}`, async () => {
      const { status, stdout, stderr } = await runOn('18.20.8', argv);
      assert.deepEqual({ status, stdout }, { status: 78, stdout: '' });
      assert.match(stderr, /^cms: error: .*\ncms: try: .*\n$/);
    });
  }

  it('is refused as JSON where JSON was asked for', async () => {
    const { status, stderr } = await runOn('18.20.8', ['account', 'list', '--json']);
    assert.equal(status, 78);
    const { error, error_description } = JSON.parse(stderr) as Record<string, string>;
    assert.equal(error, 'config_invalid');
    assert.match(error_description ?? '', /needs Node\.js 20\.19 or newer, this is 18\.20\.8/);
  });

  it('is judged by a file that an older one can read', async () => {
    // The rules know import() as part of ES2020, which has much that Node 12 does not; Node has had it since 12.
    const source = (await readFile(CMS_PROGRAM, 'utf8')).replaceAll('import(', 'imported(');
    const config = { languageOptions: { ecmaVersion: 2018, sourceType: 'commonjs' } } as const;
    assert.deepEqual(new Linter().verify(source, [config]), []);
    assert.equal(new Linter().verify('a ?? b', [config])[0]?.fatal, true);
  });

  it('is the one that package.json asks for', async () => {
    const { engines } = JSON.parse(await readFile(join(CMS_PROGRAM, '../../package.json'), 'utf8')) as {
      engines: { node: string };
    };
    assert.equal(engines.node, '^20.19 || >=22.3');
  });
});
