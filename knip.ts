import type { KnipConfig } from 'knip';
import { FAST, FRAMEWORK, TOKEN_ALONE } from './scripts/entry-points.ts';

const entries = [...Object.values(FRAMEWORK), ...Object.values(FAST), TOKEN_ALONE].map((file) =>
  file.slice('./'.length),
);

export default {
  entry: [
    'src/index.ts',
    'src/commands/**/*.ts',
    ...entries,
    'bin/*.js',
    '{bench,demo}/main.ts',
    'bench/peers/*',
    'scripts/*.ts',
    'test/**/*.{test,e2e}.ts',
    'test/{mutation,reliability}/main.ts',
    'test/reliability/rows/*.ts',
    // Tests start these as processes of their own.
    'test/lib/vault/{create-key,move-key-until}.ts',
    'test/{reliability,support}/*.mjs',
  ],
  project: ['{src,bin,bench,demo,scripts,test}/**/*.{ts,js,mjs,cjs}'],
  // Programs of the system that tests start.
  ignoreBinaries: ['groff', 'mandoc', 'mkfifo', 'prlimit', 'script', 'systemd-analyze'],
} satisfies KnipConfig;
