/** Every command of the genuine `openstack loadbalancer`, once at least, typed into a few sessions: each is accepted, and says
 *  what it should. */
import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { beforeAll, describe, expect, inject, test } from 'vitest'
import { Api } from '../api.ts'
import { eventually, Stack } from '../stack.ts'

const stack = new Stack(inject('stack_dir'))
const used = new Set<string>()
let project: string
let admin: Api

/** What is said of a command: nothing, or parts of its answer. */
type Line = [command: string, expected?: object]

/** Types the lines into one session; those that expect an answer are asked for JSON. */
async function session(user: 'admin' | 'demo', lines: Line[]): Promise<void> {
  for (const [command] of lines) used.add(nameOf(command))
  const input = lines.map(([command, expected]) => `loadbalancer ${command}${expected ? ' -f json' : ''}`)
  const { stdout, stderr } = await stack.shell(user, `printf '%s\\n' "$LINES_TO_TYPE" | openstack`, {
    LINES_TO_TYPE: input.join('\n'),
  })
  expect(stderr.replace(/^.*deprecat.*$\n?/gim, ''), input.join('\n')).toBe('')
  const answers = stdout.split(/^(?=[{[])/m).filter(text => /^[{[]/.test(text))
  const asking = lines.filter(([, expected]) => expected)
  expect(answers, stdout).toHaveLength(asking.length)
  for (const [i, [command, expected]] of asking.entries()) {
    const said = JSON.parse(answers[i]!.replace(/\n[^\]}]*$/, ''))
    const parts = Array.isArray(expected)
      ? expect.arrayContaining(expected.map(one => expect.objectContaining(one)))
      : expected!
    expect({ command, said }).toMatchObject({ command, said: parts })
  }
}

/** The entry point of a command: `amphora stats show x` is loadbalancer_amphora_stats_show. */
function nameOf(command: string): string {
  const words = command.split(' ')
  const known = commands()
  for (let length = words.length; length > 0; length--) {
    const name = ['loadbalancer', ...words.slice(0, length)].join('_')
    if (known.includes(name)) return name
  }
  throw new Error(`${command} is no command of the client's`)
}

let entry_points: string[] | null = null
function commands(): string[] {
  if (entry_points) return entry_points
  const packages = '/usr/lib/python3/dist-packages'
  const folder = fs.readdirSync(packages).find(name => /^python_octaviaclient.*(egg|dist)-info$/.test(name))!
  const text = fs.readFileSync(path.join(packages, folder, 'entry_points.txt'), 'utf8')
  entry_points = [...text.matchAll(/^(loadbalancer_\w+)/gm)].map(match => match[1]!)
  return entry_points
}

beforeAll(async () => {
  execFileSync('openstack', ['--version'])
  admin = await Api.of(stack, 'admin')
  const [shown] = await stack.typed<{ id: string }>('admin', 'project show demo')
  project = shown!.id
})

describe('administrators', () => {
  test('offer flavors and availability zones', async () => {
    // the client's sessions lose quotes
    const profile = async (kind: string, name: string, option: string, data: string) => {
      used.add(nameOf(`${kind} create`))
      await stack.client(
        'admin',
        'openstack',
        'loadbalancer',
        kind,
        'create',
        '--name',
        name,
        '--provider',
        'amphora',
        option,
        data,
      )
    }
    await profile('flavorprofile', 'cfp', '--flavor-data', '{"loadbalancer_topology": "SINGLE"}')
    await profile('availabilityzoneprofile', 'czp', '--availability-zone-data', '{"compute_zone": "nova"}')
    await session('admin', [
      ['provider list', [{ name: 'amphora' }]],
      ['provider capability list amphora', [{ type: 'flavor', name: 'loadbalancer_topology' }]],
      ['flavorprofile set --name cfp2 cfp'],
      ['flavorprofile show cfp2', { name: 'cfp2' }],
      ['flavorprofile list', []],
      ['flavor create --name cf --flavorprofile cfp2 --enable', { name: 'cf', enabled: true }],
      ['flavor set --disable cf'],
      ['flavor show cf', { enabled: false }],
      ['flavor set --enable cf'],
      ['flavor unset --description cf'],
      ['flavor list', []],
      ['availabilityzoneprofile set --name czp2 czp'],
      ['availabilityzoneprofile show czp2', { name: 'czp2', provider_name: 'amphora' }],
      ['availabilityzoneprofile list', []],
      ['availabilityzone create --name cz --availabilityzoneprofile czp2 --enable', { name: 'cz', enabled: true }],
      ['availabilityzone set --description here cz'],
      ['availabilityzone show cz', { description: 'here' }],
      ['availabilityzone unset --description cz'],
      ['availabilityzone list', []],
    ])
  })

  test('set quotas', async () => {
    await session('admin', [
      ['quota defaults show', { load_balancer: -1 }],
      [`quota set --member 50 --loadbalancer 40 ${project}`, { member: 50, load_balancer: 40 }],
      [`quota show ${project}`, { member: 50 }],
      ['quota list', [{ project_id: project }]],
      [`quota unset --member ${project}`],
      [`quota reset ${project}`],
    ])
  })
})

describe('a tenant', () => {
  test('makes a load balancer of every kind of object', async () => {
    await session('demo', [
      [
        'create --name c1 --vip-subnet-id private-subnet --flavor cf --availability-zone cz --tag one --wait',
        { name: 'c1', provisioning_status: 'ACTIVE', availability_zone: 'cz' },
      ],
      [
        'listener create --name cl --protocol HTTP --protocol-port 80 --timeout-client-data 9000 c1',
        { name: 'cl', timeout_client_data: 9000 },
      ],
      [
        'pool create --name cp --protocol HTTP --lb-algorithm ROUND_ROBIN --listener cl --session-persistence type=SOURCE_IP',
        { name: 'cp' },
      ],
      [
        'pool create --name cp2 --protocol HTTP --lb-algorithm SOURCE_IP --loadbalancer c1',
        { lb_algorithm: 'SOURCE_IP' },
      ],
      [
        'member create --name cm --address 10.0.0.241 --protocol-port 80 --enable-backup cp',
        { backup: true, address: '10.0.0.241' },
      ],
      [
        'healthmonitor create --name ch --type HTTP --delay 5 --timeout 4 --max-retries 3 --url-path /up cp',
        { url_path: '/up' },
      ],
      [
        'l7policy create --name cpo --action REDIRECT_TO_POOL --redirect-pool cp2 cl',
        { action: 'REDIRECT_TO_POOL', position: 1 },
      ],
      [
        'l7rule create --type PATH --compare-type STARTS_WITH --value /x cpo',
        { compare_type: 'STARTS_WITH', invert: false },
      ],
    ])
    const [rules] = await stack.typed<{ id: string }[]>('demo', 'loadbalancer l7rule list cpo')
    const rule = rules![0]!.id
    await session('demo', [
      ['list --name c1', [{ name: 'c1', provider: 'amphora' }]],
      ['listener list --loadbalancer c1', [{ name: 'cl' }]],
      ['pool list --loadbalancer c1', []],
      ['member list cp', [{ name: 'cm' }]],
      ['healthmonitor list', []],
      ['l7policy list', []],
      ['l7rule list cpo', [{ value: '/x' }]],
      ['show c1', { tags: 'one' }],
      ['listener show cl', { protocol_port: 80 }],
      [
        'pool show cp',
        {
          session_persistence:
            'type=SOURCE_IP\ncookie_name=None\npersistence_timeout=None\npersistence_granularity=None',
        },
      ],
      ['member show cp cm', { weight: 1 }],
      ['healthmonitor show ch', { max_retries: 3 }],
      ['l7policy show cpo', { name: 'cpo' }],
      [`l7rule show cpo ${rule}`, { id: rule }],
      ['set --description d --tag two c1'],
      ['listener set --connection-limit 10 --description d cl'],
      ['pool set --description d cp'],
      ['member set --weight 7 cp cm'],
      ['healthmonitor set --delay 6 ch'],
      ['l7policy set --description d cpo'],
      [`l7rule set --value /y cpo ${rule}`],
      ['unset --description c1'],
      ['listener unset --connection-limit cl'],
      ['pool unset --session-persistence cp'],
      ['member unset --weight cp cm'],
      ['healthmonitor unset --url-path ch'],
      ['l7policy unset --description cpo'],
      [`l7rule unset --invert cpo ${rule}`],
      ['show c1', { description: '' }],
      ['listener show cl', { connection_limit: -1 }],
      ['member show cp cm', { weight: 1 }],
      ['healthmonitor show ch', { delay: 6, url_path: '/' }],
      ['stats show c1', { total_connections: 0 }],
      ['listener stats show cl', { total_connections: 0 }],
    ])
    const status = JSON.parse(await stack.client('demo', 'openstack', 'loadbalancer', 'status', 'show', 'c1'))
    used.add(nameOf('status show'))
    expect(status.loadbalancer).toMatchObject({
      name: 'c1',
      listeners: [{ name: 'cl', pools: [{ name: 'cp' }, { name: 'cp2' }] }],
    })
  })

  test('takes it away, object by object', async () => {
    const [rules] = await stack.typed<{ id: string }[]>('demo', 'loadbalancer l7rule list cpo')
    await session('demo', [
      [`l7rule delete cpo ${rules![0]!.id}`],
      ['l7policy delete cpo'],
      ['healthmonitor delete ch'],
      ['member delete cp cm'],
      ['listener delete cl --wait'],
      ['pool delete cp'],
      ['pool delete cp2'],
    ])
  })
})

test('administrators see amphorae, push their configuration and have them replaced', async () => {
  const [amphorae] = await stack.typed<{ id: string }[]>('admin', 'loadbalancer amphora list --loadbalancer c1')
  const { id } = amphorae![0]!
  await session('admin', [
    ['amphora list', []],
    [`amphora show ${id}`, { id, status: 'ALLOCATED' }],
    [`amphora configure ${id}`],
    ['failover c1 --wait'],
  ])
  const failed = await stack.tryClient('admin', 'openstack', 'loadbalancer', 'amphora', 'stats', 'show', id)
  used.add(nameOf('amphora stats show'))
  expect(failed.stderr).toMatch(/not found/) // it is gone, and had no listener
  const [now] = await stack.typed<{ id: string }[]>('admin', 'loadbalancer amphora list --loadbalancer c1')
  expect(now![0]!.id).not.toBe(id)
  await session('admin', [[`amphora failover ${now![0]!.id} --wait`]])
  const refused = await stack.tryClient('admin', 'openstack', 'loadbalancer', 'amphora', 'delete', now![0]!.id)
  used.add(nameOf('amphora delete'))
  expect(refused.stderr).toMatch(/immutable|not found/) // only what failed while it was made
})

test('and nothing is left', async () => {
  await session('demo', [['delete c1 --cascade --wait']])
  await eventually(
    'gone',
    async () =>
      (await admin.octavia<{ loadbalancers: object[] }>('GET', 'loadbalancers?name=c1')).body.loadbalancers.length ===
      0,
  )
  await session('admin', [
    ['flavor delete cf'],
    ['flavorprofile delete cfp2'],
    ['availabilityzone delete cz'],
    ['availabilityzoneprofile delete czp2'],
  ])
})

test('there is no command that was not used', () => {
  expect(commands().filter(name => !used.has(name))).toEqual([])
})
