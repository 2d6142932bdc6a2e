/** `ottavia up`: brings a whole working cloud up in the foreground, shows how to use it, and ends it at Ctrl-C. */
import path from 'node:path'
import { Progress } from '../progress.ts'
import { type Ports, repositoryDir, State } from '../state.ts'
import { welcome } from '../welcome.ts'
import { askControl, NotRunning } from '../world/control.ts'
import type { Answers } from '../world/demo.ts'
import type { InsideOptions } from '../world/inside.ts'
import type { Status } from '../world/status.ts'
import { listenOn, StateInUse, startWorld, type World } from '../world/world.ts'

export type UpOptions = { state: string; fresh: boolean; demo: boolean; json: boolean; networkHosts: number }

/** Resolves with the exit status when the stack has ended. */
export async function up(options: UpOptions): Promise<number> {
  const state = new State(options.state)
  const progress = new Progress(options.json)
  const running = await askControl<Status>(state, 'GET', '/status').catch(error => {
    if (error instanceof NotRunning) return null
    throw error
  })
  if (running) return already(state, running, options)
  state.create()
  if (options.fresh) state.clear()
  state.create()
  const { ports, sockets } = await openPorts(state, progress)
  const names = Object.keys(ports) as (keyof Ports)[]
  const fds = Object.fromEntries(names.map((name, index) => [name, 6 + index])) as Record<keyof Ports, number>
  const { demo, networkHosts: network_hosts } = options
  const inside: InsideOptions = { state: state.dir, ports, fds, demo, network_hosts }
  progress.step('the outer namespace')
  let world: World
  try {
    world = await startWorld({
      repository: repositoryDir,
      state: state.dir,
      command: [process.execPath, path.join(import.meta.dirname, '../world/inside.ts')],
      sockets: names.map(name => sockets[name]),
      // the checkout is read-only in there, so what is compiled is kept in the state folder
      env: { OTTAVIA_INSIDE: JSON.stringify(inside), NODE_COMPILE_CACHE: state.path('compiled') },
      log_file: state.path('log', 'stack.log'),
    })
  } catch (error) {
    if (!(error instanceof StateInUse)) throw error
    throw new Error(`${state.dir} is in use by an ottavia that is just starting or ending; try again in a moment`)
  }
  state.saveWorldPid(world.pid)
  const asked = endOnSignals(world, progress)
  let failure: string | null = null
  world.child.on('message', (message: { progress?: string; failed?: string; ready?: Status; answers?: Answers }) => {
    if (message.progress) progress.step(message.progress)
    if (message.failed) failure = message.failed
    if (message.ready) {
      progress.done()
      if (options.json) process.stdout.write(`${JSON.stringify(message.ready)}\n`)
      else process.stdout.write(welcome(state, message.ready, message.answers))
    }
  })
  const status = await world.exited
  progress.done()
  if (asked.stopping) return 0
  process.stderr.write(
    `ottavia: ${failure ?? `the stack ended unexpectedly (status ${status})`}; its logs: ${state.path('log')}\n`,
  )
  return 1
}

function already(state: State, running: Status, options: UpOptions): number {
  if (options.fresh)
    throw new Error(
      `ottavia runs on ${state.dir}; end it first (Ctrl-C there, or: ./ottavia down), then start it --fresh`,
    )
  if (options.json) process.stdout.write(`${JSON.stringify(running)}\n`)
  else process.stdout.write(`ottavia runs already on ${state.dir}.\n${welcome(state, running)}`)
  return 0
}

/** The ports of before, else OpenStack's usual ones; a taken one is replaced by a free one, kept from then on. */
async function openPorts(state: State, progress: Progress) {
  const usual: Ports = {
    identity: 5000,
    image: 9292,
    compute: 8774,
    network: 9696,
    load_balancer: 9876,
    key_manager: 9311,
  }
  // a state of before may know fewer services
  const wanted = { ...usual, ...state.ports() }
  const entries = await Promise.all(
    Object.entries(wanted).map(async ([name, port]) => {
      const socket = await listenOn(port).catch(() => listenOn(0))
      const given = (socket.address() as { port: number }).port
      if (given !== port) progress.note(`port ${port} (${name.replace('_', ' ')}) is taken; using ${given}`)
      return [name, given, socket] as const
    }),
  )
  const ports = Object.fromEntries(entries.map(([name, port]) => [name, port])) as Ports
  const sockets = Object.fromEntries(entries.map(([name, , socket]) => [name, socket])) as Record<
    keyof Ports,
    Awaited<ReturnType<typeof listenOn>>
  >
  state.savePorts(ports)
  return { ports, sockets }
}

function endOnSignals(world: World, progress: Progress): { stopping: boolean } {
  const asked = { stopping: false }
  const stop = () => {
    if (asked.stopping) return world.kill()
    asked.stopping = true
    progress.note('stopping (again Ctrl-C ends it at once) …')
    if (world.child.connected) world.child.send({ stop: true })
    setTimeout(() => world.kill(), 30_000).unref()
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop)
  // asked through `ottavia down`
  world.child.on('message', (message: { stopping?: boolean }) => {
    if (message.stopping) asked.stopping = true
  })
  return asked
}
