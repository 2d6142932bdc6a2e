/** What a server of the cloud can see and change, with root inside it: tried from inside, not believed. */
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterAll, describe, expect, inject, test } from 'vitest'
import { eventually, Stack } from './stack.ts'

const stack = new Stack(inject('stack_dir'))
const repository = path.resolve(import.meta.dirname, '../..')
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'ottavia-intruder-'))
afterAll(() => fs.rmSync(folder, { recursive: true }))

/** Boots a server that runs the script; answers with what its console says once it has said `until`. */
async function consoleOf(
  user: 'admin' | 'demo',
  name: string,
  network: string,
  script: string,
  until: string,
  ...more: string[]
): Promise<string> {
  const file = path.join(folder, `${name}.sh`)
  fs.writeFileSync(file, script)
  const options = [
    '--flavor',
    'm1.tiny',
    '--image',
    'debian',
    '--nic',
    `net-name=${network}`,
    '--user-data',
    file,
    ...more,
  ]
  await stack.client(user, 'nova', 'boot', ...options, name)
  try {
    return await eventually(`${name} says ${until}`, async () => {
      const text = await stack.client(user, 'nova', 'console-log', name)
      return text.includes(until) ? text : null
    })
  } finally {
    await stack.client(user, 'nova', 'delete', name)
  }
}

async function controllerAddress(): Promise<string> {
  const text = await stack.client(
    'admin',
    'neutron',
    'port-list',
    '-f',
    'json',
    '--',
    '--name',
    'octavia-health-manager-ottavia-listen-port',
  )
  return /192\.168\.0\.\d+/.exec(text)![0]
}

describe('a server with root inside it', () => {
  test('sees and changes nothing of the host, of other networks, or of other servers’ addresses', async () => {
    const controller = await controllerAddress()
    const web = (await stack.status()).servers.find(server => server.name === 'web1')!.addresses[0]!
    const variables = { STATE_DIR: stack.dir, REPOSITORY: repository, CONTROLLER: controller, NEIGHBOUR: web }
    const exports = Object.entries(variables).map(([name, value]) => `export ${name}='${value}'\n`)
    const attempts = fs.readFileSync(path.join(import.meta.dirname, 'intruder.sh'), 'utf8').replace(/^#!.*\n/, '')
    const said = await consoleOf(
      'demo',
      'intruder',
      'private',
      `#!/bin/sh\n${exports.join('')}${attempts}`,
      'TRIED end',
    )
    const tried = said.split('\n').filter(line => line.startsWith('TRIED ') && line !== 'TRIED end')
    expect(tried.length).toBeGreaterThan(18)
    expect(tried.filter(line => !line.endsWith(': refused'))).toEqual([])
  })

  test('reaches its neighbours: what is refused above is refused by rules, not by a broken network', async () => {
    const web = (await stack.status()).servers.find(server => server.name === 'web1')!.addresses[0]!
    const said = await consoleOf(
      'demo',
      'neighbour',
      'private',
      `#!/bin/sh\ncurl -sS --max-time 5 http://${web}/\ncat /media/config-2/openstack/latest/meta_data.json\necho SAID\n`,
      'SAID',
      '--config-drive',
      'true',
    )
    expect(said).toContain('hello from web1')
    expect(said).toContain('"name":"neighbour"') // and its config drive tells it who it is
  })

  test('on lb-mgmt-net it reaches the controllers on the heartbeat port alone', async () => {
    const controller = await controllerAddress()
    const ports = [22, 80, 5000, 5555, 8774, 9292, 9311, 9696, 9876, 9877]
    const probe = `#!/bin/sh
for port in ${ports.join(' ')}; do
  if curl -sS --max-time 1 "http://${controller}:$port/" >/dev/null 2>/tmp/e; then echo "PROBED $port open"
  elif grep -q 'refused' /tmp/e; then echo "PROBED $port answers"
  else echo "PROBED $port silent"; fi
done
echo PROBED end
`
    const said = await consoleOf('admin', 'probe', 'lb-mgmt-net', probe, 'PROBED end')
    for (const port of ports) expect(said).toContain(`PROBED ${port} silent`)
  })
})
