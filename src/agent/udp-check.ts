/** The program by which keepalived asks a member by a datagram. */
import path from 'node:path'
import { DatagramCheck } from './checks.ts'
import { writeWhole } from './files.ts'

export function udpCheckScript(base_path: string): string {
  return path.join(base_path, 'lvs', 'check', 'udp_check.sh')
}

/** `udp_check.sh ADDRESS PORT` ends with 0 when the answer is good, silence included. `agent`: the agent's own command line. */
export async function writeUdpCheck(base_path: string, agent: string[]): Promise<void> {
  const script = udpCheckScript(base_path)
  const perl = path.join(path.dirname(script), 'udp_check.pl')
  const program = [
    '#!/bin/sh',
    // to start the agent costs ten times as much, for each member at each interval
    `command -v perl > /dev/null && exec perl ${perl} "$@"`,
    `exec ${agent.map(quoted).join(' ')} ${UDP_CHECK_MODE} "$@"`,
  ]
  await writeWhole(perl, perl_check, 0o644)
  await writeWhole(script, program.map(line => `${line}\n`).join(''), 0o755)
}

/** `agent udp-check ADDRESS PORT`: the exit code. */
export async function checkByDatagram([address, port]: string[]): Promise<number> {
  const check = new DatagramCheck(address!, Number(port), PATIENCE_MS)
  const good = await check.ask()
  check.end()
  return good ? 0 : 1
}

export const UDP_CHECK_MODE = 'udp-check'

/** Half of what keepalived grants at least, to leave time for the start of the program. */
const PATIENCE_MS = 500

/** The same for perl: who answers, or takes it in silence, is well, unless nobody listens there (ICMP port unreachable) or
 *  the neighbour does not even tell its MAC. */
const perl_check = `use Socket qw(:DEFAULT AF_INET6 inet_pton pack_sockaddr_in6);
my ($address, $port) = @ARGV;
my $six = $address =~ /:/;
my $place = $six ? pack_sockaddr_in6($port, inet_pton(AF_INET6, $address)) : pack_sockaddr_in($port, inet_aton($address));
socket(my $socket, $six ? AF_INET6 : AF_INET, SOCK_DGRAM, 0) or exit 1;
connect($socket, $place) or exit 1;
send($socket, 'X', 0) or exit 1;
my $heard = '';
vec($heard, fileno($socket), 1) = 1;
if (select($heard, undef, undef, ${PATIENCE_MS / 1_000})) {
    exit(defined(recv($socket, my $said, 1, 0)) ? 0 : 1);
}
if (open(my $neighbours, '<', '/proc/net/arp')) {
    while (<$neighbours>) {
        my @words = split;
        exit 1 if $words[0] eq $address && $words[2] eq '0x0';
    }
}
exit 0;
`

function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`
}
