/** Writes one file again and again, each time with the next number, and says each number once it is on the disk. */
import process from 'node:process';
import { sweepTemporaries, writeFileDurable } from '../../dist/lib/os/files/files.js';

const [folder, first] = process.argv.slice(2);
process.stdout.write(`swept ${await sweepTemporaries(folder)}\n`);
for (let number = Number(first); ; number++) {
  await writeFileDurable(`${folder}/file`, `${number}:${'x'.repeat(3000)}:${number}`);
  process.stdout.write(`${number}\n`);
}
