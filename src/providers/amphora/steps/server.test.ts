/** A server that never comes up is not waited for for ever. */
import { expect, test } from 'vitest'
import { CloudWorld } from '../../../../test/cloud-world.ts'
import { AgentError } from '../../../amphora/agent-error.ts'
import type { StepContext } from '../../../controller/flow.ts'
import { newAmphora } from '../../../lbaas/amphora.ts'
import type { Clients } from '../clients.ts'
import { boot } from './server.ts'

test('an agent of another version is told at once, with what to do', async () => {
  const world = new CloudWorld()
  const clients = world.clients()
  const refusing = { ...clients.agent, info: () => Promise.reject(new AgentError(404, 'not_found', '404 Not Found')) }
  const context = {
    ...{ clients: { ...clients, agent: () => refusing }, say: () => {}, signal: new AbortController().signal },
    ...{ pause: () => Promise.reject(new Error('it is not waited for')), now: () => new Date(0) },
  } as unknown as StepContext<Clients>
  const row = newAmphora({ id: 'a', created_at: '2026-01-01T00:00:00.000Z', unit: 'load_balancer' })
  await expect(boot({ ...row, certificate: 'one' }, { server_group_id: null }, context)).rejects.toMatchObject({
    name: 'Error',
    reason: "The load balancer's server speaks another version.",
    message: expect.stringContaining('roll out a newer image, or set [haproxy_amphora] unit = listener'),
  })
})

test('a server whose agent never answers goes, and the next try makes another', async () => {
  const world = new CloudWorld()
  let now_ms = 0
  const context: StepContext<Clients> = {
    clients: world.clients(),
    say: () => {},
    signal: new AbortController().signal,
    pause: async wait_ms => {
      now_ms += wait_ms
    },
    now: () => new Date(now_ms),
  }
  const first = await context.clients.nova.createServer({ name: 'amphora-a' } as never)
  world.servers.get(first)!.dead = true
  const amphora = { ...newAmphora({ id: 'a', created_at: '2026-01-01T00:00:00.000Z' }), certificate: 'one' }
  const wishes = { server_group_id: null }
  await expect(boot(amphora, wishes, context)).rejects.toThrow(
    `server ${first} did not come up within 300 s (nobody answers); another is made`,
  )
  expect([...world.servers.keys()]).toEqual([])
  const booted = await boot(amphora, wishes, context)
  expect(booted).toMatchObject({ status: 'ALLOCATED', compute_id: [...world.servers.keys()][0] })
  expect(booted.compute_id).not.toBe(first)
})
