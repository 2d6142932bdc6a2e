/** How long clients are without answers when half of a pair fails: 100 new connections/s, nothing tried again.
 *  Run: `npm run bench:outage` (ROUNDS=5). Each event beside upstream's settings (adverts each second, a check script
 *  each 5 s, priorities 100/90, nobody who restarts haproxy) at the same time, on a load balancer of its own. */
import { setTimeout as sleep } from 'node:timers/promises'
import { Api } from '../test/acceptance/api.ts'
import { Inside } from '../test/acceptance/inside.ts'
import { startLoad } from '../test/acceptance/load.ts'
import type { Seen } from '../test/acceptance/load-client.ts'
import { eventually, Stack } from '../test/acceptance/stack.ts'

const rounds = Number(process.env.ROUNDS ?? 5)
// A round must be over before somebody replaces what is silent in it.
const stack = new Stack(undefined, undefined, { OTTAVIA_HEALTH_MANAGER_HEARTBEAT_TIMEOUT: '60' })

type LoadBalancer = { id: string; vip: string; url: string }
type Victim = { inside: Inside; api: Api }
type Event = (victim: Victim) => Promise<unknown>
const events: Record<string, Event | { ours: Event; upstream: Event }> = {
  'haproxy killed': ({ inside }) => inside.end('haproxy'),
  'amphora killed': ({ inside }) => inside.end('everything'),
  'amphora frozen': ({ inside }) => inside.freeze(),
  planned: {
    ours: ({ inside, api }) => api.amphorae('PUT', `/${inside.amphora_id}/failover`),
    upstream: ({ inside }) => inside.signalKeepalived('TERM'),
  },
}

try {
  await stack.up()
  const api = await Api.of(stack, 'admin')
  const [ours, theirs] = [await loadBalancer('ours'), await loadBalancer('upstream')]
  for (const [title, event] of Object.entries(events)) {
    const measured: Record<string, Seen[]> = { ours: [], upstream: [] }
    for (let round = 0; round < rounds; round++) {
      // side by side: what else this machine does meets both
      const [mine, upstream] = await Promise.all([
        outage(ours, 'ours' in event ? event.ours : event, async () => {}),
        outage(theirs, 'upstream' in event ? event.upstream : event, likeUpstream),
      ])
      measured.ours!.push(mine)
      measured.upstream!.push(upstream)
    }
    for (const [settings, all] of Object.entries(measured)) report(`${title}, ${settings}`, all)
  }

  async function loadBalancer(name: string): Promise<LoadBalancer> {
    const demo = (await stack.status()).servers.filter(s => s.name.startsWith('web')).map(s => s.addresses[0]!)
    const variables = { NAME: name, IP1: demo[0]!, IP2: demo[1]! }
    await stack.shell(
      'demo',
      `neutron lbaas-loadbalancer-create --name $NAME private-subnet
       neutron lbaas-listener-create --loadbalancer $NAME --protocol HTTP --protocol-port 80 --name $NAME
       neutron lbaas-pool-create --lb-algorithm ROUND_ROBIN --listener $NAME --protocol HTTP --name $NAME
       neutron lbaas-member-create --subnet private-subnet --address $IP1 --protocol-port 80 $NAME
       neutron lbaas-member-create --subnet private-subnet --address $IP2 --protocol-port 80 $NAME`,
      variables,
    )
    const found = (await stack.status()).load_balancers.find(lb => lb.name === name)!
    return { id: found.id, vip: found.vip_address!, url: `http://${found.vip_address}/` }
  }

  async function outage(
    lb: LoadBalancer,
    event: (victim: Victim) => Promise<unknown>,
    prepare: (insides: Inside[]) => Promise<void>,
  ): Promise<Seen> {
    const master = await whole(lb.id)
    const insides = [await Inside.of(stack, lb.id, master), await Inside.of(stack, lb.id, other(master))]
    await prepare(insides)
    await sleep(4_000)
    // its configuration was read anew: that may have moved the VIP
    const holds = async (inside: Inside) => (await inside.shell('ip -brief addr')).includes(` ${lb.vip}/32`)
    const holder = (await holds(insides[0]!)) ? insides[0]! : insides[1]!
    const load = await startLoad(stack, lb.url)
    await sleep(1_000)
    await event({ inside: holder, api })
    await sleep(12_000)
    const seen = await load.stop()
    // two new ones, with nothing left of this round
    for (const each of insides) await each.thaw().catch(() => {})
    await eventually('that it can be failed over', async () => {
      const { status } = await api.octavia('PUT', `loadbalancers/${lb.id}/failover`)
      return status < 300
    })
    return seen
  }

  function other(role: string): string {
    return role === 'MASTER' ? 'BACKUP' : 'MASTER'
  }

  /** Waits until both amphorae serve and are heard; answers with the role of the one that has the VIP. */
  async function whole(id: string): Promise<string> {
    return eventually('a whole pair', async () => {
      const { amphorae, provisioning_status } = (await stack.status()).load_balancers.find(lb => lb.id === id)!
      const good = amphorae.length === 2 && amphorae.every(a => a.status === 'ALLOCATED' && (a.silent_s ?? 99) < 3)
      const masters = amphorae.filter(a => a.role_now === 'MASTER')
      return good && provisioning_status === 'ACTIVE' && masters.length === 1 && masters[0]!.role
    })
  }
} finally {
  await stack.remove()
}

/** Upstream's keepalived has neither our file nor our timers, and nothing puts a dead haproxy back while it looks. */
async function likeUpstream(insides: Inside[]): Promise<void> {
  for (const [index, inside] of insides.entries()) {
    const file = '$ROOT/var/lib/octavia/vrrp/octavia-keepalived.running.conf'
    await inside.shell(
      `sed -i -e "s/advert_int .*/advert_int 1/" -e "s/priority 25[0-9]/priority ${index === 0 ? 100 : 90}/" ` +
        `-e "/^track_file/,/^}/d" -e "/track_file {/,/}/d" ${file}`,
    )
    await inside.signalKeepalived('HUP')
    await inside.freeze('agent')
  }
}

function report(title: string, all: Seen[]): void {
  const sorted = all.map(one => one.outage_ms).toSorted((a, b) => a - b)
  const median = sorted[Math.floor(sorted.length / 2)]!
  const each = all.map(one => `${one.outage_ms.toFixed(0)} ms/${one.failed}/${one.late}`).join(', ')
  process.stdout.write(
    `${title.padEnd(44)} median ${median.toFixed(0)} ms   (outage/failed/late of ${all[0]!.requests}: ${each})\n`,
  )
}
