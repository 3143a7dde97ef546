import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Interfaces } from '@oclif/core';
import { sourcesOf } from '../../src/cli/oclif/main.ts';
import { makeHome } from '../../bench/home.ts';
import { runCms, temporaryHome } from '../support/environment.ts';
import { run } from '../support/processes.ts';

const ESM_LOADER = 'internal/modules/esm/loader';
const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const PROGRAM = join(ROOT, 'dist', 'program');
const JANE = 'jane@example.org';

function json(file: string): unknown {
  return JSON.parse(readFileSync(join(ROOT, file), 'utf8'));
}

/** Node 24 starts its loader for ES modules whatever it runs. */
async function beyondBareNode(folder: string, loaded: readonly string[]): Promise<string[]> {
  const script = join(folder, 'bare.cjs');
  await writeFile(script, "console.log(process.moduleLoadList.join('\\n'));");
  const bare = (await run(process.execPath, [script], { env: {} })).stdout.split('\n');
  return loaded.filter((line) => !bare.includes(line));
}

describe('the bundle', () => {
  it('has a manifest that says what the sources say', async () => {
    const { commands } = json('oclif.manifest.json') as Interfaces.Manifest;
    const { manifest } = await sourcesOf({ root: ROOT, pjson: json('package.json') as Interfaces.PJSON });
    const said = (all: Interfaces.Manifest['commands']) =>
      Object.fromEntries(Object.entries(all).map(([id, { relativePath: _, ...rest }]) => [id, rest]));
    assert.deepEqual(said(commands), said(JSON.parse(JSON.stringify(manifest.commands)) as typeof commands));
  });

  it('names no folder of the machine that made it', () => {
    const files = readdirSync(PROGRAM, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    assert.ok(files.length > 10);
    const telling = files.filter(({ parentPath, name }) => readFileSync(join(parentPath, name), 'utf8').includes(ROOT));
    assert.deepEqual(telling, []);
  });
});

describe('the file of cms serve', () => {
  it('holds neither the command framework nor prompts, nor the library for signing in', () => {
    const { sources } = json('dist/program/serve.cjs.map') as { sources: string[] };
    assert.ok(sources.includes('../../src/lib/broker/server/daemon.ts'), 'the broker is in it');
    assert.deepEqual(
      sources.filter((source) => /oclif|inquirer|prompts|src\/commands|openid-client|oauth4webapi/.test(source)),
      [],
    );
  });
});

describe('the fast path of cms token', () => {
  it('is made of our own code, and alone of what it takes to find a proxy', () => {
    const all = readdirSync(PROGRAM).filter((name) => /^(token|token-alone|chunk-.*|open-.*)\.cjs$/.test(name));
    const proxies = all.find((name) => name.startsWith('open-'));
    assert.ok(proxies !== undefined && all.includes('token.cjs') && all.includes('token-alone.cjs'));
    for (const file of all) {
      const expected: string[] = file === proxies ? ['proxy-from-env/index.js'] : [];
      const { sources } = json(`dist/program/${file}.map`) as { sources: string[] };
      const strangers = sources.filter((source) => !source.startsWith('../../src/'));
      assert.deepEqual(
        strangers.map((source) => source.replace(/^.*node_modules\//, '')),
        expected,
      );
      assert.deepEqual(
        sources.filter((source) => /prompts|commands|oclif/.test(source)),
        [],
      );
    }
  });

  it('loads one file, and neither cryptography nor TLS nor the other loader, before it has asked the broker', async () => {
    await using home = await temporaryHome();
    const [preload, list] = [join(home.path, 'preload.cjs'), join(home.path, 'list')];
    const loaded = '[...Object.keys(require.cache), ...process.moduleLoadList]';
    await writeFile(
      preload,
      `const net = require('node:net'), { connect } = net;
      net.connect = (...args) => {
        require('node:fs').writeFileSync(${JSON.stringify(list)}, ${loaded}.join('\\n'));
        return connect(...args);
      };`,
    );
    await mkdir(home.runtimeDir);
    await writeFile(join(home.runtimeDir, 'cms.sock'), '');
    const { status } = await runCms(['token', JANE], { env: { ...home.env, NODE_OPTIONS: `--require=${preload}` } });
    assert.equal(status, 67);
    const lines = readFileSync(list, 'utf8').split('\n');
    assert.deepEqual(
      lines.filter((line) => line.startsWith('/') && line !== preload),
      [join(ROOT, 'bin', 'run.js'), join(PROGRAM, 'token.cjs')],
    );
    assert.ok(lines.includes('NativeModule net'), 'the list is one');
    const further = await beyondBareNode(home.path, lines);
    for (const name of ['crypto', 'https', 'tls', 'internal/deps/undici/undici', 'child_process', ESM_LOADER])
      assert.ok(!further.includes(`NativeModule ${name}`), name);
  });

  it('loads nothing of exchanges, keyrings or sockets for a fresh token in the vault', async () => {
    await using home = await makeHome({ accounts: 1 });
    const [preload, list] = [join(home.folders[0] ?? '', 'preload.cjs'), join(home.folders[0] ?? '', 'list')];
    await writeFile(
      preload,
      `process.on('exit', () => require('node:fs').writeFileSync(${JSON.stringify(list)}, process.moduleLoadList.join('\\n')));`,
    );
    const env = { ...home.env, NODE_OPTIONS: `--require=${preload}` };
    const { status, stdout } = await runCms(['token', home.address], { env });
    assert.deepEqual([status, stdout.length], [0, 2001]);
    const lines = readFileSync(list, 'utf8').split('\n');
    assert.ok(lines.includes('NativeModule crypto'), 'the list is one');
    const further = await beyondBareNode(home.folders[0] ?? '', lines);
    for (const name of ['net', 'https', 'tls', 'internal/deps/undici/undici', 'child_process', ESM_LOADER])
      assert.ok(!further.includes(`NativeModule ${name}`), name);
  });

  it('names the sources of a defect', async () => {
    await using home = await temporaryHome({ env: { CMS_RUNTIME_DIR: undefined, CMS_DEBUG: '1' } });
    const preload = join(home.path, 'preload.cjs');
    await writeFile(preload, "require('node:os').hostname = () => { throw new TypeError('no name'); };");
    for (const command of [['token', JANE], ['status']]) {
      const env = { ...home.env, NODE_OPTIONS: `--require=${preload}` };
      const { status, stderr } = await runCms(command, { env });
      assert.equal(status, 70, stderr);
      assert.match(stderr, /^cms: error: no name\n/);
      assert.match(stderr, /\/src\/lib\/os\/paths\.ts:\d+/);
    }
  });
});
