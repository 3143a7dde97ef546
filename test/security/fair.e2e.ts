/** No user keeps another waiting, on the same socket. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type RunningProcess, start } from '../support/processes.ts';
import { requires } from '../support/requirements.ts';
import { talk } from '../support/wire.ts';
import { startWorld, type World } from '../support/world.ts';
import { OTHER_USER, startAsOther } from './second-user.ts';

const JANE = 'jane@example.org';
const CROWD = 800;

/** Asks on each of its connections, and says when it had which number of answers. */
const ASKING = `
  const { connect } = require('node:net'), [path, line, count] = process.argv.slice(1);
  const times = [];
  let connected = 0;
  for (let i = 0; i < count; i++) {
    connect({ path, allowHalfOpen: true }, function () {
      this.end(line);
      if (++connected === Number(count)) console.log('asked');
    }).on('error', () => undefined).on('end', () => {
      times.push(String(process.hrtime.bigint()));
      if (times.length === Number(count)) console.log('times ' + times.join(' ') + ' end');
    }).resume();
  }`;

/** Holds as many connections as it can, says nothing, and makes another one for each that is closed. */
const MUTE = `
  const { connect } = require('node:net'), [path, count] = process.argv.slice(1);
  let connected = 0;
  const hold = () => {
    const socket = connect({ path }, () => { if (++connected === Number(count)) console.log('held'); });
    socket.on('error', () => undefined).on('close', () => setTimeout(hold, 5)).resume();
  };
  for (let i = 0; i < count; i++) hold();`;

describe('the broker, where one user has many connections', function () {
  this.timeout(60_000);
  requires(this, 'sudo');
  let world: World;
  let socket: string;
  let broker: RunningProcess;

  before(async () => {
    world = await startWorld();
    assert.equal((await world.add(JANE, '--no-test')).status, 0);
    const folder = join(world.home.path, 'granted');
    mkdirSync(folder);
    for (const each of [world.home.path, folder]) chmodSync(each, 0o755);
    socket = join(folder, 'mta.sock');
  });
  async function serve(descriptors: number): Promise<void> {
    const argv = ['serve', '--socket', socket, '--mode', '0660', '--allow-user', OTHER_USER];
    broker = start('prlimit', [`--nofile=${descriptors}:${descriptors}`, process.execPath, 'bin/run.js', ...argv], {
      env: world.env,
    });
    await broker.waitFor(/listening socket=\S+mta\.sock/);
    chmodSync(socket, 0o666);
    assert.match(await talk(socket, `SMTP ${JANE}`), /^user=/);
  }
  afterEach(() => broker.stop());
  after(() => world[Symbol.asyncDispose]());

  it('answers by turns, whoever was first', async () => {
    await serve(4096);
    broker.kill('SIGSTOP');
    await using crowd = startAsOther([process.execPath, '-e', ASKING, socket, `SMTP ${JANE}`, String(CROWD)]);
    await crowd.waitFor(/asked/);
    const asked = talk(socket, `SMTP ${JANE}`);
    broker.kill('SIGCONT');
    assert.match(await asked, /^user=/);
    const answered = process.hrtime.bigint();
    const [, times = ''] = await crowd.waitFor(/times (.*) end/, { timeoutMs: 30_000 });
    const before = times.split(' ').filter((time) => BigInt(time) < answered).length;
    assert.ok(before < CROWD / 2, `${before} of ${CROWD} were answered before`);
  });

  it('lets another one in where connections that say nothing take all descriptors, and says so now and then', async () => {
    await serve(400);
    await using mute = startAsOther([process.execPath, '-e', MUTE, socket, String(CROWD)]);
    await mute.waitFor(/held/);
    for (let round = 0; round < 20; round++) assert.match(await talk(socket, `SMTP ${JANE}`), /^user=/);
    const warnings = broker.stderr.split('too many connections').length - 1;
    assert.ok(warnings >= 1 && warnings < 10, `${warnings} warnings`);
  });
});
