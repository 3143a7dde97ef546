import assert from 'node:assert/strict';
import fc from 'fast-check';
import { socketChange } from '../../../../src/lib/exim/install/socket-config.ts';
import { parseSettings } from '../../../../src/lib/config/settings.ts';

const path = '/run/cms/jane/exim.sock';

describe('the socket in config.toml', () => {
  it('is one that the broker understands', () => {
    const { addition = '' } = socketChange('', { path, passwords: true });
    assert.deepEqual(parseSettings(addition, 'config.toml').sockets, [
      { path, mode: 0o660, group: 'Debian-exim', protocols: ['smtp'], passwords: true },
    ]);
  });

  it('gives out no passwords unless an account needs it', () => {
    const { addition = '' } = socketChange('', { path, passwords: false });
    assert.equal(parseSettings(addition, 'config.toml').sockets[0]?.passwords, false);
  });

  it('is added only once, however it is written', () => {
    const text = `[[socket]]\n  "path" = '${path}'\n`;
    assert.deepEqual(socketChange(text, { path, passwords: false }), {});
  });

  it('is not changed, but the missing word for passwords is named', () => {
    for (const there of ['', 'passwords = false\n']) {
      const { addition, remark } = socketChange(`[[socket]]\npath = "${path}"\n${there}`, { path, passwords: true });
      assert.equal(addition, undefined);
      assert.match(remark ?? '', /passwords = true/);
    }
  });

  it('follows whatever stands in the file', () => {
    const before = fc.constantFrom(
      '',
      '# mine',
      '[notify]\ndesktop = false',
      '[[socket]]\npath = "/run/other.sock"\n',
      '[hooks]\nrefreshed = ["/ü"]\r\n',
    );
    fc.assert(
      fc.property(before, (text) => {
        const { addition = '' } = socketChange(text, { path, passwords: false });
        const sockets = parseSettings(text + addition, 'config.toml').sockets;
        assert.equal(sockets.at(-1)?.path, path);
        assert.deepEqual(socketChange(text + addition, { path, passwords: false }), {});
      }),
    );
  });

  for (const text of ['socket = [{ path = "/a" }]\n', 'socket = 1\n', '[[socket\n']) {
    it(`is refused beside ${JSON.stringify(text)}`, () => {
      assert.throws(() => socketChange(text, { path, passwords: false }), { code: 'config_invalid' });
    });
  }
});
