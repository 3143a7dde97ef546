// Writes doc/example-exim4.conf anew: npx tsx scripts/example-exim4-conf.ts
import { writeFileSync } from 'node:fs';
import { renderExample } from '../src/lib/exim/render/example.ts';

writeFileSync(new URL('../doc/example-exim4.conf', import.meta.url), renderExample());
