/** The scripts by which keepalived learns whether this amphora may have the VIP, and the one program they need. */
import fs from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { writeWhole } from './files.ts'
import { ask } from './runtime.ts'

/** Adds up what every file of check_scripts/ returns, as the described script does. */
export async function writeCheckScript(folder: string, agent: string[]): Promise<void> {
  const script = [
    '#!/bin/sh',
    'status=0',
    `for file in ${path.join(folder, 'check_scripts')}/*; do`,
    '    [ -f "$file" ] || continue',
    '    ( . "$file" )',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is the shell's.
    '    status=$((${status} + $?))',
    'done',
    // An exit code has eight bits.
    '[ "$status" -eq 0 ]',
  ]
  await writeWhole(path.join(folder, 'check_script.sh'), lines(script), 0o755)
  const perl = path.join(folder, `${CHECK_MODE}.pl`)
  const program = [
    '#!/bin/sh',
    `command -v perl > /dev/null && exec perl ${perl} "$@"`,
    `exec ${agent.map(quoted).join(' ')} ${CHECK_MODE} "$@"`,
  ]
  await writeWhole(perl, perl_check, 0o644)
  await writeWhole(path.join(folder, CHECK_MODE), lines(program), 0o755)
}

/** Asks every haproxy that is to serve. An amphora without listeners may have the VIP. */
export async function writeHaproxyCheck(folder: string, sockets: string[]): Promise<void> {
  // Who is asked at every heartbeat need not be asked again. Nothing is started for that: twenty amphorae of one machine
  // would take a tenth of a core.
  const recently = [
    `if [ -f ${ANSWERED} ] && read -r at < ${ANSWERED} && read -r now rest < /proc/uptime; then`,
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is the shell's.
    '    [ $((${now%.*} - at)) -lt 6 ] && exit 0',
    'fi',
  ]
  const check = `${path.join(folder, CHECK_MODE)} ${sockets.join(' ')}; exit $?`
  const file = path.join(folder, 'check_scripts', 'haproxy_check_script.sh')
  await writeWhole(file, lines(sockets.length === 0 ? ['exit 0'] : [...recently, check]), 0o644)
}

/** `agent haproxy-vrrp-check SOCKET…`: how many of the sockets do not tell their statistics. */
export async function checkSockets(sockets: string[]): Promise<number> {
  const said = await Promise.all(sockets.map(socket => ask(socket, 'show stat -1 -1 -1').catch(() => '')))
  return said.filter(each => each === '').length
}

/** Is called after all listeners that are to serve have answered; the moment is kept in seconds since the boot. */
export function noteAnswers(): Promise<void> {
  return fs.writeFile(ANSWERED, `${Math.floor(os.uptime())}\n`).catch(() => {})
}

/** The same for perl, which every Debian has. */
const perl_check = `use Socket;
my $mute = 0;
for my $path (@ARGV) {
    my $said = '';
    eval {
        local $SIG{ALRM} = sub { die };
        alarm 5;
        socket(my $socket, PF_UNIX, SOCK_STREAM, 0) or die;
        connect($socket, sockaddr_un($path)) or die;
        syswrite($socket, "show stat -1 -1 -1\\n") or die;
        sysread($socket, $said, 4096);
        alarm 0;
    };
    $mute++ if $said eq '';
}
exit $mute;
`

export const ANSWERED = '/run/ottavia-haproxy-answers'

export const CHECK_MODE = 'haproxy-vrrp-check'

function lines(all: string[]): string {
  return `${all.join('\n')}\n`
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`
}
