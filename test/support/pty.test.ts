import assert from 'node:assert/strict';
import { runInTerminal } from './pty.ts';
import type { Terminal } from './pty.ts';

const SCRIPT = `
process.stdout.write('\\x1b[1mname?\\x1b[0m ');
const { createInterface } = require('node:readline');
const lines = createInterface({ input: process.stdin, output: process.stdout });
lines.once('line', (name) => {
  console.log('hello ' + name + ' on ' + process.stdout.columns + 'x' + process.stdout.rows + ' tty ' + process.stdin.isTTY);
  process.exit(name === 'nobody' ? 7 : 0);
});
`;

describe('the pseudo-terminal', () => {
  let terminal: Terminal | undefined;

  const start = (env = {}, cols?: number) => {
    const options = { env: { PATH: process.env.PATH, ...env }, ...(cols === undefined ? {} : { cols }) };
    terminal = runInTerminal(process.execPath, ['-e', SCRIPT], options);
    return terminal;
  };

  afterEach(() => terminal?.stop());

  it('shows what a program writes without its escape sequences, and types to it', async () => {
    const { screen } = await answered(start(), 'jane');
    assert.match(screen, /^name\? jane\n/);
    assert.match(screen, /\nhello jane on 80x24 tty true\n/);
    assert.ok(!screen.includes('\x1b'));
  });

  it('has the size that was asked for', async () => {
    assert.match((await answered(start({}, 40), 'jane')).screen, /on 40x24/);
  });

  it('reports the exit status', async () => {
    assert.deepEqual((await answered(start(), 'nobody')).exit, { status: 7, signal: undefined });
  });

  it('delivers ctrl-c as a signal', async () => {
    const running = runInTerminal('/bin/sh', ['-c', "trap 'echo caught; exit 3' INT; echo ready; read x"], { env: {} });
    await running.waitFor(/ready/);
    running.press('ctrl-c');
    await running.waitFor(/caught/);
    assert.equal((await running.wait()).status, 3);
  });

  it('gives up on text that does not come, with what came instead', async () => {
    await assert.rejects(start().waitFor(/never said/, 300), /never said[^]*/);
  });

  async function answered(running: Terminal, name: string) {
    await running.waitFor(/name\?/);
    running.type(name);
    running.press('enter');
    const exit = await running.wait();
    return { screen: running.screen, exit };
  }
});
