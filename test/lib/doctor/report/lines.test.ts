import assert from 'node:assert/strict';
import { failure } from '../../../../src/lib/doctor/check.ts';
import { linesOf } from '../../../../src/lib/doctor/report/lines.ts';

const lines = (columns: number, fix: string[], summary = 'it is broken', cause = 'because of this and that'): string =>
  linesOf(
    { id: 'socket', subject: '/run/x', ms: 0, ...failure('config_invalid', summary, { cause, fix }) },
    'failure ',
    columns,
  ).join('\n');

describe('a check in a terminal', () => {
  it('keeps a command on one line, whatever its length, and breaks what is told to people', () => {
    const long = 'sudo -u Debian-exim socat -u OPEN:/dev/null UNIX-CONNECT:/run/cms/jane/exim.sock && echo open';
    const powershell = 'Set-CASMailbox -Identity jane@example.org -SmtpClientAuthenticationDisabled $false';
    assert.equal(
      lines(50, [long, powershell, 'ask the administrator to let the client through, or for another one']),
      [
        '  failure  socket /run/x: it is broken',
        '           because of this and that',
        `           do: ${long}`,
        `           do: ${powershell}`,
        '           do: ask the administrator to let the',
        '               client through, or for another one',
        '           who: root',
      ].join('\n'),
    );
  });

  it('puts a remark that does not fit below its command, as a remark', () => {
    assert.match(lines(80, ['namei -l /run/x   # who may in?']), /^ {11}do: namei -l \/run\/x {3}# who may in\?$/m);
    assert.match(
      lines(50, ['namei -l /run/x   # every folder above must let Debian-exim in']),
      /^ {11}do: namei -l \/run\/x\n {15}# every folder above must let\n {15}# Debian-exim in$/m,
    );
  });

  it('breaks nothing where nobody says how wide it is', () => {
    const cause = 'a cause '.repeat(40).trim();
    assert.ok(
      lines(Infinity, ['ls   # look'], 'x', cause).includes(`\n           ${cause}\n           do: ls   # look`),
    );
  });

  it('says once what it looks at', () => {
    assert.match(lines(80, [], '/run/x: unknown key'), /^ {2}failure {2}socket \/run\/x: unknown key$/m);
  });
});
