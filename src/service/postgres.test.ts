/** Listening where PostgreSQL is away: it goes on trying, and ends when it is told to. */
import { once } from 'node:events'
import net, { type AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { openLog } from './log.ts'
import { listen } from './postgres.ts'

test('a database that hangs up is tried again', async () => {
  let tries = 0
  const server = net.createServer(socket => {
    tries++
    socket.on('error', () => {}).destroy()
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  const listener = listen(`postgresql://nobody@127.0.0.1:${port}/none`, 'a', () => {}, openLog('test'))
  while (tries < 3) await new Promise(resolve => setTimeout(resolve, 20))
  await listener.close()
  server.close()
  expect(tries).toBeGreaterThanOrEqual(3)
})
