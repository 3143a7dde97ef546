/** A wall clock that a test sets while programs run: libfaketime, which reads the offset from a file at every look. */
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Environment } from './processes.ts';
import { FAKETIME_LIBRARY } from './requirements.ts';

export interface FakeClock {
  /** For the programs that go by this clock. Their monotonic clock stays as it is. */
  env: Environment;
  /** @param offset from the real time, such as `+6h`, `-90m`, `+30` (seconds) */
  set: (offset: string) => void;
}

/** A clock that is right until it is set. Needs `faketime`. @param folder where its file is kept */
export function fakeClock(folder: string): FakeClock {
  const file = join(folder, 'clock');
  const set = (offset: string): void => {
    // Renamed: a reader finds the old offset or the new one, never an empty file.
    writeFileSync(`${file}.next`, `${offset}\n`);
    renameSync(`${file}.next`, file);
  };
  set('+0');
  const env = {
    LD_PRELOAD: FAKETIME_LIBRARY,
    FAKETIME_TIMESTAMP_FILE: file,
    FAKETIME_NO_CACHE: '1',
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
  };
  return { env, set };
}
