/** For tests of bad input: a few objects of two projects, and what a refusal must be in both dialects. */
import { beforeAll, expect } from 'vitest'
import { type Call, foreign_subnet, type Setting, subnet } from './pretended.ts'

export type Body = Record<string, Record<string, unknown>>

/** Each dialect's refusal; both must leave everything as it was. */
export type Refusal = {
  octavia: [status: number, faultstring: string]
  neutron: [status: number, type: string, message: string]
}

export type Refusals = {
  ids: Record<'lb' | 'listener' | 'pool' | 'member' | 'lb2' | 'pool2' | 'foreign_lb' | 'foreign_pool', string>
  /** How much there is of everything. */
  counted: () => Promise<Record<string, unknown>>
  refused: (
    method: string,
    path: string,
    body: unknown,
    expected: Refusal,
    options?: Parameters<Call>[3],
  ) => Promise<void>
}

/** Makes the objects before the tests of a file. Read `ids` inside tests only. */
export function refusalsOf(api: Setting): Refusals {
  const ids = {} as Refusals['ids']
  const counted = async () => {
    const tables = ['load_balancer', 'listener', 'pool', 'member', 'journal', 'vip_reservation']
    const counts = tables.map(table => `(select count(*) from lbaas.${table}) as ${table}`)
    const generations = '(select sum(generation) from lbaas.load_balancer) as generations'
    const { rows } = await api.pool.query(`select ${counts.join(', ')}, ${generations}`)
    return { ...rows[0], ports: api.cloud.ports.size }
  }
  beforeAll(async () => {
    const made = async (path: string, body: Body, token = 'demo') => {
      const answer = await api.octavia('POST', path, body, { token })
      expect(answer).toMatchObject({ status: 201 })
      return String(Object.values(answer.body as Body)[0]!.id)
    }
    const pool = { protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN' }
    const listener = { protocol: 'HTTP', protocol_port: 80 }
    ids.lb = await made('/loadbalancers', { loadbalancer: { vip_subnet_id: subnet } })
    ids.listener = await made('/listeners', { listener: { loadbalancer_id: ids.lb, ...listener } })
    ids.pool = await made('/pools', { pool: { listener_id: ids.listener, ...pool } })
    ids.member = await made(`/pools/${ids.pool}/members`, { member: { address: '10.0.0.21', protocol_port: 80 } })
    ids.lb2 = await made('/loadbalancers', { loadbalancer: { vip_subnet_id: subnet } })
    ids.pool2 = await made('/pools', { pool: { loadbalancer_id: ids.lb2, ...pool } })
    ids.foreign_lb = await made('/loadbalancers', { loadbalancer: { vip_subnet_id: foreign_subnet } }, 'other')
    ids.foreign_pool = await made('/pools', { pool: { loadbalancer_id: ids.foreign_lb, ...pool } }, 'other')
  })
  const refused: Refusals['refused'] = async (method, path, body, expected, options = {}) => {
    const before = await counted()
    const [status, faultstring] = expected.octavia
    const faultcode = status < 500 ? 'Client' : 'Server'
    const answer = await api.octavia(method, path, body, options)
    expect(answer).toMatchObject({ status, body: { faultcode, faultstring, debuginfo: null } })
    expect(answer.headers.get('x-openstack-request-id')).toMatch(/^req-/)
    const [neutron_status, type, message] = expected.neutron
    expect(await api.neutron(method, path, body, options)).toMatchObject({
      status: neutron_status,
      body: { NeutronError: { type, message, detail: '' } },
    })
    expect(await counted()).toEqual(before)
  }
  return { ids, counted, refused }
}

export const bad = (message: string): [number, string, string] => [400, 'HTTPBadRequest', message]
export const listenerOn = (loadbalancer_id: string, fields: object) => ({
  listener: { loadbalancer_id, protocol: 'HTTP', protocol_port: 81, ...fields },
})
export const poolOn = (loadbalancer_id: string, fields: object) => ({
  pool: { loadbalancer_id, protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN', ...fields },
})
export const member = (fields: object) => ({
  member: { address: '10.0.0.30', protocol_port: 80, subnet_id: subnet, ...fields },
})
export const lb = (fields: object) => ({ loadbalancer: { vip_subnet_id: subnet, ...fields } })
