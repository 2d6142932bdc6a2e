/** The genuine openstacksdk, which Ansible, Horizon's dashboard and many scripts drive: every method of its proxy. */
import { spawn } from 'node:child_process'
import path from 'node:path'
import { afterAll, expect, inject, test } from 'vitest'
import { Api } from '../api.ts'
import { Stack } from '../stack.ts'

const stack = new Stack(inject('stack_dir'))

afterAll(async () => {
  const demo = await Api.of(stack, 'demo')
  const { body } = await demo.octavia<{ loadbalancers: { id: string }[] }>('GET', 'loadbalancers?name=sdk')
  for (const { id } of body.loadbalancers) await demo.removed(id)
})

test('each method is called, and does what it says', async () => {
  const { servers } = await stack.status()
  const web = servers.filter(server => server.name.startsWith('web')).map(server => server.addresses[0])
  const env: Record<string, string> = { PATH: process.env.PATH!, WEB: JSON.stringify(web) }
  for (const user of ['demo', 'admin'] as const)
    for (const [name, value] of Object.entries(await stack.environment(user)))
      env[`${user.toUpperCase()}_${name}`] = String(value)
  const ran = await ended(['/usr/bin/python3', '-W', 'ignore', path.join(import.meta.dirname, 'sdk.py')], env)
  expect(ran).toEqual({ status: 0, stdout: '[]\n', stderr: '' }) // none was left out
})

function ended(argv: string[], env: Record<string, string>) {
  const child = spawn(argv[0]!, argv.slice(1), { env })
  const said = { stdout: '', stderr: '' }
  for (const stream of ['stdout', 'stderr'] as const)
    child[stream].setEncoding('utf8').on('data', text => {
      said[stream] += text
    })
  return new Promise(resolve => child.once('close', status => resolve({ status, ...said })))
}
