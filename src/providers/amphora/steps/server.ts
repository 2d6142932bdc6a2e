/** The amphora's server. Ours if its name is amphora-<amphora id>; done when its agent answers at the management address. */
import { AgentError } from '../../../amphora/agent-error.ts'
import { amphoraStep, type StepContext } from '../../../controller/flow.ts'
import { Permanent, Transient } from '../../../controller/outcome.ts'
import type { Amphora } from '../../../lbaas/amphora.ts'
import type { Clients } from '../clients.ts'

export const server = amphoraStep<Clients>({
  title: 'boot server',
  upstream: 'ComputeCreate',
  deadline_s: 600,
  done: amphora => amphora.status === 'ALLOCATED' && amphora.compute_id !== null && amphora.lb_network_ip !== null,
  look: async (amphora, _tree, { clients }) => {
    const found = await clients.nova.server(amphora.compute_id!)
    if (found && found.status !== 'ERROR' && found.status !== 'DELETED') return {}
    return { ...unplugged, compute_id: null, lb_network_ip: null, status: 'PENDING_CREATE' }
  },
  ensure: (amphora, tree, context) => boot(amphora, tree.load_balancer, context),
})

/** What the load balancer asks of the server; of a spare's nothing is known yet. Size and image, zone and management
 *  network are the deployment's where the load balancer's flavor and availability zone do not say. */
type Wishes = {
  server_group_id: string | null
  compute_flavor?: string | null
  amp_image_tag?: string | null
  compute_zone?: string | null
  management_network?: string | null
}

/** Boots the server and waits for its agent; answers with what is known of it then. */
export async function boot(amphora: Amphora, wishes: Wishes, context: StepContext<Clients>): Promise<Partial<Amphora>> {
  const { clients, say } = context
  const compute_id = await ensureServer(amphora, wishes, context)
  say(`waiting for server ${compute_id}`)
  const lb_network_ip = await patiently(compute_id, context, async bounded => {
    await active(compute_id, bounded)
    const address = await managementAddress(compute_id, networksOf(wishes, clients)[0], clients)
    say(`waiting for the agent at ${address}`)
    await answering({ ...amphora, lb_network_ip: address }, bounded)
    return address
  })
  await deleteTwins(amphora.id, compute_id, clients)
  const found = await clients.nova.server(compute_id)
  return {
    compute_id,
    lb_network_ip,
    status: 'ALLOCATED',
    image_id: found?.image ? found.image.id : null,
    compute_flavor: wishes.compute_flavor ?? clients.choices.flavor_id,
    cached_zone: found?.['OS-EXT-AZ:availability_zone'] ?? null,
    host_id: found?.hostId || null,
  }
}

/** Facts about an amphora that end with its server. */
const unplugged = {
  vip_plugged: false,
  applied: {},
  member_ports: [],
  vrrp_applied: null,
  vip_rules: null,
  vrrp_interface: null,
} satisfies Partial<Amphora>

export function serverName(amphora_id: string): string {
  return `amphora-${amphora_id}`
}

/** A server of an earlier try counts: by recorded id, else by name. One that failed is deleted and made anew. */
async function ensureServer(amphora: Amphora, wishes: Wishes, { clients, say }: StepContext<Clients>): Promise<string> {
  const { nova, glance, choices } = clients
  const { server_group_id, compute_flavor, amp_image_tag, compute_zone } = wishes
  const known = amphora.compute_id ? await nova.server(amphora.compute_id) : null
  const found = known ?? (await nova.serversNamed(serverName(amphora.id)))[0] ?? null
  if (found && found.status !== 'ERROR') return found.id
  if (found) {
    say(`server ${found.id} failed (${found.fault?.message ?? 'no reason given'}); it is made again`)
    await nova.deleteServer(found.id)
    throw failed(found.fault?.message ?? 'the cloud gave no reason')
  }
  const tag = amp_image_tag ?? (await clients.imageTag())
  const image = await glance.imageTagged(tag, choices.image_owner_id)
  if (!image)
    throw new Permanent(
      'No image for amphorae is available.',
      `no active image carries the tag ${tag}; upload one, or set [controller_worker] amp_image_tag`,
    )
  const body = {
    name: serverName(amphora.id),
    imageRef: image.id,
    flavorRef: compute_flavor ?? choices.flavor_id,
    networks: networksOf(wishes, clients).map(uuid => ({ uuid })),
    ...(compute_zone ? { availability_zone: compute_zone } : {}),
    security_groups: choices.security_group_ids.map(name => ({ name })),
    ...(choices.ssh_key_name ? { key_name: choices.ssh_key_name } : {}),
    personality: clients.bootFiles(amphora.id, amphora.certificate!),
    config_drive: true,
  }
  return nova.createServer(body, server_group_id === null ? {} : { group: server_group_id })
}

/** Waits as long as a server may take to come up. What does not, never will: it goes, and the next try makes another. */
async function patiently<T>(
  compute_id: string,
  context: StepContext<Clients>,
  wait: (bounded: StepContext<Clients>) => Promise<T>,
): Promise<T> {
  const { clients, now } = context
  const { boot_patience_s } = clients.choices
  const until_ms = now().getTime() + boot_patience_s * 1000
  const over = () => now().getTime() >= until_ms
  const pause = async (wait_ms: number) => {
    if (over()) throw new Transient('it is still being built')
    await context.pause(wait_ms)
  }
  try {
    return await wait({ ...context, pause })
  } catch (error) {
    if (!over()) throw error
    await clients.nova.deleteServer(compute_id)
    // as long as it is there it would be taken for ours again
    for (let left = 20; left > 0 && (await clients.nova.server(compute_id)) !== null; left--) await context.pause(500)
    const why = (error as Error).message
    throw new Transient(`server ${compute_id} did not come up within ${boot_patience_s} s (${why}); another is made`)
  }
}

async function active(compute_id: string, { clients, pause }: StepContext<Clients>): Promise<void> {
  for (let wait_ms = 50; ; wait_ms = Math.min(wait_ms * 1.5, 2_000)) {
    const found = await clients.nova.server(compute_id)
    if (!found) throw new Transient(`server ${compute_id} vanished while it was booting`)
    if (found.status === 'ACTIVE') return
    if (found.status === 'ERROR') {
      await clients.nova.deleteServer(compute_id)
      throw failed(found.fault?.message ?? 'the cloud gave no reason')
    }
    await pause(wait_ms)
  }
}

/** Where the server is reached; the first is asked for the address. */
function networksOf({ management_network }: Wishes, { choices }: Clients): string[] {
  return management_network ? [management_network] : choices.network_ids
}

async function managementAddress(
  compute_id: string,
  network_id: string | undefined,
  clients: Clients,
): Promise<string> {
  const interfaces = (await clients.nova.interfaces(compute_id)) ?? []
  const address = interfaces.find(i => i.net_id === network_id)?.fixed_ips[0]?.ip_address
  if (!address) throw new Transient(`server ${compute_id} has no address on the management network yet`)
  return address
}

async function answering(amphora: Amphora, { clients, pause }: StepContext<Clients>): Promise<void> {
  const agent = clients.agent(amphora)
  for (let wait_ms = 50; ; wait_ms = Math.min(wait_ms * 1.5, 2_000)) {
    try {
      await agent.info()
      return
    } catch (error) {
      if (error instanceof AgentError && error.kind === 'not_found') throw tooOld(amphora)
      // whatever it is, an agent that is just starting may still mend it; patience ends the wait
      await pause(wait_ms).catch(() => {
        throw error
      })
    }
  }
}

/** A create whose answer was lost may have had its effect after we looked for the name. */
async function deleteTwins(amphora_id: string, compute_id: string, { nova }: Clients): Promise<void> {
  for (const twin of await nova.serversNamed(serverName(amphora_id)))
    if (twin.id !== compute_id) await nova.deleteServer(twin.id)
}

/** It answers, but not where it is asked. */
function tooOld({ unit }: Amphora): Permanent {
  const wanted =
    unit === 'load_balancer' ? '1.0; roll out a newer image, or set [haproxy_amphora] unit = listener' : '0.5'
  return new Permanent(
    "The load balancer's server speaks another version.",
    `the agent does not answer by REST ${wanted}`,
  )
}

function failed(cause: string): Permanent {
  return new Permanent(`The load balancer's server could not be started: ${cause}`, `Nova: ${cause}`)
}
