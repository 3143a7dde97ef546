/**
 * One error class for everything that a person can do something about, and the table that turns its code into an exit
 * status. The same lower-case code is used in TypeScript, in JSON, in the log and on the wire.
 */

/** Exit status by code, after sysexits.h. Changing a row is a breaking change. */
export const EXIT_STATUS = {
  usage: 64,
  data_invalid: 65,
  account_unknown: 67,
  broker_unavailable: 69,
  store_unavailable: 69,
  store_locked: 69,
  internal_error: 70,
  cannot_create: 73,
  io_error: 74,
  temporarily_unavailable: 75,
  protocol_error: 76,
  authorization_required: 77,
  access_denied: 77,
  identity_mismatch: 77,
  config_invalid: 78,
  client_invalid: 78,
  protocol_not_granted: 78,
  password_account: 78,
} as const;

export type ErrorCode = keyof typeof EXIT_STATUS;

export interface CmsErrorOptions {
  /** Commands or steps that fix it, each a line that can be pasted or followed. */
  suggestions?: string[];
  /** What an administrator can be sent as it stands, if only an administrator can fix it. */
  adminMail?: AdminMail | undefined;
  /** What was caught. Never carries a secret. */
  cause?: unknown;
}

export interface AdminMail {
  subject: string;
  body: string;
}

/**
 * A failure with a name. `message` says what failed and on what, in lower case and without a full stop.
 * It carries no secret: codes, addresses, endpoints and counts only.
 */
export class CmsError extends Error {
  override readonly name = 'CmsError';
  readonly code: ErrorCode;
  readonly suggestions: string[];
  readonly adminMail: AdminMail | undefined;

  constructor(code: ErrorCode, message: string, options: CmsErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.suggestions = options.suggestions ?? [];
    this.adminMail = options.adminMail;
  }

  /** The same failure with other words of ours around what was said. */
  inOtherWords(message: string, suggestions: string[]): CmsError {
    return new CmsError(this.code, message, { suggestions, adminMail: this.adminMail, cause: this.cause ?? this });
  }

  /** The exit status of a process that ends with this error. */
  get exitStatus(): number {
    return EXIT_STATUS[this.code];
  }

  /** Whether trying again later, without anybody doing anything, can succeed. */
  get retryable(): boolean {
    return RETRYABLE.has(this.code);
  }

  /** The shape that `--json` prints on stderr and that the broker answers. */
  toJSON(): { error: ErrorCode; error_description: string; suggestions?: string[]; admin_mail?: AdminMail } {
    return {
      error: this.code,
      error_description: this.message,
      ...(this.suggestions.length > 0 && { suggestions: this.suggestions }),
      ...(this.adminMail !== undefined && { admin_mail: this.adminMail }),
    };
  }
}

const RETRYABLE: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'temporarily_unavailable',
  'store_locked',
  'store_unavailable',
  'broker_unavailable',
  'io_error',
]);

export function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === 'string' && Object.hasOwn(EXIT_STATUS, value);
}

/** The `code` of a Node system error (`ENOENT`, `ECONNREFUSED`, …), if `error` is one. */
export function systemErrorCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Any caught value as a CmsError: itself, or an `internal_error` that keeps it as cause. */
export function toCmsError(error: unknown): CmsError {
  if (error instanceof CmsError) return error;
  return new CmsError('internal_error', messageOf(error), {
    cause: error,
    suggestions: ['this is a defect of cms: please report it with the output of CMS_DEBUG=1'],
  });
}
