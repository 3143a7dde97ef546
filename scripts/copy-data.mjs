// tsc copies no JSON that is read at run time; this does.
import { cpSync, existsSync } from 'node:fs';

for (const file of ['lib/providers/providers.json']) {
  if (existsSync(`src/${file}`)) cpSync(`src/${file}`, `dist/${file}`);
}
