import assert from 'node:assert/strict';
import { CmsError } from '../../../src/lib/core/errors.ts';
import { resumable, wordsOf } from '../../../src/cli/prompts/resume.ts';

const JANE = 'jane@example.org';
const ADD = `cms account add ${JANE}`;

function suggestions(given: string, answered: string[], ...said: string[]): readonly string[] {
  const failure = new CmsError('access_denied', 'words', { suggestions: said });
  return resumable(failure, JANE, given.split(' '), answered).suggestions;
}

describe('a sign-in that came to nothing', () => {
  it('goes on where it stopped, with what was given and what was answered', () => {
    const answered = ['--provider', 'custom', '--scope', 'openid mail'];
    assert.deepEqual(suggestions(`${JANE} --no-test`, answered), [
      `${ADD} --no-test --provider custom --scope 'openid mail'   # goes on where you stopped`,
    ]);
    assert.deepEqual(suggestions('--no-test', []), [`${ADD} --no-test   # goes on where you stopped`]);
    assert.deepEqual(suggestions(`${JANE} --no-test`, [], 'df -h'), ['df -h']);
  });

  it('keeps the flags in whatever command mends it', () => {
    assert.deepEqual(suggestions(`--no-test ${JANE} --issuer https://x.example`, [], 'df -h', ADD), [
      'df -h',
      `${ADD} --no-test --issuer https://x.example`,
    ]);
    assert.deepEqual(suggestions(JANE, ['--tenant', 'a b'], `${ADD}   # and allow the access`), [
      `${ADD} --tenant 'a b'   # and allow the access`,
    ]);
  });

  it('lets the command that mends it have its own', () => {
    const given = `${JANE} --flow=browser --scope openid --client-id a --client-secret-file b`;
    assert.deepEqual(
      suggestions(
        given,
        [],
        `${ADD} --flow manual`,
        `${ADD} --scope 'openid offline_access'`,
        `${ADD} --client-file FILE   # with another one`,
        `${ADD} --client-secret-file FILE`,
      ),
      [
        `${ADD} --scope openid --client-id a --client-secret-file b --flow manual`,
        `${ADD} --flow=browser --client-id a --client-secret-file b --scope 'openid offline_access'`,
        `${ADD} --flow=browser --scope openid --client-file FILE   # with another one`,
        `${ADD} --flow=browser --scope openid --client-id a --client-secret-file FILE`,
      ],
    );
  });

  it('keeps a value that is the address, one that looks like a flag, and an empty one', () => {
    const flags = { 'smtp-user': JANE, alias: ['-x', JANE], scope: '', 'no-test': true, send: false };
    const words = wordsOf(flags, JANE);
    assert.deepEqual(words, [
      `--smtp-user=${JANE}`,
      '--alias=-x',
      `--alias=${JANE}`,
      '--scope=',
      '--no-test',
      '--no-send',
    ]);
    const failure = new CmsError('access_denied', 'words', { suggestions: [ADD] });
    assert.deepEqual(resumable(failure, JANE, [JANE, ...words], []).suggestions, [`${ADD} ${words.join(' ')}`]);
  });

  it('leaves out what the command excludes, and what kept anybody from being asked', () => {
    const failure = new CmsError('config_invalid', 'words', { suggestions: [`${ADD} --password-file FILE`] });
    const excludes = (flag: string): string[] => (flag === '--password-file' ? ['--issuer'] : []);
    assert.deepEqual(resumable(failure, JANE, [JANE, '--issuer', 'x', '--no-test'], [], excludes).suggestions, [
      `${ADD} --no-test --password-file FILE`,
    ]);
    const unknown = new CmsError('identity_mismatch', 'words', { suggestions: [ADD] });
    assert.deepEqual(resumable(unknown, JANE, [JANE, '--yes', '--no-test', '--login', 'x'], []).suggestions, [
      `${ADD} --login x`,
    ]);
  });

  it('leaves commands for other accounts alone', () => {
    assert.deepEqual(suggestions(`${JANE} --no-test`, [], `${ADD}.uk`, 'cms account add bob@example.org'), [
      `${ADD}.uk`,
      'cms account add bob@example.org',
    ]);
  });
});
