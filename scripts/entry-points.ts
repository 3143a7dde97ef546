/** Where the program begins: what scripts/bundle.ts bundles, and what no other file has to import. */

/** The framework's files, and the keyring, whose helper is started by its name. Each command is one as well. */
export const FRAMEWORK = {
  main: './src/cli/oclif/main.ts',
  help: './src/cli/oclif/help.ts',
  keyring: './src/lib/vault/keyring/keyring.ts',
} as const;

/** Started by bin/run.js without the framework. */
export const FAST = {
  token: './src/cli/fast/token-from-broker.ts',
  serve: './src/cli/fast/serve.ts',
  'keyring-helper': './src/lib/vault/keyring/keyring-helper.ts',
} as const;

export const TOKEN_ALONE = './src/cli/fast/token.ts';
