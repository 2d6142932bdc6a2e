/** Whether this machine can have virtual servers: a kernel with IPVS, and a keepalived that can be told of changes. */
import { run } from './command.ts'
import { ensureNamespace, inside } from './namespace.ts'

/** One for each agent whose operator wants them. */
export class Ipvs {
  #reloads: boolean | null = null

  /** What is missing, in plain words; null when nothing is. What the kernel needs for it is set on the way. */
  async lacking(): Promise<string | null> {
    await ensureNamespace()
    if ((await run(inside(['test', '-e', TABLE]))).code !== 0) {
      // a module is loaded from outside; where that is not ours to do, it is there already or never
      await run(['modprobe', '-q', 'ip_vs']).catch(() => {})
    }
    const { code, stdout, stderr } = await run(inside(['sh', '-c', prepare]))
    return code === 0 ? null : (stdout + stderr).trim()
  }

  /** Whether keepalived keeps what it knows of members when it reads its configuration again. Before 2.0.14 one that was
   *  down came back unasked, or never. */
  async reloads(): Promise<boolean> {
    this.#reloads ??= isNewEnough((await run(['keepalived', '--version'])).stderr)
    return this.#reloads
  }
}

export function isNewEnough(said: string): boolean {
  const [, major, minor, patch] = /^Keepalived v(\d+)\.(\d+)\.(\d+)/m.exec(said) ?? []
  const version = Number(major) * 1e6 + Number(minor) * 1e3 + Number(patch)
  return version >= 2_000_014
}

const TABLE = '/proc/net/ip_vs'

/** Without `conntrack` answers would not find their way through the address that members see. The two others end the flows
 *  and the memories of a member that is gone: their clients' next datagram finds another one. */
const prepare = `[ -e ${TABLE} ] || { echo 'this kernel has no IPVS'; exit 1; }
cd /proc/sys/net/ipv4/vs 2> /dev/null && echo 1 > conntrack || { echo 'IPVS cannot be set to track flows here'; exit 1; }
for each in expire_nodest_conn expire_quiescent_template; do [ ! -e $each ] || echo 1 > $each; done
`
