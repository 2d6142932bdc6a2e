/** The agent scheduler of Neutron's dialect: amphorae as agents. */
import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import { newAmphora } from '../lbaas/amphora.ts'
import { transaction } from '../store/transaction.ts'
import * as trees from '../store/trees.ts'
import { apiForTests, subnet } from './pretended.ts'

const api = apiForTests()
const admin = { token: 'admin' }
const get = async (path: string) => (await api.neutron('GET', path, undefined, admin)).body as Record<string, unknown>

test('the agent that hosts a load balancer is its living amphora, the master first', async () => {
  const made = await api.neutron('POST', '/loadbalancers', { loadbalancer: { vip_subnet_id: subnet } })
  const { id } = (made.body as { loadbalancer: { id: string } }).loadbalancer
  const hosting = `/loadbalancers/${id}/loadbalancer-hosting-agent`
  expect(await api.neutron('GET', hosting, undefined, admin)).toMatchObject({
    status: 404,
    body: { NeutronError: { type: 'NoActiveLbaasAgent', message: `No active agent found for loadbalancer ${id}.` } },
  })
  const [master, backup] = [randomUUID(), randomUUID()]
  await transaction(api.pool, async tx => {
    const tree = (await trees.loadForUpdate(tx, id))!
    const row = { load_balancer_id: id, created_at: '2026-01-01T00:00:00.000Z', cached_zone: 'nova' }
    const pair = [
      { ...newAmphora({ ...row, id: backup, role: 'BACKUP' }), status: 'ALLOCATED' as const },
      { ...newAmphora({ ...row, id: master, role: 'MASTER' }), status: 'ALLOCATED' as const },
    ]
    await trees.save(tx, tree, { ...tree, amphorae: pair })
  })
  await api.pool.query('insert into lbaas.amphora_health (amphora_id) values ($1), ($2) on conflict do nothing', [
    master,
    backup,
  ])
  expect(await get(hosting)).toMatchObject({
    agent: { id: master, host: `amphora-${master}`, availability_zone: 'nova', alive: true, admin_state_up: true },
  })
  await api.pool.query('update lbaas.amphora_health set silent_since = now() where amphora_id = $1', [master])
  expect(await get(hosting)).toMatchObject({ agent: { id: backup, alive: true } })
  expect(await get(`=/v2.0/agents/${master}?fields=alive&fields=agent_type`)).toEqual({
    agent: { alive: false, agent_type: 'Loadbalancerv2 agent' },
  })
  const ids = async (query: string) =>
    ((await get(`=/v2.0/agents${query}`)).agents as { id: string }[]).map(one => one.id).sort()
  expect(await ids('')).toEqual([master, backup].sort())
  expect(await ids('?alive=True')).toEqual([backup])
  expect((await api.neutron('GET', '=/v2.0/agents')).body).toEqual({ agents: [] })
  expect(await ids('?agent_type=DHCP%20agent')).toEqual([])
  expect(await ids(`?agent_type=Loadbalancerv2%20agent&host=amphora-${master}`)).toEqual([master])
  expect(await get(`=/v2.0/agents/${backup}/agent-loadbalancers`)).toMatchObject({ loadbalancers: [{ id }] })
  for (const path of ['=/v2.0/agents/none', `=/v2.0/agents/${randomUUID()}/agent-loadbalancers`])
    expect(await api.neutron('GET', path, undefined, admin)).toMatchObject({
      status: 404,
      body: { NeutronError: { type: 'AgentNotFound' } },
    })
})
