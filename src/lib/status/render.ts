/** `cms status` as text. Pure. */
import { frozenWords } from '../exim/queue.ts';
import { wrap } from '../terminal/width.ts';
import { accountsText, chooseAccounts, summary } from './accounts.ts';
import { brokerText, socketsText } from './broker.ts';
import { forecasts, troubles } from './remarks.ts';
import type { Screen } from '../terminal/screen.ts';
import type { StatusView } from './view.ts';

export interface RenderOptions {
  screen: Screen;
  /** Milliseconds since the epoch. */
  now: number;
  privateSocket: string;
  /** All accounts, however many. */
  all: boolean;
}

/** Accounts first, then what to do about them, then the broker and its sockets: a terminal cuts off at the end. */
export function renderStatus(view: StatusView, { screen, now, privateSocket, all }: RenderOptions): string {
  const shown = chooseAccounts(view.accounts, now, screen, all);
  const { text, saysWhy } = accountsText(shown, now, screen);
  const sections = [
    view.accounts.length === 0 ? 'no accounts yet; begin with: cms account add jane@example.org\n' : '',
    shown.length === 0 ? '' : text,
    wrap(summary(view.accounts, shown.length), screen.columns),
    troubles(shown, now, screen) + (saysWhy ? '' : forecasts(shown, now, screen)),
    brokerText(view, privateSocket, now, screen),
    view.sockets.length === 0 ? '' : socketsText(view.sockets, screen),
    frozenText(view, screen),
  ];
  return sections.filter((section) => section !== '').join('\n');
}

function frozenText({ frozen }: StatusView, { columns }: Screen): string {
  const words = frozen && frozenWords(frozen);
  return words === undefined ? '' : `${wrap(`${words}: exim4 -bp lists them, exim4 -Mvl ID says why`, columns)}\n`;
}
