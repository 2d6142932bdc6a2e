/** The cells of reports: the tree of statuses, and what passed. */
import { expect } from 'vitest'
import { type Bed, type Dialect, unknown_id } from './bed.ts'
import type { Cell, Fields } from './cell.ts'

/** How everything does, once the amphora has told. */
export function reports(dialect: Dialect): Cell[] {
  const positive = expect.toSatisfy((figure: unknown) => Number(figure) > 0)
  const figure = expect.toSatisfy((one: unknown) => Number.isInteger(one) && Number(one) >= 0)
  const stats = {
    ...{ bytes_in: positive, bytes_out: positive, total_connections: positive },
    ...{ active_connections: figure, request_errors: figure },
  }
  const about = (of: string, title: string, in_neutron: string, route: string): Cell[] => [
    {
      ...{ route, does: 'has an unknown id', status: 404, at: { [of]: unknown_id } },
      refusal: () => ({
        octavia: `${title} ${unknown_id} not found.`,
        neutron: ['EntityNotFound', `${in_neutron} ${unknown_id} could not be found`],
      }),
    },
    {
      ...{ route, does: "is another project's", as: 'stranger', status: dialect === 'octavia' ? 403 : 404 },
      refusal: bed => ({
        octavia: 'Policy does not allow this request to be performed.',
        neutron: ['EntityNotFound', `${in_neutron} ${bed.ids[of]} could not be found`],
      }),
    },
  ]
  return ['status', 'statuses', 'stats', 'listener'].flatMap(what => {
    const one = what === 'listener' ? 'listeners' : 'loadbalancers'
    const route = `GET /v2.0/lbaas/${one}/{id}/${what === 'listener' ? 'stats' : what}`
    const says: Cell = {
      ...{ route, does: 'says what passed', as: 'reader', status: 200, patient: true, answer: () => ({ stats }) },
    }
    const tree: Cell = { ...says, does: 'says how all do', answer: bed => ({ statuses: { loadbalancer: how(bed) } }) }
    const [title, in_neutron] = one === 'listeners' ? ['Listener', 'listener'] : ['Load Balancer', 'loadbalancer']
    return [what.startsWith('status') ? tree : says, ...about(one, title!, in_neutron!, route)]
  })
}

/** The tree of statuses, in the dialect's form. */
function how(bed: Bed): Fields {
  const { ids, dialect, name } = bed
  const node = (
    id: string,
    more: Fields = {},
    called = id.startsWith('second') ? id : name,
    operating_status = 'ONLINE',
  ) => ({
    ...{ id: ids[id], name: called, provisioning_status: 'ACTIVE', operating_status, ...more },
  })
  const { address } = bed.ground.servers
  const members = [
    node('members', { address, protocol_port: 8201 }),
    node('second member', { address, protocol_port: 8202 }),
  ]
  const { operating_status, ...silent } = node('healthmonitors', { type: 'HTTP' })
  const monitor =
    dialect === 'octavia' ? { health_monitor: { ...silent, operating_status } } : { healthmonitor: silent }
  const pool = node('pools', { ...monitor, members })
  if (dialect === 'octavia')
    return node('loadbalancers', {
      listeners: [node('listeners', { pools: [pool] }), node('second listener', { pools: [] })],
    })
  const rules = [node('rules', { type: 'PATH' }, '')]
  return node('loadbalancers', {
    listeners: [
      node('listeners', { pools: [pool], l7policies: [node('l7policies', { rules })] }),
      node('second listener', { pools: [], l7policies: [] }),
    ],
    pools: [pool, node('second pool', { members: [], healthmonitor: {} }, 'second pool', 'OFFLINE')],
  })
}
