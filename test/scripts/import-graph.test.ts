import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import {
  circleIn,
  foldersOf,
  graphOf,
  importsOf,
  PAGE,
  readImports,
  renderGraph,
  withPicture,
} from '../../scripts/import-graph.ts';

const MOST_ROOMS = 25;

describe('the rooms of the sources', () => {
  const graph = graphOf(readImports());

  it('are few, and import each other in no circle', () => {
    const rooms = foldersOf(graph);
    assert.ok(rooms.length > 10 && rooms.length <= MOST_ROOMS, rooms.join(', '));
    assert.equal(circleIn(graph), undefined);
  });

  it('are drawn in docs/developing.md as they are', () => {
    const page = readFileSync(PAGE, 'utf8');
    assert.equal(page, withPicture(page, graph), 'npm run docs:generate draws them');
  });
});

describe('the picture of rooms', () => {
  const graph = (...arrows: [string, string][]) => graphOf(arrows.map(([from, to]) => ({ from, to })));

  it('has an arrow for each import between folders, and none that follows from others', () => {
    const drawn = renderGraph(
      graph(
        ['lib/a/x.ts', 'lib/b/y.ts'],
        ['lib/b/y.ts', 'lib/c/z.ts'],
        ['lib/a/x.ts', 'lib/c/z.ts'],
        ['lib/a/x.ts', 'lib/loose.ts'],
      ),
    );
    assert.deepEqual(drawn.split('\n'), ['```mermaid', 'graph TD', '  a --> b', '  b --> c', '```']);
  });

  it('notices a circle, a loose file in it as well', () => {
    assert.deepEqual(circleIn(graph(['lib/a/x.ts', 'lib/loose.ts'], ['lib/loose.ts', 'lib/a/y.ts'])), [
      'lib/loose.ts',
      'a',
      'lib/loose.ts',
    ]);
    assert.equal(circleIn(graph(['lib/a/x.ts', 'lib/a/y.ts'], ['lib/a/y.ts', 'lib/a/x.ts'])), undefined);
  });

  it('reads every kind of import, of other files only', () => {
    const text =
      "import a from './a.ts';\nexport { b } from '../b/b.ts';\nawait import('./c.ts'); import 'node:fs'; from 'koffi';";
    assert.deepEqual(
      importsOf('lib/x/y.ts', text).map(({ to }) => to),
      ['lib/x/a.ts', 'lib/b/b.ts', 'lib/x/c.ts'],
    );
  });
});
