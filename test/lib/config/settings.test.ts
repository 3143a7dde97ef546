import assert from 'node:assert/strict';
import { parseSettings } from '../../../src/lib/config/settings.ts';

describe('config.toml', () => {
  it('describes sockets with their restrictions', () => {
    const { sockets } = parseSettings(
      '[[socket]]\npath = "/run/cms/jane/exim.sock"\nmode = "0660"\ngroup = "Debian-exim"\nprotocols = ["smtp"]\naccounts = ["Jane@Example.org"]\npasswords = true\nusers = ["Debian-exim"]\n',
      'config.toml',
    );
    assert.deepEqual(sockets, [
      {
        path: '/run/cms/jane/exim.sock',
        mode: 0o660,
        group: 'Debian-exim',
        protocols: ['smtp'],
        accounts: ['jane@example.org'],
        passwords: true,
        users: ['Debian-exim'],
      },
    ]);
  });
  it('has private sockets unless it says otherwise', () => {
    assert.deepEqual(parseSettings('[[socket]]\npath = "/run/x.sock"\n', 'f').sockets, [
      { path: '/run/x.sock', mode: 0o600, passwords: false },
    ]);
  });
  const wrong: [string, RegExp][] = [
    ['[[socket]]\n', /path is missing/],
    ['[[socket]]\npath = "run/x.sock"\n', /absolute path/],
    [`[[socket]]\npath = "/${'x'.repeat(107)}"\n`, /too long/],
    ['[[socket]]\npath = "/x"\nmode = "0666"\n', /every user/],
    ['[[socket]]\npath = "/x"\nmode = "rw"\n', /mode is written/],
    ['[[socket]]\npath = "/x"\nacounts = []\n', /unknown key acounts; did you mean accounts\?/],
    ['[[sockets]]\npath = "/x"\n', /^f: unknown table or key sockets; did you mean socket\?/],
    ['path = "/x"\n', /unknown table or key path$/],
    ['# comment\nsocket = \n', /^f, line 2: /],
    ['[[socket]]\npath = "x"\n', /^f: \[\[socket\]\]: path: a socket needs an absolute path/],
    ['[[socket]]\npath = "/x"\nprotocols = ["ftp"]\n', /protocols are/],
    ['[[socket]]\npath = "/x"\nusers = "jane"\n', /users is a list/],
    ['[socket]\npath = "/x"\n', /\[\[socket\]\]/],
  ];
  for (const [text, message] of wrong) {
    it(`refuses ${JSON.stringify(text.slice(0, 60))}`, () => {
      assert.throws(
        () => parseSettings(text, 'f'),
        (error: { code: string; message: string; exitStatus: number }) => {
          assert.match(error.message, message);
          return error.code === 'config_invalid';
        },
      );
    });
  }
});
