/** Each link that `cms doctor` names has a test that breaks it with real parts; a new one does not pass without. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '..', '..', '..');
const e2e = (name: string): string => `test/e2e/${name}.e2e.ts`;
const [CHAIN, EXIM, AUTHORITY, SYSTEMD] = [e2e('doctor'), e2e('doctor-exim'), e2e('exim-authority'), e2e('systemd')];

/** By what each link is broken: the title of the test, or the part of it that its row gives. */
const BROKEN: Readonly<Record<string, [file: string, title: string] | 'is only ever left out'>> = {
  'files.folder': [CHAIN, 'a folder that others can write to'],
  'files.accounts': [CHAIN, 'accounts.json, damaged'],
  'files.config': [CHAIN, 'config.toml, with a key that is none'],
  accounts: [CHAIN, 'begins at the beginning where there is no account'],
  key: [CHAIN, 'another vault key'],
  'provider.name': [CHAIN, 'a name that nobody knows'],
  'provider.connection': [CHAIN, 'a provider that is down, when a token is needed'],
  'provider.answer': [CHAIN, 'a certificate of a stranger'],
  'provider.clock': [CHAIN, 'a clock that goes wrong'],
  token: [CHAIN, 'a sign-in that was revoked, although the token at hand is not old'],
  'token.scope': [CHAIN, 'a scope that was not granted'],
  'token.audience': [CHAIN, 'a token that is made for Microsoft Graph'],
  'login.smtp': [CHAIN, 'a tenant that has SMTP switched off'],
  'login.imap': [CHAIN, 'an IMAP server that refuses'],
  'login.pop': [CHAIN, 'a POP server that refuses, and one that nobody finds'],
  broker: [CHAIN, 'a broker that does not run, where a socket is wanted'],
  'broker.grants': [CHAIN, 'a broker that cannot store what it was given'],
  socket: [CHAIN, 'a socket of another mode'],
  mta: [CHAIN, 'a user of a socket who cannot open it'],
  exim: 'is only ever left out',
  'exim.config': [EXIM, 'a configuration of somebody else'],
  'exim.judged': [EXIM, 'one that exim refuses'],
  'exim.authority': [AUTHORITY, 'names the file in doctor and in the trial where exim has only the system'],
  'exim.accounts': [EXIM, 'names lines that are behind the accounts'],
  'exim.sender': [EXIM, 'lines that are gone'],
  'exim.queue': [EXIM, 'tells of frozen mail, and status where exim shows its queue; else doctor says how to look'],
  hook: [CHAIN, 'a hook that others can change'],
  'notify.mail': [CHAIN, 'a mail about an outage that no account can send'],
  service: [SYSTEMD, 'names a manager that does not answer'],
  'service.units': [SYSTEMD, 'a unit that somebody changed'],
  'service.enabled': [SYSTEMD, 'a service that no login starts'],
  'service.active': [SYSTEMD, 'a broker that was started by hand'],
  'service.linger': [SYSTEMD, 'a service that ends with the session'],
  system: [SYSTEMD, 'a user that is gone'],
  'system.units': [SYSTEMD, 'a program that is gone'],
  'system.key': [SYSTEMD, 'a key that is gone'],
  'system.enabled': [SYSTEMD, 'a socket that no boot brings back'],
  'system.active': [SYSTEMD, 'a service that was stopped'],
  'system.socket': [SYSTEMD, 'a socket of another group'],
  'system.mta': [SYSTEMD, "a folder that keeps exim's user out"],
};

function idsInSources(): string[] {
  const folder = join(ROOT, 'src', 'lib', 'doctor');
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
  const sources = files.map((name) => readFileSync(join(folder, name), 'utf8'));
  const ids = sources.flatMap((text) => [...text.matchAll(/\b(?:id: |step\()['`]([a-z.]+)(\$\{)?/g)]);
  return ids.flatMap(([, id = '', open]) => (open ? ['smtp', 'imap', 'pop'].map((each) => id + each) : [id]));
}

describe('the links that doctor names', () => {
  it('are all broken by a test, one at a time', () => {
    assert.deepEqual(Object.keys(BROKEN).sort(), [...new Set(idsInSources())].sort());
  });

  for (const [id, test] of Object.entries(BROKEN)) {
    if (typeof test === 'string') continue;
    const [file, title] = test;
    it(`${id}: by "${title}"`, () => {
      const text = readFileSync(join(ROOT, file), 'utf8');
      const at = text.search(
        new RegExp(`(?:it\\(|\\[)\\s*['"\`]${title.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}['"\`],`),
      );
      assert.ok(at >= 0, `${file} has no such test`);
    });
  }
});
