export interface Person {
  login: string;
  /** Everything is right except `wrong`. */
  password?: string | undefined;
  consent?: 'allow' | 'deny' | undefined;
  /** What the person types where the device flow asks for its code. */
  userCode?: string | undefined;
  /** `stop` returns the address of the callback without asking for it. Default `visit`. */
  callback?: 'visit' | 'stop' | undefined;
}

export interface Visit {
  finalUrl: string;
  status: number;
  body: string;
}

export function visit(startUrl: string, person: Person): Promise<Visit>;
