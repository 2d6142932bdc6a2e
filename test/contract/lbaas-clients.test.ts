/** Every command that the genuine neutron client has for load balancing, through the pocket cloud's Neutron to the API. */
import net from 'node:net'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { pretended_certificates } from '../../src/api/pretended.ts'
import { type Api, startApi } from '../../src/api/server.ts'
import { OpenStack } from '../../src/cloud/openstack.ts'
import { newAmphora } from '../../src/lbaas/amphora.ts'
import { amphora_provider } from '../../src/lbaas/provider.ts'
import { settle } from '../../src/lbaas/provisioning.ts'
import { usual_tls } from '../../src/lbaas/tls.ts'
import { openLog } from '../../src/service/log.ts'
import { openPool } from '../../src/service/postgres.ts'
import { migrate } from '../../src/store/migrations.ts'
import { transaction } from '../../src/store/transaction.ts'
import * as trees from '../../src/store/trees.ts'
import { testDatabase } from '../postgres.ts'
import { genuine } from './genuine.ts'
import { PocketStack, passwords } from './pocket-stack.ts'

vi.setConfig({ testTimeout: 300_000 })
const [cloud_database, database] = [testDatabase(), testDatabase()]
let stack: PocketStack
let pool: ReturnType<typeof openPool>
let cloud: OpenStack
let api: Api

beforeAll(async () => {
  const port = await freePort()
  stack = await PocketStack.start(cloud_database.url, `http://127.0.0.1:${port}`)
  const log = openLog('test')
  log.level = 'silent'
  pool = openPool(database.url, log)
  await migrate(pool)
  cloud = new OpenStack({
    auth_url: `${stack.endpoints.identity}/v3`,
    username: 'octavia',
    password: passwords.service,
    project_name: 'service',
    user_domain_name: 'Default',
    project_domain_name: 'Default',
    region_name: null,
    interface: 'public',
  })
  const unlimited = { load_balancer: -1, listener: -1, pool: -1, member: -1, health_monitor: -1 }
  api = await startApi({
    pool,
    cloud,
    certificates: pretended_certificates,
    log,
    options: {
      auth_strategy: 'keystone',
      locking: 'queue',
      topology: 'SINGLE',
      providers: [amphora_provider],
      default_provider: 'amphora',
      quotas: { ...unlimited, l7policy: -1, l7rule: -1 },
      reserved_ips: [],
      ping_allowed: true,
      tls: usual_tls,
      pagination_max_limit: 1000,
      policy_file: null,
      amp_image_owner_id: null,
    },
    listen: { octavia: [], neutron: [{ host: '127.0.0.1', port }] },
  })
})
afterAll(async () => {
  await api?.close()
  await cloud?.close()
  await pool?.end()
  await stack?.end()
})

/** A line of the genuine client's, as that user. */
function neutron(line: string, user: 'admin' | 'demo' = 'demo'): Promise<string> {
  return genuine(stack, user, ['neutron', ...line.replace('AMPHORA', amphora_id).replace('RULE', rule_id).split(' ')])
}

/** The cell of a client's table that is named so. */
const cell = (table: string, name: string) => new RegExp(`\\| ${name} +\\| (.*?) +\\|`).exec(table)?.[1]

const amphora_id = 'aaaaaaaa-0000-4000-8000-000000000001'
let rule_id = 'RULE'

/** As the controller would: everything is applied, and the load balancer has an amphora. */
async function apply(): Promise<void> {
  const { rows } = await pool.query('select id from lbaas.load_balancer')
  for (const { id } of rows)
    await transaction(pool, async tx => {
      const tree = (await trees.loadForUpdate(tx, id))!
      const row = { id: amphora_id, load_balancer_id: id, created_at: '2026-01-01T00:00:00.000Z' }
      const amphorae = [{ ...newAmphora(row), status: 'ALLOCATED' as const }]
      const after = settle(tree, { generation: tree.load_balancer.generation, failed: new Map() })
      await trees.save(tx, tree, after && { ...after, amphorae })
    })
}

describe('each of the 39 commands', () => {
  test.each<[line: string, says: RegExp]>([
    ['lbaas-loadbalancer-create --name lb1 --description d private-subnet', /Created a new loadbalancer/],
    ['lbaas-listener-create --name l1 --loadbalancer lb1 --protocol HTTP --protocol-port 80', /Created a new listener/],
    [
      'lbaas-pool-create --name p1 --listener l1 --protocol HTTP --lb-algorithm ROUND_ROBIN --session-persistence type=HTTP_COOKIE',
      /session_persistence +\| \{"type": "HTTP_COOKIE"/,
    ],
    [
      'lbaas-pool-create --name p2 --loadbalancer lb1 --protocol HTTP --lb-algorithm SOURCE_IP',
      /lb_algorithm +\| SOURCE_IP/,
    ],
    [
      'lbaas-member-create --name m1 --subnet private-subnet --address 10.0.0.21 --protocol-port 80 --weight 2 p1',
      /weight +\| 2/,
    ],
    [
      'lbaas-healthmonitor-create --name h1 --delay 5 --timeout 3 --max-retries 2 --type HTTP --pool p1 --url-path /x --expected-codes 200,202',
      /expected_codes +\| 200,202/,
    ],
    [
      'lbaas-l7policy-create --name y1 --listener l1 --action REDIRECT_TO_URL --redirect-url http://a.example',
      /redirect_url +\| http:\/\/a.example/,
    ],
    ['lbaas-l7policy-create --name y2 --listener l1 --action REDIRECT_TO_POOL --redirect-pool p2', /position +\| 2/],
    ['lbaas-l7rule-create --type PATH --compare-type STARTS_WITH --value /x y1', /value +\| \/x/],
  ])('%s', async (line, says) => {
    const answer = await neutron(line)
    expect(answer).toMatch(says)
    if (line.startsWith('lbaas-l7rule-create')) rule_id = cell(answer, 'id')!
  })

  test.each<[line: string, says: RegExp, user?: 'admin']>([
    ['lbaas-loadbalancer-list', /\| lb1 .*\| ACTIVE .*\| octavia/],
    ['lbaas-loadbalancer-show lb1', /vip_address +\| 10\.0\.0\./],
    ['lbaas-loadbalancer-stats lb1', /total_connections +\| 0/],
    ['lbaas-loadbalancer-status lb1', /"l7policies": \[/],
    ['lbaas-loadbalancer-list-on-agent AMPHORA', /\| lb1 /, 'admin'],
    ['lbaas-agent-hosting-loadbalancer lb1', /\| AMPHORA \| amphora-AMPHORA/, 'admin'],
    ['agent-list', /\| AMPHORA \| Loadbalancerv2 agent/, 'admin'],
    ['agent-show AMPHORA', /device_drivers/, 'admin'],
    ['lbaas-listener-list', /\| l1 .*\| HTTP/],
    ['lbaas-listener-list --sort-key name --sort-dir desc -P 1', /\| l1 /],
    ['lbaas-listener-show l1', /connection_limit +\| -1/],
    ['lbaas-pool-list', /\| p1 [\s\S]*\| p2 /],
    ['lbaas-pool-show p1', /healthmonitor_id +\| [0-9a-f-]{36}/],
    ['lbaas-member-list p1', /10\.0\.0\.21/],
    ['lbaas-member-show m1 p1', /protocol_port +\| 80/],
    ['lbaas-healthmonitor-list', /\| h1 .*\| HTTP/],
    ['lbaas-healthmonitor-show h1', /delay +\| 5/],
    ['lbaas-l7policy-list', /\| y1 .*\| REDIRECT_TO_URL/],
    ['lbaas-l7policy-show y1', /status +\| ACTIVE/],
    ['lbaas-l7rule-list y1', /\| PATH .*\| STARTS_WITH/],
    ['lbaas-l7rule-show RULE y1', /compare_type +\| STARTS_WITH/],
    ['service-provider-list', /LOADBALANCERV2 \| octavia +\| True/],
  ])('%s', async (line, says, user) => {
    if (line === 'lbaas-loadbalancer-list') await apply()
    expect(await neutron(line, user)).toMatch(new RegExp(says.source.replaceAll('AMPHORA', amphora_id)))
  })

  test.each<[line: string, says: RegExp]>([
    ['lbaas-loadbalancer-update lb1 --admin-state-up False --description e', /Updated loadbalancer/],
    ['lbaas-listener-update l1 --connection-limit 7 --description e', /Updated listener/],
    ['lbaas-pool-update p1 --lb-algorithm LEAST_CONNECTIONS --no-session-persistence', /Updated pool/],
    ['lbaas-member-update m1 p1 --weight 3 --admin-state-up False', /Updated member/],
    ['lbaas-healthmonitor-update h1 --delay 6 --http-method HEAD', /Updated healthmonitor/],
    ['lbaas-l7policy-update y1 --action REDIRECT_TO_POOL --redirect-pool p2', /Updated l7policy/],
    ['lbaas-l7rule-update RULE y1 --value /y --compare-type EQUAL_TO --type PATH', /Updated rule/],
    ['lbaas-l7rule-delete RULE y1', /Deleted/],
    ['lbaas-l7policy-delete y1', /Deleted/],
    ['lbaas-l7policy-delete y2', /Deleted/],
    ['lbaas-healthmonitor-delete h1', /Deleted/],
    ['lbaas-member-delete m1 p1', /Deleted/],
    ['lbaas-pool-delete p1', /Deleted/],
    ['lbaas-pool-delete p2', /Deleted/],
    ['lbaas-listener-delete l1', /Deleted/],
    ['lbaas-loadbalancer-delete lb1', /Deleted/],
  ])('%s', async (line, says) => {
    expect(await neutron(line)).toMatch(says)
  })

  test('they are all that it has', async () => {
    const help = await neutron('help')
    const commands = [...new Set(help.match(/^ +(lbaas-[a-z0-9-]+)/gm)?.map(one => one.trim()))]
    expect(commands).toHaveLength(39)
  })
})

describe('Neutron’s quotas', () => {
  test('have those of load balancing among them, which hold', async () => {
    const project = (
      await pool.query(
        'select project_id from lbaas.journal j join lbaas.load_balancer b on b.id = j.load_balancer_id limit 1',
      )
    ).rows[0]?.project_id
    expect(cell(await neutron('quota-show'), 'loadbalancer')).toBe('-1')
    const set = await neutron(
      `quota-update --tenant-id ${project} --loadbalancer 1 --health-monitor 3 --port 77`,
      'admin',
    )
    for (const [name, limit] of [
      ['loadbalancer', '1'],
      ['healthmonitor', '3'],
      ['port', '77'],
      ['listener', '-1'],
      ['network', '100'],
    ] as const)
      expect([name, cell(set, name)]).toEqual([name, limit])
    expect(cell(await neutron('quota-show'), 'loadbalancer')).toBe('1')
    expect(await neutron('quota-list', 'admin')).toMatch(/loadbalancer/)
    // the one that there is is on its way out and counts until it is gone
    await expect(neutron('lbaas-loadbalancer-create private-subnet')).rejects.toThrow(/Quota exceeded|OverQuota/)
    await expect(neutron(`quota-update --tenant-id ${project} --loadbalancer 5`)).rejects.toThrow(/admin/i)
    const refused = await stack.as('admin', 'network', 'PUT', `/v2.0/quotas/${project}`, {
      quota: { colour: 1, port: 5 },
    })
    expect(refused).toMatchObject({
      status: 400,
      body: { NeutronError: { type: 'HTTPBadRequest', message: "Unrecognized attribute(s) 'colour'" } },
    })
    expect(cell(await neutron('quota-show'), 'port')).toBe('77')
    const details = await stack.as('demo', 'network', 'GET', `/v2.0/quotas/${project}/details`)
    expect(details.body).toMatchObject({ quota: { loadbalancer: { limit: 1, used: 1 }, port: { limit: 77 } } })
    const preset = await stack.as('demo', 'network', 'GET', `/v2.0/quotas/${project}/default`)
    expect(preset.body).toMatchObject({ quota: { loadbalancer: -1, port: 500 } })
    await neutron(`quota-delete --tenant-id ${project}`, 'admin')
    expect(cell(await neutron('quota-show'), 'loadbalancer')).toBe('-1')
    expect(cell(await neutron('quota-show'), 'port')).toBe('500')
  })

  test('are Neutron’s own when nobody else answers', async () => {
    await api.close()
    const { body } = await stack.as('demo', 'network', 'GET', '/v2.0/quotas/whatever').catch(() => ({ body: null }))
    expect(body).toMatchObject({ NeutronError: { type: 'AdminRequired' } })
    expect(cell(await neutron('quota-show'), 'port')).toBe('500')
    const set = await stack.as('admin', 'network', 'PUT', '/v2.0/quotas/p', { quota: { loadbalancer: 1 } })
    expect(set.status).toBe(503)
  })
})

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1')
  await new Promise(resolve => server.once('listening', resolve))
  const { port } = server.address() as net.AddressInfo
  await new Promise(resolve => server.close(resolve))
  return port
}
