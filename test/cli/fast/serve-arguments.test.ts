import assert from 'node:assert/strict';
import Serve from '../../../src/commands/serve.ts';
import { parseServeArguments } from '../../../src/cli/fast/serve-arguments.ts';

const SOCKET = { path: '/run/x.sock', mode: 0o600, passwords: false };
const DEFAULTS = { logFormat: 'pretty', logLevel: 'info' };

describe('the arguments of cms serve', () => {
  for (const [argv, expected] of [
    [[], {}],
    [['--log-format', 'json', '--log-level=debug'], { logFormat: 'json', logLevel: 'debug' }],
    [['--socket', '/run/x.sock'], { socket: SOCKET }],
    [
      ['--socket=/run/x.sock', '--mode', '0660', '--group', 'mail', '--passwords'],
      { socket: { ...SOCKET, mode: 0o660, group: 'mail', passwords: true } },
    ],
    [
      ['--socket', '/run/x.sock', '--protocol', 'smtp', '--protocol', 'imap', '--account', 'Jane@Example.org'],
      { socket: { ...SOCKET, protocols: ['smtp', 'imap'], accounts: ['jane@example.org'] } },
    ],
    [['--socket', '/run/x.sock', '--allow-user', 'mail'], { socket: { ...SOCKET, users: ['mail'] } }],
  ] as const) {
    it(`${argv.join(' ') || 'none'}: understood`, () => {
      assert.deepEqual(parseServeArguments(argv), { ...DEFAULTS, ...expected });
    });
  }

  for (const argv of [
    ['word'],
    ['--no-such-flag'],
    ['--socket'],
    ['--mode', '0600'],
    ['--passwords'],
    ['--log-level', 'loud'],
    ['--log-format', 'xml'],
    ['--socket', '/run/x.sock', '--protocol', 'http'],
    ['--socket', '/run/x.sock', '--mode', '0666'],
  ]) {
    it(`${argv.join(' ')}: refused, with the command that helps`, () => {
      assert.throws(() => parseServeArguments(argv), { code: 'usage' });
    });
  }

  it('are those that its help names', () => {
    for (const [name, flag] of Object.entries(Serve.flags)) {
      const words = flag.type === 'boolean' ? [`--${name}`] : [`--${name}`, '?'];
      assert.throws(
        () => parseServeArguments(words),
        (error: Error) => !error.message.includes('Unknown option'),
        name,
      );
    }
  });
});
