/** The newcomer's example: two small web servers and demo-lb in front of them, made through the public APIs alone. */
import { Neutron } from '../../cloud/neutron.ts'
import { Nova, type Server } from '../../cloud/nova.ts'
import type { OpenStack } from '../../cloud/openstack.ts'
import { run } from './shell.ts'

type Demo = {
  /** A session of user demo. */
  demo: OpenStack
  hostOn: (network_id: string) => Promise<string>
  tell: (text: string) => void
}

/** Brings the example about: what is there already stays. Resolves when the VIP has answered from both servers, with how
 *  often each answered. */
export async function makeDemo({ demo, hostOn, tell }: Demo): Promise<Answers> {
  const neutron = new Neutron(demo)
  const [subnet] = await neutron.subnets({ name: 'private-subnet' })
  if (!subnet) throw new Error('the cloud has no subnet private-subnet')
  tell('two web servers')
  const servers = await Promise.all(['web1', 'web2'].map(name => ensureWebServer(demo, name, subnet.network_id)))
  const addresses = servers.map(server => addressOf(server))
  tell('demo-lb: the five commands')
  const vip_address = await fiveCommands(demo, subnet.id, addresses)
  tell('first answers through the VIP')
  return answered(await hostOn(subnet.network_id), vip_address, servers.length)
}

const web_server = `#!/bin/sh
exec /opt/runtime/node -e '
const name = require("os").hostname()
require("http").createServer((request, response) => response.end("hello from " + name + "\\n")).listen(80, "::")'
`

async function ensureWebServer(demo: OpenStack, name: string, network_id: string): Promise<Server> {
  const nova = new Nova(demo)
  const known = (await nova.serversNamed(name))[0]
  const id = known?.id ?? (await nova.createServer(await webServerBody(demo, name, network_id)))
  for (;;) {
    const server = await nova.server(id)
    if (server?.status === 'ACTIVE') return server
    if (!server || server.status === 'ERROR') throw new Error(`server ${name} did not start: ${server?.fault?.message}`)
    if (server.status === 'SHUTOFF')
      await demo.request('compute', 'POST', `/servers/${id}/action`, { body: { 'os-start': null } })
    await new Promise(resolve => setTimeout(resolve, 50))
  }
}

async function webServerBody(demo: OpenStack, name: string, network_id: string) {
  const images = await demo.request('image', 'GET', '/images', { query: { name: 'debian' } })
  const flavors = await demo.request('compute', 'GET', '/flavors', {})
  const image = (images.body as { images: { id: string }[] }).images[0]
  const flavor = (flavors.body as { flavors: { id: string; name: string }[] }).flavors.find(f => f.name === 'm1.tiny')
  if (!image || !flavor) throw new Error('the cloud has no image debian or no flavor m1.tiny')
  return {
    name,
    imageRef: image.id,
    flavorRef: flavor.id,
    networks: [{ uuid: network_id }],
    user_data: Buffer.from(web_server).toString('base64'),
  }
}

function addressOf(server: Server): string {
  const address = Object.values(server.addresses)
    .flat()
    .find(a => a.version === 4)
  if (!address) throw new Error(`server ${server.name} has no IPv4 address`)
  return address.addr
}

/** What the five commands of the neutron client send. Answers with the VIP's address. */
async function fiveCommands(demo: OpenStack, subnet_id: string, addresses: string[]): Promise<string> {
  const ensure = async <T extends { id: string }>(
    singular: string,
    path: string,
    filter: Record<string, string>,
    body: object,
  ) => {
    const plural = `${singular}s`
    const { body: found } = await demo.request('network', 'GET', `/lbaas/${path}`, { query: filter })
    const known = (found as Record<string, T[]>)[plural]![0]
    if (known) return known
    const made = await demo.request('network', 'POST', `/lbaas/${path}`, { body: { [singular]: body } })
    return (made.body as Record<string, T>)[singular]!
  }
  const lb = await ensure<{ id: string; vip_address: string }>(
    'loadbalancer',
    'loadbalancers',
    { name: 'demo-lb' },
    { name: 'demo-lb', vip_subnet_id: subnet_id },
  )
  const http = { protocol: 'HTTP', protocol_port: 80 }
  const listener = await ensure<{ id: string }>(
    'listener',
    'listeners',
    { name: 'demo-listener' },
    { ...http, name: 'demo-listener', loadbalancer_id: lb.id },
  )
  const pool = await ensure<{ id: string }>(
    'pool',
    'pools',
    { name: 'demo-pool' },
    { name: 'demo-pool', listener_id: listener.id, protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN' },
  )
  for (const address of addresses)
    await ensure('member', `pools/${pool.id}/members`, { address }, { address, protocol_port: 80, subnet_id })
  return lb.vip_address
}

/** How often each text came back through the VIP. */
export type Answers = Record<string, number>

/** Asks the VIP from a host on its network until every server has answered, and ten requests at least. */
async function answered(netns: string, vip_address: string, servers: number): Promise<Answers> {
  const answers: Answers = {}
  const deadline_ms = Date.now() + 60_000
  for (let requests = 0; requests < 10 || Object.keys(answers).length < servers; ) {
    const argv = [
      'ip',
      'netns',
      'exec',
      netns,
      'curl',
      '--silent',
      '--fail',
      '--max-time',
      '2',
      `http://${vip_address}/`,
    ]
    const answer = await run(argv).catch(() => null)
    if (answer !== null) {
      answers[answer.trim()] = (answers[answer.trim()] ?? 0) + 1
      requests++
    } else await new Promise(resolve => setTimeout(resolve, 20))
    if (Date.now() > deadline_ms)
      throw new Error(
        `demo-lb (${vip_address}) did not answer within 60 s; ./ottavia explain demo-lb tells what it waits for`,
      )
  }
  return answers
}
