import assert from 'node:assert/strict';
import fc from 'fast-check';
import { createLogger } from '../../../src/lib/terminal/pretty-log.ts';
import { redact, redactThese, remember } from '../../../src/lib/core/redact.ts';
import { Secret } from '../../../src/lib/core/secret.ts';
import { xoauth2 } from '../../../src/lib/core/sasl.ts';

const TOKEN = '1//0gAb+C/def=ghi_jkl-MNO"pq r\\s~';
const base64 = (text: string): string => Buffer.from(text).toString('base64');

describe('the output filter', () => {
  before(() => remember(TOKEN));

  const forms: Record<string, string> = {
    raw: TOKEN,
    'in a URL': encodeURIComponent(TOKEN),
    'in a URL, lower case': encodeURIComponent(TOKEN).replace(/%../g, (byte) => byte.toLowerCase()),
    'in a form': new URLSearchParams({ a: TOKEN }).toString().slice(2),
    'in JSON': JSON.stringify(TOKEN).slice(1, -1),
    'in JSON with escaped slashes': JSON.stringify(TOKEN).slice(1, -1).replaceAll('/', '\\/'),
    'in hexadecimal': Buffer.from(TOKEN).toString('hex'),
    'in base64': base64(TOKEN),
    'in base64url': Buffer.from(TOKEN).toString('base64url'),
  };
  for (const [name, form] of Object.entries(forms)) {
    it(`cuts a secret out ${name}`, () => {
      assert.equal(redact(`before ${form} after ${form}`), 'before [secret] after [secret]');
      assert.equal(redactThese(`before ${form} after`, [TOKEN]), 'before [secret] after');
    });
  }

  it('cuts it out of base64 of something longer, wherever it stands there', () => {
    const texts = [
      xoauth2('jane@example.org', 'plain-token-0123456789'),
      'a:plain-token-0123456789',
      'ab:plain-token-0123456789',
    ];
    remember('plain-token-0123456789');
    for (const text of texts) {
      for (const encoded of [base64(text), Buffer.from(text).toString('base64url')]) {
        const said = redact(`AUTH ${encoded}`);
        assert.match(said, /\[secret\]/);
        const rest = said.replace('AUTH ', '').split('[secret]');
        const decoded = rest.map((part) => Buffer.from(part, 'base64').toString('latin1')).join();
        assert.doesNotMatch(decoded, /plain|token|012|789/);
      }
    }
  });

  it('finds any secret of eight characters or more at any place of any text, and changes nothing else', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary', minLength: 5, maxLength: 80 }),
        fc.string({ maxLength: 40 }),
        fc.string({ maxLength: 40 }),
        (random, before, after) => {
          // Not the words that generators like, which would be cut out of every later test's lines.
          const secret = `sEc${random}`;
          remember(secret);
          for (const form of [secret, base64(secret), JSON.stringify(secret).slice(1, -1)]) {
            assert.ok(!redact(before + form + after).includes(form));
          }
        },
      ),
      { numRuns: 200 },
    );
    assert.equal(
      redact('12:00:01 info  refreshed account=jane@example.org'),
      '12:00:01 info  refreshed account=jane@example.org',
    );
  });

  it('knows what was made a secret, a key in each way that keys are written', () => {
    const key = new Secret(Buffer.from('0123456789abcdef0123456789abcdef'));
    const bytes = key.reveal();
    assert.equal(redact(`${bytes.toString('base64')} ${bytes.toString('hex')}`), '[secret] [secret]');
  });

  it('stands between the log and its lines, in both formats and for messages as well as fields', () => {
    for (const form of ['pretty', 'json'] as const) {
      let written = '';
      const log = createLogger({ format: form, level: 'trace', write: (text) => (written += text) });
      log.trace(`said ${TOKEN}`, { reason: `form ${encodeURIComponent(TOKEN)}`, raw: TOKEN });
      assert.doesNotMatch(written, /0gAb|ghi_jkl/);
      assert.equal(written.split('[secret]').length, 4);
    }
  });

  it('forgets the oldest rather than grow, and one that is used again is not old', () => {
    remember('oldest-of-them-all');
    remember('old-but-in-use-again');
    for (let index = 0; index < 2040; index++) remember(`filler-number-${index}-of-many`);
    remember('old-but-in-use-again');
    redact('index them');
    for (let index = 0; index < 20; index++) remember(`another-number-${index}-of-many`);
    assert.equal(redact('oldest-of-them-all'), 'oldest-of-them-all');
    assert.equal(redact('old-but-in-use-again'), '[secret]');
  });

  it('takes no longer with two thousand secrets than a log line may', () => {
    for (let index = 0; index < 2048; index++) remember(`ya29.${'x'.repeat(1000)}${index}-${index * 7919}`);
    const line = '12:00:01 warn  not served account=jane@example.org code=store_locked '.repeat(4);
    redact(line);
    const began = performance.now();
    for (let round = 0; round < 500; round++) redact(line);
    assert.ok((performance.now() - began) / 500 < 1, 'one line takes more than a millisecond');
  });
});
