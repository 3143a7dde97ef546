/** How a broker is kept running where no systemd is. Text for people. Pure. */
import { quote } from '../os/shell.ts';
import type { Program } from './program.ts';

export interface Alternative {
  title: string;
  text: string;
}

export function alternatives(program: Program, user: string, platform: string): Alternative[] {
  return platform === 'darwin' ? [launchd(program)] : [cron(program), openrc(program, user), runit(program, user)];
}

function cron({ node, script }: Program): Alternative {
  // cron takes an unescaped % for a newline.
  const command = `${[node, script].map(word).join(' ')} serve --log-format json`.replaceAll('%', '\\%');
  return {
    title: 'cron, at each boot (crontab -e)',
    text: `@reboot umask 077; while :; do ${command} 2>>"$HOME/.cms.log"; sleep 5; done\n`,
  };
}

function openrc({ node, script }: Program, user: string): Alternative {
  return {
    title: 'OpenRC: /etc/init.d/cms, mode 0755; then: rc-update add cms',
    text: `#!/sbin/openrc-run
description="OAuth token broker for mail"
supervisor=supervise-daemon
command=${word(node)}
command_args="${word(script)} serve"
command_user=${word(user)}
umask=077
`,
  };
}

function runit({ node, script }: Program, user: string): Alternative {
  return {
    title: 'runit: /etc/sv/cms/run, mode 0755; then: ln -s /etc/sv/cms /var/service/',
    text: `#!/bin/sh
umask 077
exec 2>&1
HOME=$(getent passwd ${word(user)} | cut -d: -f6) exec chpst -u ${word(user)} ${word(node)} ${word(script)} serve
`,
  };
}

function launchd({ node, script }: Program): Alternative {
  const strings = [node, script, 'serve'].map((each) => `    <string>${xml(each)}</string>`).join('\n');
  return {
    title: 'launchd (not tested): ~/Library/LaunchAgents/cms.plist; then: launchctl load -w that file',
    text: `<?xml version="1.0" encoding="UTF-8"?>
<plist version="1.0"><dict>
  <key>Label</key><string>cms</string>
  <key>ProgramArguments</key><array>
${strings}
  </array>
  <key>KeepAlive</key><true/>
  <key>Umask</key><integer>63</integer>
</dict></plist>
`,
  };
}

function word(text: string): string {
  return /^[\w./@%+:=-]+$/.test(text) ? text : quote(text);
}

function xml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
