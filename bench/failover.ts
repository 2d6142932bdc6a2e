/** How long a failover takes, from its being noticed until the load balancer is whole again, and without answers.
 *  Run: `npm run bench:failover` (ROUNDS=5). Each round the management port of an amphora goes down, as in the described
 *  system's experiment, which took 335 s. Medians; 100 new connections/s flow meanwhile. */
import { setTimeout as sleep } from 'node:timers/promises'
import { Api } from '../test/acceptance/api.ts'
import { Inside } from '../test/acceptance/inside.ts'
import { startLoad } from '../test/acceptance/load.ts'
import { eventually, Stack } from '../test/acceptance/stack.ts'

const rounds = Number(process.env.ROUNDS ?? 5)

await measure('a pair', 'ACTIVE_STANDBY', 0)
await measure('a pair, with a spare', 'ACTIVE_STANDBY', 1)
await measure('a single amphora', 'SINGLE', 0)
await measure('a single amphora, with a spare', 'SINGLE', 1)

async function measure(title: string, topology: string, spares: number): Promise<void> {
  const stack = new Stack(undefined, undefined, {
    OTTAVIA_CONTROLLER_WORKER_LOADBALANCER_TOPOLOGY: topology,
    OTTAVIA_HOUSE_KEEPING_SPARE_AMPHORA_POOL_SIZE: String(spares),
    OTTAVIA_HOUSE_KEEPING_SPARE_CHECK_INTERVAL: '1',
  })
  try {
    await stack.up()
    const api = await Api.of(stack, 'admin')
    const noticed: number[] = []
    const outages: number[] = []
    for (let round = 0; round < rounds; round++) {
      const lb = await whole(stack)
      await sleep(spares > 0 ? 8_000 : 2_000) // the pool is full again, the breaker has forgotten the last round
      const inside = await Inside.of(stack, lb.id)
      const load = await startLoad(stack, `http://${lb.vip_address}/`)
      const ports = await api.network<{ ports: { id: string; fixed_ips: { ip_address: string }[] }[] }>(
        'GET',
        `ports?device_id=${inside.server_id}`,
      )
      const port = ports.body.ports.find(p => p.fixed_ips.some(ip => ip.ip_address === inside.management_address))!
      await api.network('PUT', `ports/${port.id}`, { port: { admin_state_up: false } })
      await eventually('replaced', async () => !(await whole(stack)).amphorae.some(a => a.id === inside.amphora_id))
      outages.push((await load.stop()).outage_ms)
      const { stdout } = await stack.run('explain', lb.id)
      const at = (text: string) =>
        Date.parse(
          stdout
            .split('\n')
            .findLast(line => line.includes(text))!
            .trim()
            .split(' ')[0]!,
        )
      noticed.push((at('start listeners') - at('it is given up')) / 1000)
    }
    report(`${title}: noticed to serving in full`, noticed, 's', 2)
    report(`${title}: without answers`, outages, 'ms', 0)
  } finally {
    await stack.remove()
  }
}

type Whole = Awaited<ReturnType<Stack['status']>>['load_balancers'][number]

/** demo-lb, once all its amphorae serve and are heard. */
function whole(stack: Stack): Promise<Whole> {
  return eventually('all amphorae', async () => {
    const lb = (await stack.status()).load_balancers.find(one => one.name === 'demo-lb')!
    const good = lb.amphorae.every(a => a.status === 'ALLOCATED' && (a.silent_s ?? 99) < 3)
    return lb.provisioning_status === 'ACTIVE' && lb.amphorae.length > 0 && good && lb
  })
}

function report(title: string, values: number[], unit: string, digits: number): void {
  const sorted = values.toSorted((a, b) => a - b)
  const median = sorted[Math.floor(sorted.length / 2)]!
  const all = values.map(value => value.toFixed(digits)).join(', ')
  process.stdout.write(`${title.padEnd(56)} median ${median.toFixed(digits)} ${unit}   (${all})\n`)
}
