/** Units: what an agent is given a configuration for. A listener is one, or all of a load balancer's together are; one of
 *  datagrams always is one by itself. */
import { digestOf } from '../../amphora/digest.ts'
import { filesOf, listenerInput, loadBalancerInput } from '../../amphora/haproxy/input.ts'
import type { ListenerInput } from '../../amphora/haproxy/listener.ts'
import { listenerAt, renderListener, renderLoadBalancer } from '../../amphora/haproxy/unit.ts'
import { datagramText } from '../../amphora/nftables/datagram-listener.ts'
import type { Amphora } from '../../lbaas/amphora.ts'
import type { Tree } from '../../lbaas/tree.ts'

type Listener = Tree['listeners'][number]

export type Unit = {
  id: string
  kind: 'listener' | 'load_balancer' | 'datagrams'
  /** Over the rendering's input. */
  digest: () => string
  /** What the text names, and whose it is. */
  files: () => { name: string; listener_id: string }[]
  /** It tells its partner what is in its tables. */
  peers: boolean
  listeners: Listener[]
  text: () => string
}

/** What is to run on an amphora. */
export function unitsOf(amphora: Pick<Amphora, 'unit'>, tree: Tree): Unit[] {
  const all = renderedListeners(tree)
  const datagrams = all.filter(({ listener }) => listener.protocol === 'UDP')
  const others = all.filter(({ listener }) => listener.protocol !== 'UDP')
  return [
    ...datagrams.map(one => ofListener(one, 'datagrams')),
    ...(amphora.unit === 'listener' ? others.map(one => ofListener(one, 'listener')) : together(tree, others)),
  ]
}

/** Is that the configuration which the agent has confirmed? */
export function isApplied({ applied }: Amphora, unit: Unit): boolean {
  return applied[unit.id]?.input === unit.digest()
}

/** The listener at which haproxy took offence, by the line that it names first (lines keep their numbers on the way) or by
 *  its name, as in words about ports; else one that has changed since it was last in force. Null: none is to blame. */
export function offender({ listeners, kind, text }: Unit, said: string): Listener | null {
  // in ERROR it is the last good one that is refused: there is nothing left to fall back to
  const changeable = listeners.filter(listener => listener.provisioning_status !== 'ERROR')
  if (kind !== 'load_balancer') return changeable[0] ?? null
  const line = /haproxy\.cfg\.new:(\d+)/.exec(said)?.[1]
  const at = line === undefined ? null : listenerAt(text(), Number(line))
  const named = changeable
    .filter(({ id }) => said.includes(id))
    .sort((a, b) => said.indexOf(a.id) - said.indexOf(b.id))[0]
  const changed = changeable.find(listener => listener.provisioning_status !== 'ACTIVE')
  return changeable.find(({ id }) => id === at) ?? named ?? changed ?? null
}

type Rendered = { listener: Listener; input: ListenerInput }

/** The listeners that run on amphorae, each with the input that it is rendered from: what is in ERROR keeps the last good
 *  one, so that a refused edit never turns a failover into an outage. */
function renderedListeners(tree: Tree): Rendered[] {
  if (!tree.load_balancer.admin_state_up) return []
  return tree.listeners
    .filter(listener => listener.provisioning_status !== 'PENDING_DELETE' && listener.admin_state_up)
    .flatMap(listener => {
      if (listener.provisioning_status !== 'ERROR') return [{ listener, input: listenerInput(tree, listener) }]
      return listener.serving === null ? [] : [{ listener, input: listener.serving as ListenerInput }]
    })
}

function ofListener({ listener, input }: Rendered, kind: 'listener' | 'datagrams'): Unit {
  return {
    id: listener.id,
    kind,
    digest: () => digestOf(input),
    files: () => filesNamed({ listener, input }),
    peers: Boolean(input.peers),
    listeners: [listener],
    text: () => (kind === 'datagrams' ? datagramText(input) : renderListener(input)),
  }
}

function filesNamed({ listener, input }: Rendered): ReturnType<Unit['files']> {
  return filesOf(input).map(name => ({ name, listener_id: listener.id }))
}

/** None where there is nothing to serve: haproxy does not run without a frontend. */
function together(tree: Tree, all: readonly Rendered[]): Unit[] {
  if (all.length === 0) return []
  const input = loadBalancerInput(
    tree,
    all.map(one => one.input),
  )
  return [
    {
      id: tree.load_balancer.id,
      kind: 'load_balancer',
      digest: () => digestOf(input),
      files: () => all.flatMap(filesNamed),
      peers: input.peers !== null,
      listeners: all.map(one => one.listener),
      text: () => renderLoadBalancer(input),
    },
  ]
}
