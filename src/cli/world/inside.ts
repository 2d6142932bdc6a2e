/** The main program inside the outer namespace: starts the stack's daemons in order, answers commands, ends in order. */
import fs from 'node:fs'
import path from 'node:path'
import pg from 'pg'
import { Neutron } from '../../cloud/neutron.ts'
import { explanation } from '../commands/explain.ts'
import { answerRollout, type RolloutRequest } from '../commands/rollout.ts'
import { startPostgres } from '../embedded-postgres.ts'
import { type Ports, repositoryDir, State } from '../state.ts'
import { bundleAgent } from './agent-bundle.ts'
import { Daemon } from './child.ts'
import { ensureHost, openDefaultGroup, prepareCloud, service_project, session } from './cloud-setup.ts'
import { serveControl } from './control.ts'
import { makeDemo } from './demo.ts'
import { makeNetworkHost } from './network-host.ts'
import { Publication } from './publication.ts'
import { pocketSettings, writeOptions } from './settings.ts'
import { status } from './status.ts'

/** What the launcher hands in, as JSON in OTTAVIA_INSIDE. */
export type InsideOptions = {
  state: string
  ports: Ports
  /** Which inherited descriptor is the listening socket of which port. */
  fds: Record<keyof Ports, number>
  demo: boolean
  /** How many network hosts there are. */
  network_hosts: number
}

const options = JSON.parse(process.env.OTTAVIA_INSIDE!) as InsideOptions
const state = new State(options.state)
const closers: (() => Promise<unknown> | unknown)[] = []
let ending = false

process.on('message', (message: { stop?: boolean }) => {
  if (message.stop) void end(0)
})
process.on('SIGTERM', () => void end(0))
process.on('disconnect', () => process.exit(1))

main().catch(error => {
  tell({ failed: (error as Error).message })
  console.error(error)
  void end(1)
})

async function main(): Promise<void> {
  const secrets = state.secrets()
  const { ports, fds } = options
  tell({ progress: 'PostgreSQL' })
  const database = await startPostgres(state.path('postgres'), '/run/ottavia/postgres')
  closers.push(() => database.stop())
  void database.exited.then(() => {
    if (!ending) void end(1)
  })

  tell({ progress: 'the pocket cloud' })
  const pocket = daemon('pocket', [fds.identity, fds.image, fds.compute, fds.network, fds.key_manager], {
    OTTAVIA_POCKET: JSON.stringify(pocketSettings(state, ports, database.url, secrets)),
  })
  await Promise.all([pocket.started, bundleAgent(state.path('build', 'agent.mjs'))])

  tell({ progress: 'networks, groups and the amphora image' })
  const auth_url = `http://127.0.0.1:${ports.identity}/v3`
  const service = session(auth_url, 'octavia', secrets.octavia, service_project)
  const admin = session(auth_url, 'admin', secrets.admin, 'admin')
  const demo = session(auth_url, 'demo', secrets.demo, 'demo')
  const [cloud] = await Promise.all([prepareCloud(service, state, options.network_hosts), openDefaultGroup(demo)])
  const [private_network] = await new Neutron(admin).networks({ name: 'private' })
  const hosts = new Map<string, Promise<string>>()
  const hostOn = (network_id: string) => {
    const host = hosts.get(network_id) ?? ensureHost(admin, network_id)
    hosts.set(network_id, host)
    host.catch(() => hosts.delete(network_id))
    return host
  }
  await hostOn(private_network!.id)

  tell({ progress: 'ottavia' })
  await writeOptions(state, { ports, database_url: database.url, secrets, cloud })
  const all = daemon('all', [fds.load_balancer], {
    OTTAVIA_CONFIG: state.path('ottavia.toml'),
    OTTAVIA_OCTAVIA_FD: '4',
  })
  const hosting = await Promise.all(cloud.network_hosts.map(({ name }) => startNetworkHost(name)))
  await Promise.all([all.started, ...hosting.map(host => host.started)])

  const publication = new Publication(hostOn, rememberedPorts())
  closers.push(() => publication.close())
  const rows = new pg.Pool({ connectionString: database.url, max: 2 })
  rows.on('error', () => {}) // PostgreSQL ends before us at times
  closers.push(() => rows.end())
  const now = () => status({ state, ports, admin, demo, publication, rows })
  const control = serveControl(state, {
    'GET /status': now,
    'POST /stop': async () => {
      tell({ stopping: true })
      setTimeout(() => void end(0), 50)
      return {}
    },
    'POST /explain': async body => ({ text: await explanation(database.url, (body as { name: string }).name) }),
    'POST /rollout': body => answerRollout(rows, body as RolloutRequest),
    'POST /host': async body => {
      const { network } = body as { network: string }
      const neutron = new Neutron(admin)
      const found = (await neutron.networks({ name: network }))[0] ?? (await neutron.network(network))
      if (!found) throw new Error(`the cloud has no network ${network}`)
      return { netns: await hostOn(found.id) }
    },
  })
  closers.push(() => control.close())
  const answers = options.demo ? await makeDemo({ demo, hostOn, tell: text => tell({ progress: text }) }) : {}
  tell({ ready: await now(), answers })
  const watch = setInterval(() => void now().catch(() => {}), 2_000) // publishes VIPs that appear later
  closers.push(() => clearInterval(watch))
}

async function startNetworkHost(name: string): Promise<Daemon> {
  const { inside, end } = await makeNetworkHost(state, name)
  closers.push(end)
  const env = { OTTAVIA_CONFIG: '/mnt/network-host.toml', NODE_COMPILE_CACHE: '' }
  return daemon('network-host', [], env, name, inside)
}

function daemon(
  role: string,
  inherited: number[],
  env: Record<string, string>,
  title = role === 'all' ? 'ottavia' : role,
  inside: string[] = [],
): Daemon {
  const argv = [...inside, process.execPath, path.join(repositoryDir, 'src/cli/ottavia.ts'), 'serve', role]
  const log_file = state.path('log', `${title}.log`)
  const started = new Daemon({ title, argv, env, log_file, fds: inherited })
  closers.push(() => started.stop())
  return started
}

/** Ends the daemons, the youngest first; PostgreSQL last. The namespace ends with us. */
async function end(status: number): Promise<void> {
  if (ending) return
  ending = true
  for (const close of closers.reverse()) {
    try {
      await close()
    } catch (error) {
      console.error(error)
    }
  }
  process.exit(status)
}

function tell(message: Record<string, unknown>): void {
  if (process.connected) process.send!(message)
}

function rememberedPorts() {
  const file = state.path('vip-ports.json')
  const ports = new Map<string, number>(fs.existsSync(file) ? JSON.parse(fs.readFileSync(file, 'utf8')) : [])
  const set = (id: string, port: number) => {
    ports.set(id, port)
    fs.writeFileSync(`${file}.new`, JSON.stringify([...ports]))
    fs.renameSync(`${file}.new`, file)
  }
  return { get: (id: string) => ports.get(id), set }
}
