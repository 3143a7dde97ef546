/** Where the program begins: what scripts/bundle.ts bundles, and what no other file has to import. */

/** The framework's files, and the keyring, whose helper is started by its name. Each command is one as well. */
export const FRAMEWORK = {
  main: './src/oclif-main.ts',
  help: './src/oclif-help.ts',
  keyring: './src/lib/store/keyring.ts',
} as const;

/** Started by bin/run.js without the framework. */
export const FAST = {
  token: './src/token-broker.ts',
  serve: './src/serve-main.ts',
  'keyring-helper': './src/lib/store/keyring-helper.ts',
} as const;

export const TOKEN_ALONE = './src/token-main.ts';
