/**
 * What users and programs rely on, compared with how it was: the library, flags, exit statuses, the wire, files, JSON.
 * Everything is asked of the built program, so that no file of the sources is named here.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Interfaces } from '@oclif/core';
import { runCms, spawnCms, temporaryHome } from '../support/environment.ts';
import type { RunningProcess } from '../support/processes.ts';
import { recordingSystemctl } from '../support/systemctl.ts';
import { talk } from '../support/wire.ts';
import { startWorld, type World } from '../support/world.ts';
import { declarationsOf, entriesOf, type Shape, shapeOf } from './shape.ts';
import { matchesSnapshot } from './snapshot.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const JANE = 'jane@example.org';
const APP = 'app@example.net';
/** Has to sign in again. */
const BOB = 'bob@example.org';

describe('what is stable', function () {
  this.timeout(60_000);
  let world: World;
  let broker: RunningProcess;

  before(async () => {
    world = await startWorld();
    const added = await world.add(JANE, '--alias', 'sales@example.org', '--no-test');
    assert.equal(added.status, 0, added.stderr);
    assert.equal((await world.add(BOB, '--no-test')).status, 0);
    world.provider.revokeGrants(BOB);
    assert.equal((await world.cms('token', BOB, '--force-refresh')).status, 77);
    const password = join(world.home.home, 'password');
    writeFileSync(password, 'abcd efgh\n', { mode: 0o600 });
    const smtp = ['--smtp-host', 'localhost', '--smtp-port', '465', '--smtp-tls', 'implicit'];
    const flags = ['--provider', 'custom', '--protocol', 'smtp', ...smtp, '--password-file', password, '--no-test'];
    const app = await world.cms('account', 'add', APP, ...flags);
    assert.equal(app.status, 0, app.stderr);
    broker = spawnCms(['serve'], { env: world.env });
    await broker.waitFor(/listening socket=\S+cms\.sock/);
  });
  after(async () => {
    await broker.stop();
    await world[Symbol.asyncDispose]();
  });

  it('is the library: its names, their types, and the exit status of each error', async () => {
    const library = (await import(join(ROOT, 'dist', 'index.js'))) as Record<string, unknown>;
    const { exports } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { exports: unknown };
    await matchesSnapshot('library', {
      exports,
      values: Object.fromEntries(Object.entries(library).map(([name, value]) => [name, typeof value])),
      exitStatus: library.EXIT_STATUS,
      types: declarationsOf(join(ROOT, 'dist', 'index.d.ts')),
    });
  });

  it('is each command with its arguments and flags', async () => {
    const { commands } = JSON.parse(readFileSync(join(ROOT, 'oclif.manifest.json'), 'utf8')) as Interfaces.Manifest;
    const words = ({ description: _description, ...rest }: { description?: string }) => rest;
    const table = Object.entries(commands).map(([id, { args, flags, strict }]) => [
      id.replaceAll(':', ' '),
      {
        strict,
        args: Object.values(args).map(words),
        flags: Object.fromEntries(Object.entries(flags).map(([name, flag]) => [name, words(flag)])),
      },
    ]);
    await matchesSnapshot('commands', Object.fromEntries(table));
  });

  const REQUESTS = [
    `SMTP ${JANE}`,
    'SMTP sales@example.org',
    `IMAP ${JANE}`,
    `POP ${JANE}`,
    `smtp ${JANE}`,
    `SMTP,unknown ${JANE}`,
    `SMTP,minvalid=60,wait=5 ${JANE}`,
    ...['token', 'xoauth2-b64', 'oauthbearer', 'oauthbearer,host=h.example,port=25', 'json', 'ready', 'password'].map(
      (form) => `SMTP,${form} ${JANE}`,
    ),
    `SMTP,token,xoauth2-b64 ${JANE}`,
    ...['password', 'ready', 'json', 'token'].map((form) => `SMTP,${form} ${APP}`),
    ...['ready', 'json', 'token', 'refused'].map((form) => `SMTP,${form} none@example.org`),
    `SMTP,json,host=other.example,port=1 ${JANE}`,
    `POP,json ${JANE}`,
    'GET / HTTP/1.1',
  ];

  it('is the wire: what is asked and what is answered', async () => {
    const socket = join(world.home.runtimeDir, 'cms.sock');
    const token = await talk(socket, `SMTP,token ${JANE}`);
    assert.notEqual(token, '');
    const answers: Record<string, unknown> = {};
    for (const request of REQUESTS) answers[request] = answerOf(await talk(socket, request), token);
    for (const request of ['STATUS', 'RELOAD', `REFRESH ${JANE}`])
      answers[request] = shapeOf(JSON.parse(await talk(socket, request)));
    await matchesSnapshot('wire', answers);
  });

  it('is what cms token prints in each form', async () => {
    const { stdout } = await world.cms('token', JANE);
    const printed: Record<string, unknown> = {};
    for (const form of ['token', 'xoauth2', 'xoauth2-b64', 'oauthbearer', 'oauthbearer-b64', 'json', 'password']) {
      const finished = await world.cms('token', JANE, '-o', form, '--host', 'h.example', '--port', '25');
      printed[form] = { status: finished.status, stdout: answerOf(finished.stdout, stdout.trim()) };
    }
    const { status, stdout: secret } = await world.cms('token', APP, '-o', 'password');
    await matchesSnapshot('token', { ...printed, 'password of an app': { status, stdout: secret } });
  });

  it('is JSON: the shape of what each command prints with --json, and its exit status', async () => {
    const data: Record<string, { status: number | null; shape: Shape }> = {};
    for (const line of [
      'account list',
      `account show ${JANE}`,
      `account show ${APP}`,
      `account show ${BOB}`,
      `account test ${JANE}`,
      `account test ${APP}`,
      'account show none@example.org',
      `token ${JANE}`,
      `token ${JANE} --protocol pop`,
      `token ${BOB}`,
      'token none@example.org',
      'status',
      'status --log',
      'exim-config --section config',
      'exim-config --section smart-hosts',
      'exim-config --split',
      'unlock',
      'store move file',
      'nonsense',
      `doctor ${JANE} ${APP} ${BOB}`,
      'account list --nonsense',
    ]) {
      const { status, stdout, stderr } = await world.cms(...line.split(' '), '--json');
      data[line] = { status, shape: shapeOf(JSON.parse(stdout || stderr)) };
    }
    // Only of a process that asked twice within a tenth of a second.
    delete data['status --log']?.shape['[].count'];
    await matchesSnapshot('json', data);
  });

  it('is the JSON of the service, with a systemctl that says yes to everything', async function () {
    if (process.getuid?.() === 0) return;
    await using home = await temporaryHome();
    const { tools } = recordingSystemctl(home.path);
    const env = { ...home.env, PATH: `${tools}:${process.env.PATH ?? ''}`, XDG_CONFIG_HOME: join(home.home, 'xdg') };
    const data: Record<string, { status: number | null; shape: Shape }> = {};
    for (const line of ['install --dry-run', 'install --yes', 'status', 'uninstall --dry-run', 'uninstall --yes']) {
      const { status, stdout, stderr } = await runCms(['service', ...line.split(' '), '--json'], { env });
      data[line] = { status, shape: shapeOf(JSON.parse(stdout || stderr)) };
    }
    await matchesSnapshot('service', data);
  });

  it('is every file: where it is, who may open it, and what is in accounts.json', async () => {
    const written = await world.cms('exim-config', '--write', join(world.home.path, 'exim'));
    assert.equal(written.status, 0, written.stderr);
    const lines = readFileSync(join(world.home.stateDir, 'audit.jsonl'), 'utf8').trim().split('\n');
    const { '.count': _count, ...audit } = shapeOf(...lines.map((line) => JSON.parse(line) as unknown));
    await matchesSnapshot('files', {
      entries: entriesOf(world.home.path),
      'accounts.json': shapeOf(JSON.parse(readFileSync(join(world.home.configDir, 'accounts.json'), 'utf8'))),
      'audit.jsonl': audit,
    });
  });
});

/** What does not depend on the run: the token by its name, base64 as what it holds, JSON by its shape. */
function answerOf(answer: string, token: string): unknown {
  if (answer.startsWith('{')) return shapeOf(JSON.parse(answer));
  const named = answer.replaceAll(token, 'TOKEN');
  const decoded = Buffer.from(answer.trim(), 'base64').toString();
  return decoded.includes(token) ? { base64: decoded.replaceAll(token, 'TOKEN') } : named;
}
