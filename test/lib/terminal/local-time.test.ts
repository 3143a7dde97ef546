import assert from 'node:assert/strict';
import { localTime } from '../../../src/lib/terminal/local-time.ts';

describe('a moment for people', () => {
  const zone = process.env.TZ;
  afterEach(() => {
    if (zone === undefined) delete process.env.TZ;
    else process.env.TZ = zone;
  });

  for (const [name, expected] of [
    ['UTC', '2026-07-01 03:04:05'],
    ['America/New_York', '2026-06-30 23:04:05'],
    ['Asia/Kolkata', '2026-07-01 08:34:05'],
  ] as const) {
    it(`is told in the time zone of who reads it: ${name}`, () => {
      process.env.TZ = name;
      assert.equal(localTime('2026-07-01T03:04:05.678Z'), expected);
    });
  }
});
