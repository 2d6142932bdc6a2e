/** The states of pools and members, as haproxy's statistics tell them. */
import type { PoolStatus } from '../amphora/rest.ts'
import { ask } from './runtime.ts'

/** All backends with their servers. What is neither UP nor unchecked is DOWN, as the 0.5 contract has it. */
export async function poolsOf(socket: string): Promise<PoolStatus[]> {
  const [header = '', ...lines] = (await ask(socket, `show stat -1 ${BACKENDS | SERVERS} -1`)).split('\n')
  const columns = header.replace(/^# /, '').split(',')
  const pools = new Map<string, PoolStatus>()
  for (const line of lines) {
    const values = line.split(',')
    const of = (column: string) => values[columns.indexOf(column)] ?? ''
    const uuid = of('pxname')
    if (uuid === '') continue
    const pool = pools.get(uuid) ?? { uuid, status: 'DOWN', members: {} }
    pools.set(uuid, pool)
    const status = of('status')
    if (of('svname') === 'BACKEND') pool.status = folded(status)
    else pool.members[of('svname')] = folded(status)
  }
  return [...pools.values()]
}

const BACKENDS = 2
const SERVERS = 4

function folded(status: string): string {
  return status === 'UP' || status === 'no check' ? status : 'DOWN'
}
