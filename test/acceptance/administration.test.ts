/** Health monitors, flavors and amphorae through the genuine clients, `openstack loadbalancer` and `neutron lbaas-…`. */
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { Api } from './api.ts'
import { Stack } from './stack.ts'

const stack = new Stack(inject('stack_dir'))
let api: Api
let lb: { id: string }

/** Commands below `openstack loadbalancer`, in one session of the client, with what each answers. */
const typed = <T = Record<string, unknown>>(user: 'admin' | 'demo', ...commands: string[]) =>
  stack.typed<T>(user, ...commands.map(command => `loadbalancer ${command}`))

/** A command that answers with nothing. */
const act = (user: 'admin' | 'demo', ...command: string[]) =>
  stack.client(user, 'openstack', 'loadbalancer', ...command)
const neutron = (...command: string[]) => stack.client('demo', 'neutron', ...command)

beforeAll(async () => {
  api = await Api.of(stack, 'demo')
  const [made] = await typed<{ id: string }>(
    'demo',
    'create --name ad --vip-subnet-id private-subnet --wait',
    'listener create --name adl --protocol HTTP --protocol-port 80 ad',
    'pool create --name adp --protocol HTTP --lb-algorithm ROUND_ROBIN --listener adl --wait',
  )
  lb = made!
})

afterAll(async () => {
  for (const name of ['ad', 'adf']) await act('demo', 'delete', '--cascade', '--wait', name).catch(() => {})
})

describe('a health monitor', () => {
  test('is made, shown, set and deleted by openstack', async () => {
    const [made, list, shown, pool] = await typed(
      'demo',
      'healthmonitor create --name adm --delay 5 --timeout 3 --max-retries 2 --type HTTP --url-path /up --expected-codes 200,204 --wait adp',
      'healthmonitor list',
      'healthmonitor show adm',
      'pool show adp',
    )
    expect(made).toMatchObject({ name: 'adm', provisioning_status: 'ACTIVE', operating_status: 'ONLINE' })
    expect(list).toMatchObject([{ name: 'adm', type: 'HTTP' }])
    expect(shown).toMatchObject({ url_path: '/up', expected_codes: '200,204', http_method: 'GET', max_retries_down: 3 })
    expect(pool).toMatchObject({ healthmonitor_id: made!.id })
    const set = ['--http-version', '1.1', '--domain-name', 'a.example', '--max-retries-down', '4', '--wait', 'adm']
    await act('demo', 'healthmonitor', 'set', ...set)
    const [changed] = await typed('demo', 'healthmonitor show adm')
    expect(changed).toMatchObject({ http_version: 1.1, domain_name: 'a.example', max_retries_down: 4 })
    const tree = JSON.parse(await act('demo', 'status', 'show', 'ad')) as {
      loadbalancer: { listeners: { pools: { health_monitor: object }[] }[] }
    }
    expect(tree.loadbalancer.listeners[0]!.pools[0]!.health_monitor).toMatchObject({ name: 'adm', type: 'HTTP' })
    await act('demo', 'healthmonitor', 'delete', '--wait', 'adm')
    expect((await typed('demo', 'healthmonitor list'))[0]).toEqual([])
  })

  test('is made, shown, changed and deleted by neutron', async () => {
    const create = '--delay 4 --timeout 2 --max-retries 3 --type HTTP --url-path / --pool adp --name nm -f json'
    const made = JSON.parse(await neutron('lbaas-healthmonitor-create', ...create.split(' '))) as { id: string }
    expect(made).toMatchObject({
      name: 'nm',
      type: 'HTTP',
      delay: 4,
      timeout: 2,
      max_retries: 3,
      expected_codes: '200',
    })
    expect(await neutron('lbaas-healthmonitor-list')).toContain('nm')
    await neutron('lbaas-healthmonitor-update', '--delay', '9', '--expected-codes', '200-299', 'nm')
    const shown = JSON.parse(await neutron('lbaas-healthmonitor-show', '-f', 'json', 'nm'))
    expect(shown).toMatchObject({ delay: 9, expected_codes: '200-299' })
    expect(await neutron('lbaas-pool-show', 'adp')).toContain(made.id)
    const second = await stack.tryClient('demo', 'neutron', 'lbaas-healthmonitor-create', ...create.split(' '))
    expect(second.status).not.toBe(0)
    expect(second.stderr).toContain('Only one health monitor per pool allowed.')
    await api.settled(lb.id)
    const tree = JSON.parse(await neutron('lbaas-loadbalancer-status', 'ad'))
    expect(tree.loadbalancer.listeners[0].pools[0].healthmonitor).toMatchObject({ id: made.id, type: 'HTTP' })
    await neutron('lbaas-healthmonitor-delete', 'nm')
    await api.settled(lb.id)
    expect(await neutron('lbaas-healthmonitor-list')).not.toContain('nm')
  })
})

describe('amphorae', () => {
  test('are listed and shown to administrators', async () => {
    const [all, own, long] = await typed<Record<string, string>[]>(
      'admin',
      'amphora list',
      'amphora list --loadbalancer ad --role MASTER --status ALLOCATED',
      'amphora list --loadbalancer ad --long --role MASTER',
    )
    expect(own).toMatchObject([{ loadbalancer_id: lb.id, role: 'MASTER', status: 'ALLOCATED' }])
    expect(all!.map(one => one.id)).toContain(own![0]!.id)
    const [shown] = await typed('admin', `amphora show ${own![0]!.id}`)
    expect(shown).toMatchObject({ id: own![0]!.id, compute_id: long![0]!.compute_id, loadbalancer_id: lb.id })
    expect(shown!.lb_network_ip).toMatch(/^192\.168\.0\./)
    const refused = await stack.tryClient('demo', 'openstack', 'loadbalancer', 'amphora', 'list')
    expect(refused.stderr).toContain('Policy does not allow this request to be performed.')
  })

  test('are given their configuration again when administrators ask for it', async () => {
    const [list] = await typed<{ id: string; compute_id: string }[]>('admin', 'amphora list --loadbalancer ad --long')
    const { id } = list![0]!
    const done = () => stack.explain(lb.id)
    expect(await done()).not.toContain('configure agent')
    await act('admin', 'amphora', 'configure', id)
    await expect.poll(done, { timeout: 60_000 }).toContain('configure agent')
    const [shown] = await typed('demo', 'show ad')
    expect(shown).toMatchObject({ provisioning_status: 'ACTIVE' })
  })

  test('are failed over when administrators ask for it, one or all', async () => {
    const pair = async () => {
      const [list, shown] = await typed('admin', 'amphora list --loadbalancer ad --status ALLOCATED', 'show ad')
      expect(shown).toMatchObject({ provisioning_status: 'ACTIVE' })
      const rows = list as unknown as { id: string; role: string }[]
      expect(rows.map(one => one.role).toSorted()).toEqual(['BACKUP', 'MASTER'])
      return new Map(rows.map(one => [one.role, one.id]))
    }
    const before = await pair()
    await act('admin', 'amphora', 'failover', '--wait', before.get('BACKUP')!)
    const between = await pair()
    expect(between.get('MASTER')).toBe(before.get('MASTER'))
    expect(between.get('BACKUP')).not.toBe(before.get('BACKUP'))
    await act('admin', 'failover', '--wait', 'ad')
    const after = await pair()
    for (const role of ['MASTER', 'BACKUP']) expect(after.get(role)).not.toBe(between.get(role))
    const refused = await stack.tryClient('demo', 'openstack', 'loadbalancer', 'failover', 'ad')
    expect(refused.stderr).toContain('Policy does not allow this request to be performed.')
  })
})

describe('an availability zone', () => {
  test('is made by administrators and chosen by tenants', async () => {
    const networks = JSON.parse(await stack.client('admin', 'openstack', 'network', 'list', '-f', 'json')) as {
      ID: string
      Name: string
    }[]
    const idOf = (name: string) => networks.find(one => one.Name === name)!.ID
    const where = { compute_zone: 'nova', management_network: idOf('lb-mgmt-net') }
    const said = JSON.stringify({ ...where, valid_vip_networks: [idOf('private')] })
    const named = ['--name', 'adz', '--provider', 'amphora', '--availability-zone-data', said, '-f', 'json']
    const profile = JSON.parse(await act('admin', 'availabilityzoneprofile', 'create', ...named)) as { id: string }
    const [zone, capabilities] = await typed<Record<string, string>>(
      'admin',
      'availabilityzone create --name adzone --availabilityzoneprofile adz --enable --description one',
      'provider capability list amphora --availability-zone',
    )
    expect(zone).toMatchObject({ name: 'adzone', availability_zone_profile_id: profile.id, enabled: true })
    expect(JSON.stringify(capabilities)).toContain('valid_vip_networks')
    const [offered, made] = await typed<Record<string, string>>(
      'demo',
      'availabilityzone list',
      'create --name adf --vip-subnet-id private-subnet --availability-zone adzone --wait',
    )
    expect(JSON.stringify(offered)).toContain('adzone')
    expect(made).toMatchObject({ availability_zone: 'adzone', provisioning_status: 'ACTIVE' })
    const [own] = await typed<Record<string, string>[]>('admin', 'amphora list --loadbalancer adf --long')
    for (const { id } of own!) {
      const [shown] = await typed<Record<string, string>>('admin', `amphora show ${id}`)
      expect(shown).toMatchObject({ cached_zone: 'nova' })
    }
    const used = await stack.tryClient('admin', ...'openstack loadbalancer availabilityzone delete adzone'.split(' '))
    expect(used.stderr).toContain('Availability Zone adzone is in use and cannot be modified.')
    await act('demo', 'delete', '--cascade', '--wait', 'adf')
    await act('admin', 'availabilityzone', 'set', '--disable', 'adzone')
    const create = 'openstack loadbalancer create --name adf --vip-subnet-id private-subnet --availability-zone adzone'
    const refused = await stack.tryClient('demo', ...create.split(' '))
    expect(refused.stderr).toContain('The selected availability_zone is not allowed in this deployment')
    await act('admin', 'availabilityzone', 'delete', 'adzone')
    await act('admin', 'availabilityzoneprofile', 'delete', 'adz')
  })
})

describe('a flavor', () => {
  test('is made by administrators and chosen by tenants', async () => {
    const described = ['--flavor-data', '{"loadbalancer_topology": "SINGLE"}', '-f', 'json']
    const named = ['--name', 'adp', '--provider', 'amphora', ...described]
    const profile = JSON.parse(await act('admin', 'flavorprofile', 'create', ...named)) as { id: string }
    const [flavor, capabilities] = await typed<Record<string, string>>(
      'admin',
      'flavor create --name adflavor --flavorprofile adp --enable --description one',
      'provider capability list amphora',
    )
    expect(profile).toMatchObject({ name: 'adp', provider_name: 'amphora' })
    expect(flavor).toMatchObject({ name: 'adflavor', flavor_profile_id: profile.id, enabled: true })
    expect(JSON.stringify(capabilities)).toContain('loadbalancer_topology')
    const [offered, made] = await typed<Record<string, string>>(
      'demo',
      'flavor list',
      'create --name adf --vip-subnet-id private-subnet --flavor adflavor --wait',
    )
    expect(JSON.stringify(offered)).toContain('adflavor')
    expect(made).toMatchObject({ flavor_id: flavor!.id, provisioning_status: 'ACTIVE' })
    const [own] = await typed<Record<string, string>[]>('admin', 'amphora list --loadbalancer adf')
    expect(own).toMatchObject([{ role: 'STANDALONE' }]) // the deployment's are pairs
    const used = await stack.tryClient('admin', 'openstack', 'loadbalancer', 'flavor', 'delete', 'adflavor')
    expect(used.stderr).toContain(`Flavor ${flavor!.id} is in use and cannot be modified.`)
    await act('demo', 'delete', '--cascade', '--wait', 'adf')
    await act('admin', 'flavor', 'set', '--disable', 'adflavor')
    const create = 'openstack loadbalancer create --name adf --vip-subnet-id private-subnet --flavor adflavor'
    const refused = await stack.tryClient('demo', ...create.split(' '))
    expect(refused.stderr).toContain('The selected flavor is not allowed in this deployment')
    await act('admin', 'flavor', 'delete', 'adflavor')
    await act('admin', 'flavorprofile', 'delete', 'adp')
  })
})
