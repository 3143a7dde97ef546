import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { cut, watch } from '../../../src/lib/status/watch.ts';

class Output extends EventEmitter {
  text = '';
  write(text: string): void {
    this.text += text;
  }
}

describe('watching', () => {
  it('cuts what a terminal has no rows for, and says how much that is', () => {
    assert.deepEqual(cut('1\n2\n3\n', 3), ['1', '2', '3']);
    assert.deepEqual(cut('1\n2\n3\n4\n', 3), ['1', '2', '… 2 more lines']);
  });

  it('gives the terminal back, with the last look on it, also after a failure', async () => {
    const output = new Output();
    const enough = new AbortController();
    let count = 0;
    const look = (): Promise<string> => {
      count++;
      if (count === 2) return Promise.reject(new Error('broken'));
      return Promise.resolve(`look ${count}\n`);
    };
    const watching = watch({ look, output, rows: () => 5, intervalMs: 1, separator: '\n', signal: enough.signal });
    await assert.rejects(watching, /broken/);
    assert.match(output.text, /^\x1b\[\?1049h\x1b\[\?25l[^]*\x1b\[\?25h\x1b\[\?1049llook 1\n$/);
  });

  it('looks at once when the terminal has another size, and leaves no listeners behind', async () => {
    const output = new Output();
    const enough = new AbortController();
    let count = 0;
    const look = (): Promise<string> => {
      count++;
      if (count === 3) enough.abort();
      else setImmediate(() => output.emit('resize'));
      return Promise.resolve(`look ${count}\n`);
    };
    await watch({ look, output, rows: () => 5, intervalMs: 600_000, separator: '\n', signal: enough.signal });
    assert.equal(count, 3);
    assert.equal(output.listenerCount('resize'), 0);
  });

  it('prints one look after the other where there is no terminal', async () => {
    const output = new Output();
    const enough = new AbortController();
    let count = 0;
    const look = (): Promise<string> => {
      if (++count === 2) enough.abort();
      return Promise.resolve(`look ${count}\n`);
    };
    await watch({ look, output, rows: () => undefined, intervalMs: 1, separator: '\n', signal: enough.signal });
    assert.equal(output.text, 'look 1\n\nlook 2\n');
  });
});
