/** What manual pages say besides what the commands say of themselves. */
export type Item = readonly [name: string, text: string];

export const INTRODUCTION = `cms signs you in once in a browser, keeps the grant sealed, keeps an access token fresh, and \
hands it to exim over a UNIX socket and to msmtp, mutt, mbsync, git or scripts as one line on stdout.

Commands that print data take --json: then nothing is asked, and a failure is an object with error and \
error_description on stderr. Secrets never stand in arguments, in the environment, in logs or in messages.`;

export const FILES: readonly Item[] = [
  ['~/.config/cms/accounts.json', 'the accounts, no secrets'],
  ['~/.config/cms/config.toml', 'settings written by hand; /etc/cms/config.toml holds those of the host'],
  ['~/.config/cms/vault.key', 'the key of the vault, where it is not in the keyring'],
  ['~/.local/state/cms/', 'sealed secrets, locks, and who got which token'],
  ['$XDG_RUNTIME_DIR/cms/cms.sock', 'the private socket of the broker; else below ~/.local/state/cms/'],
];

export const ENVIRONMENT: readonly Item[] = [
  ['CMS_CONFIG_DIR', 'in place of ~/.config/cms; XDG_CONFIG_HOME is honoured'],
  ['CMS_STATE_DIR', 'in place of ~/.local/state/cms; XDG_STATE_HOME is honoured'],
  ['CMS_RUNTIME_DIR', 'the folder of the private socket'],
  ['CMS_SOCKET', 'the private socket'],
  ['CMS_STORE', 'keyring or file: where the key of the vault is kept'],
  ['CMS_VAULT_KEY_FILE', 'a file that holds the key of the vault'],
  ['BROWSER', 'the program that opens the page of the provider'],
];

/** After sysexits.h; a test holds them against the table of the program. */
export const EXIT_STATUSES: readonly Item[] = [
  ['0', 'done'],
  ['64', 'wrong usage'],
  ['65', 'bad data, for example an address that cannot be one'],
  ['67', 'no such account'],
  ['69', 'no broker runs, or the keyring is locked or not there'],
  ['70', 'a defect of cms'],
  ['73', 'cannot be created: a broker runs already'],
  ['74', 'reading or writing failed'],
  ['75', 'not now: the provider cannot be reached, try later'],
  ['76', 'the other side does not keep to the protocol'],
  ['77', 'somebody has to sign in, or has no permission'],
  ['78', 'the configuration is wrong; the message says what'],
];
