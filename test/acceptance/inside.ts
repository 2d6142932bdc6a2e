/** The amphora of a load balancer, looked into from the machine of the cloud that it runs on. */
import type { Stack } from './stack.ts'

export class Inside {
  readonly amphora_id: string
  readonly server_id: string
  readonly management_address: string
  readonly #stack: Stack

  private constructor(stack: Stack, amphora_id: string, server_id: string, management_address: string) {
    this.#stack = stack
    this.amphora_id = amphora_id
    this.server_id = server_id
    this.management_address = management_address
  }

  /** Of a pair the one that is meant to be `role`. */
  static async of(stack: Stack, load_balancer_id: string, role = '\\w+'): Promise<Inside> {
    const told = await stack.explain(load_balancer_id)
    const found = new RegExp(`amphora (\\S+): ALLOCATED ${role}, server (\\S+), (\\S+)`).exec(told)
    if (!found) throw new Error(`no amphora serves ${load_balancer_id}: ${told}`)
    return new Inside(stack, found[1]!, found[2]!, found[3]!)
  }

  /** One that is not said to serve yet. */
  static at(stack: Stack, row: { id: string; compute_id: string; lb_network_ip: string }): Inside {
    return new Inside(stack, row.id, row.compute_id, row.lb_network_ip)
  }

  /** Its heartbeats leave it no more. */
  async mute(): Promise<void> {
    const rule = 'add table inet mute { chain out { type filter hook output priority 0; udp dport 5555 drop; }; }'
    const ran = await this.#stack.exec(
      'sh',
      '-c',
      `nsenter --target $(cut -d' ' -f1 /run/pocket/servers/${this.server_id}) --net nft '${rule}'`,
    )
    if (ran.status !== 0) throw new Error(`nft: ${ran.stderr}`)
  }

  /** What the shell says inside; `$ROOT` is the amphora's root. The network is that of amphora-haproxy. */
  async shell(script: string): Promise<string> {
    const whole = `pid=$(cut -d' ' -f1 /run/pocket/servers/${this.server_id}); ROOT=/proc/$pid/root
exec nsenter --target $pid --net=$ROOT/run/netns/amphora-haproxy sh -c 'ROOT='$ROOT'; ${script}'`
    const ran = await this.#stack.exec('sh', '-c', whole)
    if (ran.status !== 0) throw new Error(`${script}: ${ran.stderr}`)
    return ran.stdout
  }

  /** What the listener's haproxy answers on its socket. */
  async askHaproxy(listener_id: string, question: string): Promise<string> {
    const program = `const s = require('net').connect(process.argv[1], () => s.write(process.argv[2] + '\\n')); s.pipe(process.stdout)`
    const socket = `/proc/$(cut -d' ' -f1 /run/pocket/servers/${this.server_id})/root/var/lib/octavia/${listener_id}.sock`
    const script = `exec "$0" -e "$1" "${socket}" "$2"`
    const ran = await this.#stack.exec('sh', '-c', script, process.execPath, program, question)
    if (ran.status !== 0) throw new Error(`${question}: ${ran.stderr}`)
    return ran.stdout
  }

  /** The configuration as it was uploaded. */
  uploaded(listener_id: string): Promise<string> {
    return this.shell(`cat $ROOT/var/lib/octavia/${listener_id}/haproxy.cfg`)
  }

  /** The haproxy processes of a listener: its master and its workers. A reload makes another worker. */
  async haproxies(listener_id: string): Promise<string[]> {
    const found = await this.#processes(`haproxy.*/${listener_id}/`, 'echo $pids')
    return found.trim().split(/\s+/).filter(Boolean).toSorted()
  }

  /** MAC addresses of the interfaces in amphora-haproxy. */
  async macs(): Promise<string[]> {
    const links = JSON.parse(await this.shell('ip -j link')) as { ifname: string; address: string }[]
    return links.filter(link => link.ifname !== 'lo').map(link => link.address)
  }

  /** Ends processes at once: haproxy's, keepalived's, the agent's, or all there are, as in a power cut. */
  end(which: keyof typeof patterns): Promise<void> {
    return this.#signal('KILL', patterns[which])
  }

  /** Nothing there runs any more, and nobody is told; until `thaw`. */
  freeze(which: keyof typeof patterns = 'everything'): Promise<void> {
    return this.#signal('STOP', patterns[which])
  }

  /** keepalived reads its configuration again, or ends in order. */
  async signalKeepalived(signal: 'HUP' | 'TERM'): Promise<void> {
    await this.#signal(signal, patterns.keepalived)
  }

  thaw(): Promise<void> {
    return this.#signal('CONT', patterns.everything)
  }

  async #signal(signal: string, pattern: string): Promise<void> {
    // one of them may have ended with another
    await this.#processes(pattern, `[ -n "$pids" ] && { kill -${signal} $pids || true; }`)
  }

  /** Runs the script with the server's processes whose command line has the pattern; its first process comes last. */
  async #processes(pattern: string, script: string): Promise<string> {
    const found = `first=$(cut -d' ' -f1 /run/pocket/servers/${this.server_id})
ns=$(readlink /proc/$first/ns/pid)
for p in $(ls /proc | grep '^[0-9]*$' | sort -rn); do
  [ "$(readlink /proc/$p/ns/pid)" = "$ns" ] && tr '\\0' ' ' < /proc/$p/cmdline | grep -q -e '${pattern}' && pids="$pids $p"
done`
    const ran = await this.#stack.exec('sh', '-c', `${found}\n${script}`)
    if (ran.status !== 0) throw new Error(`${script}: ${ran.stderr}`)
    return ran.stdout
  }
}

const patterns = { haproxy: 'haproxy -W', keepalived: 'keepalived', agent: 'agent.mjs', everything: '' }
