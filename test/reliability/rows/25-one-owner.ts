import { JANE, type Row, Checks, Site, killHard, until, xoauth2Of } from '../harness.ts';

const BROKERS = 10;

export const oneOwner: Row = {
  number: 25,
  title: '10 brokers started at once, over the socket of one that was killed',
  target: 'exactly one wins, nine exit with 73, each round',
  async run(scale) {
    const checks = new Checks();
    const rounds = scale.pick(1, 40);
    await using site = await Site.open();
    const expected = xoauth2Of(JANE, (await site.onDisk()).secrets.access_token ?? '');
    await killHard(await site.serve());
    for (let round = 0; round < rounds; round++) {
      const brokers = Array.from({ length: BROKERS }, () => site.launch({ logLevel: 'info' }));
      await until(() => brokers.filter(({ running }) => running).length <= 1, 30_000);
      const [winner, ...others] = brokers.filter(({ running }) => running);
      checks.that(winner !== undefined && others.length === 0, `round ${round}: ${others.length + 1} brokers run`);
      if (winner === undefined) continue;
      await winner.waitFor(/listening socket=\S+cms\.sock/);
      const losers = await Promise.all(brokers.filter((each) => each !== winner).map(({ exited }) => exited));
      checks.that(
        losers.every(({ status }) => status === 73),
        `round ${round}: statuses ${losers.map(({ status }) => status).join(' ')}`,
      );
      checks.that((await site.ask(`SMTP ${JANE}`)) === expected, `round ${round}: the winner does not answer`);
      await killHard(winner);
    }
    return checks.measured(`${rounds} rounds, 1 winner and ${BROKERS - 1} refused each`);
  },
};
