/** Text for people, on stderr. A closed stderr does not end what is under way. */

/** How much of a log is kept for a reader that has stopped reading. */
const MAX_WAITING_BYTES = 1024 * 1024;

/** stderr, whose reader may go away (`2>&1 | head`), whose terminal may close, and whose disk may fill up. */
export function patientStderr(): NodeJS.WriteStream {
  const { stderr } = process;
  if (stderr.listenerCount('error') === 0) stderr.on('error', () => undefined);
  return stderr;
}

/** Writes lines of a log there. What a reader that stands still leaves lying is counted instead of kept. */
export function logOnStderr(): (text: string) => void {
  const stderr = patientStderr();
  let dropped = 0;
  return (text) => {
    if (stderr.writableLength > MAX_WAITING_BYTES) {
      dropped++;
      return;
    }
    if (dropped > 0) stderr.write(`cms: ${dropped} lines of the log were left out: nothing read them\n`);
    dropped = 0;
    stderr.write(text);
  };
}
