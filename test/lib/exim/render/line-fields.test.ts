import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { findExim4 } from '../../../../src/lib/exim/binary.ts';
import { brokerRequest, FIELDS, lineFields } from '../../../../src/lib/exim/render/line-fields.ts';
import { fieldsOf } from '../../../../src/lib/exim/smart-hosts/smart-hosts-file.ts';
import { requires } from '../../../support/requirements.ts';

const LINES = [
  'host=smtp.example.org::587 user=jane@example.org oauth=/run/s',
  'host=smtp.example.org::465 user=jane@example.org account=office@example.org oauth=/run/s',
  'host=smtp.example.org tls=implicit user=jane oauth=/run/s',
  'host=smtp.example.org::2465 tls=implicit user=jane oauth=/run/s',
  'host=smtp.example.org user=jane oauth=/run/s auth=password',
  'host=smtp.example.org::587 user=jane password=secret',
  'host=Smtp.Example.ORG::025 user=jane oauth=/run/s users=alice,root',
  'HOST = smtp.example.org::587 User = jane OAUTH = /run/s',
  'host="smtp.example.org::587" user="jane" oauth=/run/s',
  'host=a_b.example.org::587 user=jane oauth=/run/s',
  'host=smtp.example.org:587 user=jane oauth=/run/s',
  'host=a.example.org:b.example.org user=jane oauth=/run/s',
  'host=[192.0.2.1]::587 user=jane oauth=/run/s',
  'host=192.0.2.1::587 user=jane oauth=/run/s',
  'host=2001:db8::25 user=jane oauth=/run/s',
  'host=bücher.example::587 user=jane oauth=/run/s',
  'host=smtp.example.org::587/MX user=jane oauth=/run/s',
  'host=smtp.example.org:: user=jane oauth=/run/s',
  'host= user=jane oauth=/run/s',
  'user=jane oauth=/run/s',
  'host=smtp.example.org::587 account=office@example.org oauth=/run/s',
  'host=a.example::587 host=b.example::465 user=jane oauth=/run/s',
];

/** What exim makes of `expansions`, one after the other. */
function expanded(expansions: readonly string[]): string[] {
  // What begins with a capital letter and holds = would define a macro.
  const input = expansions.map((each) => `.${each}\n`).join('');
  const { stdout, stderr } = spawnSync(findExim4(process.env), ['-be'], { encoding: 'utf8', input });
  const answers = stdout.split('\n').map((line) => line.replace(/^> \./, ''));
  assert.ok(answers.length > expansions.length, `${stdout}${stderr}`);
  return answers.slice(0, expansions.length);
}

/** The variables as the configuration sets them, with their definitions in place of them. */
function variables(line: string): Map<string, string> {
  const known = new Map<string, string>([['address_data', line]]);
  for (const [, name = '', text = ''] of FIELDS.replace(/\\\n\s*/g, '').matchAll(/^ {2}set = (r_\w+) = (.*)$/gm)) {
    known.set(
      name,
      text.replace(/\$(r_\w+|address_data)\b/g, (_all, used: string) => known.get(used) ?? ''),
    );
  }
  return known;
}

describe('the fields of a line', () => {
  for (const line of LINES) {
    it(`are what exim reads in: ${line}`, function () {
      requires(this, 'exim4');
      const known = variables(line);
      const fields = lineFields(fieldsOf({ key: 'k', value: line }));
      const { host, port, tls, user, account, socket, auth, users } = fields;
      const ask = brokerRequest({ ...fields, auth: 'token', account: '' }).trimEnd();
      const expected = { host, port, tls, user, account, socket, auth, users, ask };
      const answers = expanded(Object.keys(expected).map((name) => known.get(`r_${name}`) ?? '?'));
      assert.deepEqual(answers, Object.values(expected));
    });
  }

  it('ask for a password where the login is by password', () => {
    const fields = (line: string) => lineFields(fieldsOf({ key: 'k', value: line }));
    assert.equal(
      brokerRequest(fields('host=h.example user=u@b.c oauth=/s auth=password'), true),
      'SMTP,host=h.example,port=587,password,ready u@b.c',
    );
    assert.equal(brokerRequest(fields('host=h.example user=u@b.c oauth=/s')), 'SMTP,host=h.example,port=587 u@b.c');
  });
});
