/** The scripts by which keepalived learns whether this amphora may have the VIP, and the one program they need. */
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
    '    sh "$file"',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is the shell's.
    '    status=$((${status} + $?))',
    'done',
    // An exit code has eight bits.
    '[ "$status" -eq 0 ]',
  ]
  await writeWhole(path.join(folder, 'check_script.sh'), lines(script), 0o755)
  // every few seconds on every amphora: our own runtime takes ten times the CPU of a perl to start
  const perl = path.join(folder, `${CHECK_MODE}.pl`)
  const program = [
    '#!/bin/sh',
    `command -v perl > /dev/null && exec perl ${perl} "$@"`,
    `exec ${agent.map(quoted).join(' ')} ${CHECK_MODE} "$@"`,
  ]
  await writeWhole(perl, perl_check, 0o644)
  await writeWhole(path.join(folder, CHECK_MODE), lines(program), 0o755)
  const down = ['#!/bin/sh', `read down < ${path.join(folder, 'haproxy_down')}`, '[ "$down" -eq 0 ]']
  await writeWhole(path.join(folder, 'haproxy_down.sh'), lines(down), 0o755)
}

/** Asks every haproxy that is to serve. An amphora without listeners may have the VIP. */
export async function writeHaproxyCheck(folder: string, sockets: string[]): Promise<void> {
  const check = `${path.join(folder, CHECK_MODE)} ${sockets.join(' ')}; exit $?`
  const file = path.join(folder, 'check_scripts', 'haproxy_check_script.sh')
  await writeWhole(file, lines([sockets.length === 0 ? 'exit 0' : check]), 0o644)
}

/** `agent haproxy-vrrp-check SOCKET…`: how many of the sockets do not tell their statistics. */
export async function checkSockets(sockets: string[]): Promise<number> {
  const said = await Promise.all(sockets.map(socket => ask(socket, 'show stat -1 -1 -1').catch(() => '')))
  return said.filter(each => each === '').length
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

export const CHECK_MODE = 'haproxy-vrrp-check'

/** Where keepalived cannot watch files: the same question asked every second. */
export function withoutTrackFile(configuration: string, folder: string): string {
  const script = `vrrp_script haproxy_down {\n    script ${path.join(folder, 'haproxy_down.sh')}\n    interval 1\n    fall 1\n    rise 1\n}`
  return configuration
    .replace(/^track_file haproxy_down \{[^}]*\}/m, script)
    .replace(/^( *)track_file \{[^}]*\}/m, '$1track_script {\n$1    haproxy_down\n$1}')
}

function lines(all: string[]): string {
  return `${all.join('\n')}\n`
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`
}
