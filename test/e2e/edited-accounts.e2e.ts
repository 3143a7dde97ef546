/** accounts.json after a slip by hand: whatever stands in a field, no command takes it for a defect of cms. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { spawnCms } from '../support/environment.ts';
import { talk } from '../support/wire.ts';
import { startWorld, type World } from '../support/world.ts';

const JANE = 'jane@example.org';
const BOB = 'bob@example.org';
const RUNS = Number(process.env.CMS_FUZZ_RUNS ?? 12);

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** Every place of a value, as the keys that lead there. */
function pathsOf(value: Json, path: string[] = []): string[][] {
  if (typeof value !== 'object' || value === null) return [path];
  return [path, ...Object.entries(value).flatMap(([key, each]) => pathsOf(each, [...path, key]))];
}

function replaced(value: Json, [key, ...rest]: readonly string[], by: Json | undefined): Json | undefined {
  if (key === undefined) return by;
  if (typeof value !== 'object' || value === null) return value;
  const next = replaced((value as Record<string, Json>)[key] ?? null, rest, by);
  if (Array.isArray(value)) return value.map((each, index) => (String(index) === key ? (next ?? null) : each));
  const others = Object.entries(value).filter(([each]) => each !== key);
  return Object.fromEntries(next === undefined ? others : [...others, [key, next]]);
}

const nonsense: fc.Arbitrary<Json | undefined> = fc.oneof(
  fc.constantFrom<Json | undefined>(undefined, null, true, 0, -1, 1.5, 1e9, '', ' ', 'x', 'http', '://', 'https://'),
  fc.constantFrom<Json>([], {}, [null], [''], { x: 1 }, 'a\nb', '\0', '@', '../../x', '__proto__', 'https://[', '2026'),
  fc.constantFrom<Json>('ftp://x.test/', 'http://x.test/', 'https://u:p@x.test/', 'https://x.test:99999/', 'jane@'),
  fc.string({ maxLength: 12 }),
);

describe('accounts.json edited by hand', function () {
  this.timeout(120_000 + RUNS * 20_000);
  let world: World;
  let file: string;
  let good: Json;

  before(async () => {
    world = await startWorld();
    for (const address of [JANE, BOB]) assert.equal((await world.add(address)).status, 0);
    file = join(world.home.configDir, 'accounts.json');
    good = JSON.parse(readFileSync(file, 'utf8')) as Json;
  });
  afterEach(() => writeFileSync(file, JSON.stringify(good)));
  after(() => world[Symbol.asyncDispose]());

  const write = (path: readonly string[], value: Json | undefined): void =>
    writeFileSync(file, JSON.stringify(replaced(good, path, value) ?? null));
  const client = ['accounts', JANE, 'client'];

  for (const [name, value] of [
    ['token_endpoint', 'nonsense'],
    ['token_endpoint', 'http://x.test/token'],
    ['revocation_endpoint', 'https://['],
  ] as const) {
    it(`fails one check of doctor, and the others go on: ${name} ${value}`, async () => {
      write([...client, name], value);
      const { status, stdout } = await world.cms('doctor', '--json');
      assert.equal(status, 78);
      const { checks } = JSON.parse(stdout) as { checks: Record<'id' | 'subject' | 'status' | 'summary', string>[] };
      const failures = checks.filter((check) => check.status === 'failure');
      assert.deepEqual(
        failures.map(({ id, subject }) => [id, subject]),
        [['provider.endpoint', JANE]],
      );
      assert.match(failures[0]?.summary ?? '', new RegExp(`the ${name.replace('_', ' ')} is `));
      for (const id of ['token', 'login.smtp'])
        assert.ok(
          checks.some((check) => check.id === id && check.subject === BOB && check.status === 'ok'),
          id,
        );
      assert.equal((await world.cms('doctor', '--report')).status, 78);
    });
  }

  it('is 78 with a sentence where the endpoint is needed', async () => {
    write([...client, 'token_endpoint'], 'nonsense');
    const { status, stderr } = await world.cms('token', JANE, '--force-refresh');
    assert.equal(status, 78, stderr);
    assert.match(stderr, /^cms: error: the settings of jane@example\.org changed since it signed in/);
    assert.equal((await world.cms('token', BOB, '--force-refresh')).status, 0);
  });

  it('names the field whose value cannot be one', async () => {
    for (const [path, value, words] of [
      [['servers', 'smtp', 'port'], '587', 'servers.smtp.port is not a port (1 to 65535)'],
      [['servers', 'smtp', 'tls'], 'yes', 'servers.smtp.tls is not one of starttls, implicit'],
      [['protocols'], ['jmap'], 'protocols is a list with a value that is not one of smtp, imap, pop'],
      [['client', 'redirect'], undefined, 'client.redirect is missing'],
      [['client', 'redirect', 'host'], 'evil.test', 'client.redirect.host is not one of 127.0.0.1, localhost'],
      [['login'], 'a b', 'login is not a name without blanks'],
    ] as const) {
      write(['accounts', JANE, ...path], value as Json | undefined);
      const { status, stderr } = await world.cms('account', 'list');
      assert.equal(status, 78);
      assert.equal(stderr.split('\n')[0], `cms: error: cannot read ${file}: the entry "${JANE}": ${words}`);
    }
  });

  it('never ends a command with 70', async () => {
    const commands = [
      ['token', JANE, '--force-refresh'],
      ['status', '--json'],
      ['account', 'show', JANE],
      ['account', 'test', JANE, '--json'],
      ['doctor', '--report'],
      ['exim-config'],
    ];
    const places = fc.constantFrom(...pathsOf(good));
    await fc.assert(
      fc.asyncProperty(places, nonsense, fc.constantFrom(...commands), async (path, value, command) => {
        write(path, value);
        const { status, stderr } = await world.cms(...command);
        assert.notEqual(status, 70, `${path.join('.')} = ${JSON.stringify(value)}: ${command.join(' ')}\n${stderr}`);
        assert.notEqual(status, 1, stderr);
        assert.doesNotMatch(stderr, /defect of cms|\n\s+at /);
      }),
      { numRuns: RUNS * 4, endOnFailure: true },
    );
  });

  it('never ends the broker', async () => {
    await using broker = spawnCms(['serve'], { env: world.env });
    await broker.waitFor(/listening/);
    const socket = join(world.home.runtimeDir, 'cms.sock');
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...pathsOf(good)), nonsense, async (path, value) => {
        write(path, value);
        const reloaded = await talk(socket, 'RELOAD');
        assert.doesNotMatch(reloaded, /internal_error/, `${path.join('.')} = ${JSON.stringify(value)}: ${reloaded}`);
        for (const request of ['STATUS', `REFRESH ${JANE}`, `SMTP,json ${JANE}`])
          assert.doesNotMatch(
            await talk(socket, request),
            /internal_error/,
            `${path.join('.')} = ${JSON.stringify(value)}`,
          );
        assert.ok(broker.running, broker.stderr);
      }),
      { numRuns: RUNS * 3, endOnFailure: true },
    );
    assert.doesNotMatch(broker.stderr, /internal_error|\n\s+at /);
  });
});
