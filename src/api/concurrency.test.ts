/** Many clients in one project at once: quotas are exact, nothing is twice, nobody is told to come again. */
import { beforeAll, expect, test } from 'vitest'
import { brokenInvariants } from '../lbaas/invariants.ts'
import * as trees from '../store/trees.ts'
import { apiForTests, applyAll, subnet } from './pretended.ts'

const clients = 32
const limits = { listener: 40, pool: 40, member: 90, l7policy: 30, health_monitor: 25 }
const api = apiForTests()
const balancers: string[] = []
/** Every answer: status and what it says where it is a refusal. */
const answers: Record<string, number> = {}

beforeAll(async () => {
  for (let n = 0; n < 3; n++) {
    const { body } = await api.octavia('POST', '/loadbalancers', { loadbalancer: { vip_subnet_id: subnet } })
    balancers.push((body as { loadbalancer: { id: string } }).loadbalancer.id)
  }
  await api.octavia('PUT', '/quotas/demo-project', { quota: limits }, { token: 'admin' })
})

/** A client's request, noted. Answers with the object, if there is one. */
async function ask(method: string, path: string, body?: unknown): Promise<{ id: string } | null> {
  const answer = await api.octavia(method, path, body)
  const { faultstring } = (answer.body ?? {}) as { faultstring?: string }
  const said = faultstring
    ? `${answer.status} ${faultstring.replace(/[0-9a-f-]{36}|\d+(\.\d+)*/g, '*')}`
    : `${answer.status}`
  answers[said] = (answers[said] ?? 0) + 1
  return answer.status === 201 ? (Object.values(answer.body as Record<string, { id: string }>)[0] ?? null) : null
}

/** Makes, changes and takes away; only its own objects, on load balancers that all share. */
async function client(number: number): Promise<void> {
  const mine: { path: string; singular: string; id: string }[] = []
  const make = async (path: string, singular: string, fields: object) => {
    const made = await ask('POST', path, { [singular]: fields })
    if (made) mine.push({ path, singular, id: made.id })
    return made?.id ?? null
  }
  for (let round = 0; round < 4; round++) {
    const loadbalancer_id = balancers[(number + round) % balancers.length]!
    // several clients ask for the same ports
    const listener = await make('/listeners', 'listener', {
      ...{ loadbalancer_id, protocol: 'HTTP', protocol_port: 100 + ((number * 7 + round) % 24) },
    })
    const pool = await make('/pools', 'pool', { loadbalancer_id, protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN' })
    if (pool) {
      const member = (last: number) => ({ address: `10.0.1.${last}`, protocol_port: 80 })
      await Promise.all([1, 2].map(last => make(`/pools/${pool}/members`, 'member', member(last))))
      await ask('PUT', `/pools/${pool}/members`, { members: [member(2), member(3), member(4)] })
      await make('/healthmonitors', 'healthmonitor', {
        pool_id: pool,
        type: 'TCP',
        delay: 1,
        timeout: 1,
        max_retries: 1,
      })
    }
    if (listener) {
      await Promise.all(
        [1, 1].map(position => make('/l7policies', 'l7policy', { listener_id: listener, action: 'REJECT', position })),
      )
      await ask('PUT', `/listeners/${listener}`, { listener: { name: `${number}`, default_pool_id: pool } })
    }
    const gone = mine.filter(one => one.singular !== 'member').splice(0, round)
    for (const one of gone.toReversed()) await ask('DELETE', `${one.path}/${one.id}`)
  }
}

test('32 clients create, change and delete in one project', async () => {
  const settling = setInterval(() => void applyAll(api.pool).catch(() => {}), 150)
  await Promise.all(Array.from({ length: clients }, (_, number) => client(number)))
  clearInterval(settling)
  const refusals = Object.keys(answers).filter(said => !/^20[0-4]$/.test(said))
  for (const said of refusals)
    expect(said).toMatch(/^403 Quota has been met for resources: |^409 Another Listener on this Load Balancer|^404 /)
  expect(answers['201']).toBeGreaterThan(100)
  expect(refusals.some(said => said.startsWith('403'))).toBe(true)

  await applyAll(api.pool)
  for (const id of balancers) {
    const tree = (await trees.read(api.pool, id))!
    expect(brokenInvariants(tree)).toEqual([])
    expect(tree.load_balancer.provisioning_status).toBe('ACTIVE')
  }
  for (const [resource, most] of Object.entries(limits)) {
    const { rows } = await api.pool.query(
      `select count(*)::int as n from lbaas.${resource} where project_id = 'demo-project'`,
    )
    expect([resource, rows[0].n <= most]).toEqual([resource, true])
  }
})

test('a quota that is used up is used up exactly', async () => {
  const { rows } = await api.pool.query(`select count(*)::int as n from lbaas.pool where project_id = 'demo-project'`)
  await api.octavia('PUT', '/quotas/demo-project', { quota: { pool: rows[0].n + 5 } }, { token: 'admin' })
  const pool = { loadbalancer_id: balancers[0], protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN' }
  const asked = await Promise.all(Array.from({ length: clients }, () => api.octavia('POST', '/pools', { pool })))
  const statuses = asked.map(one => one.status)
  expect(statuses.filter(status => status === 201)).toHaveLength(5)
  expect(statuses.filter(status => status === 403)).toHaveLength(clients - 5)
})
