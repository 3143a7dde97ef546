/** A real terminal without a window, to draw what a person would see: tmux on a socket of its own. */
import { execFileSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';

const WAIT_MS = 30_000;

export class Tmux implements Disposable {
  readonly #socket: string;
  readonly #env: NodeJS.ProcessEnv;

  /** @param socket path; @param cwd where the shell begins */
  constructor(socket: string, env: NodeJS.ProcessEnv, cwd: string, columns: number) {
    this.#socket = socket;
    this.#env = env;
    const size = ['-x', String(columns), '-y', '60'];
    this.#tmux('-f', '/dev/null', 'new-session', '-d', '-c', cwd, ...size, "PS1='$ ' exec bash --norc --noprofile");
  }

  type(text: string): void {
    this.#tmux('send-keys', '-l', text);
  }

  enter(): void {
    this.#tmux('send-keys', 'Enter');
  }

  /** Forgets what is to be seen. */
  clear(): void {
    this.#tmux('send-keys', '-R', 'C-l');
    this.#tmux('clear-history');
  }

  /** Lines with their colours, those that were broken at the edge in one piece. */
  screen(colours = true): string[] {
    const text = this.#tmux('capture-pane', '-p', '-J', '-S', '-', ...(colours ? ['-e'] : []));
    return text.trimEnd().split('\n');
  }

  async waitFor(pattern: RegExp): Promise<void> {
    const deadline = Date.now() + WAIT_MS;
    while (!pattern.test(this.screen(false).join('\n'))) {
      if (Date.now() > deadline) throw new Error(`no ${String(pattern)} on:\n${this.screen(false).join('\n')}`);
      await sleep(50);
    }
  }

  [Symbol.dispose](): void {
    this.#tmux('kill-server');
  }

  #tmux(...args: string[]): string {
    return execFileSync('tmux', ['-S', this.#socket, ...args], { env: this.#env, encoding: 'utf8' });
  }
}
