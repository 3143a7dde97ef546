/** What manual pages say in addition to what the commands say of themselves. */
export type Item = readonly [name: string, text: string];

export const INTRODUCTION = `cms signs you in once in a browser, keeps the grant sealed, keeps an access token fresh, and \
provides it to exim over a UNIX socket and to msmtp, mutt, mbsync, git or scripts as one line on stdout.

Commands that print data take --json: then they do not prompt, and a failure is an object with error and \
error_description on stderr. Secrets never appear in arguments, the environment, logs or messages.`;

export const FILES: readonly Item[] = [
  ['~/.config/cms/accounts.json', 'the accounts, no secrets'],
  ['~/.config/cms/config.toml', 'your settings; /etc/cms/config.toml holds those of the host'],
  ['~/.config/cms/vault.key', 'the vault key, if it is not in the keyring'],
  ['~/.local/state/cms/', 'encrypted secrets, locks, and the log of who got which token'],
  ['$XDG_RUNTIME_DIR/cms/cms.sock', 'the private socket of the broker; otherwise below ~/.local/state/cms/'],
];

export const ENVIRONMENT: readonly Item[] = [
  ['CMS_CONFIG_DIR', 'replaces ~/.config/cms; XDG_CONFIG_HOME is honoured'],
  ['CMS_STATE_DIR', 'replaces ~/.local/state/cms; XDG_STATE_HOME is honoured'],
  ['CMS_RUNTIME_DIR', 'the directory of the private socket'],
  ['CMS_SOCKET', 'the private socket'],
  ['CMS_STORE', 'keyring or file: move the vault key'],
  ['CMS_VAULT_KEY_FILE', 'a file that holds the vault key'],
  ['BROWSER', 'the browser for signing in'],
];

/** After sysexits.h; a test holds them against the table of the program. */
export const EXIT_STATUSES: readonly Item[] = [
  ['0', 'done'],
  ['64', 'wrong usage'],
  ['65', 'bad data, for example an invalid address'],
  ['67', 'no such account'],
  ['69', 'no broker is running, or the keyring is locked or not available'],
  ['70', 'a defect of cms'],
  ['73', 'cannot be created, for example because a broker is already running'],
  ['74', 'reading or writing failed'],
  ['75', 'temporary failure: the provider cannot be reached, try again later'],
  ['76', 'the other side violates the protocol'],
  ['77', 'you have to sign in, or permission was denied'],
  ['78', 'the configuration is wrong; the message says what'],
];
