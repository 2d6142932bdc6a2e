/** The program by which keepalived asks a member by a datagram: with perl, and by the agent itself. */
import { spawnSync } from 'node:child_process'
import dgram from 'node:dgram'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { run } from './command.ts'
import { checkByDatagram, udpCheckScript, writeUdpCheck } from './udp-check.ts'

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'udp-check-'))
const sockets: dgram.Socket[] = []
beforeAll(() => writeUdpCheck(folder, ['/bin/echo', "the agent's", 'mode']))
afterAll(() => {
  for (const each of sockets) each.close()
  fs.rmSync(folder, { recursive: true })
})

async function bound(address: string, answers: boolean): Promise<string> {
  const socket = dgram.createSocket(address.includes(':') ? 'udp6' : 'udp4')
  if (answers) socket.on('message', (_, from) => socket.send('here', from.port, from.address))
  await new Promise<void>(resolve => socket.bind(0, address, resolve))
  sockets.push(socket)
  return String(socket.address().port)
}

async function closed(address: string): Promise<string> {
  const port = await bound(address, false)
  await new Promise<void>(resolve => sockets.pop()!.close(resolve))
  return port
}

const byScript = async (address: string, port: string) =>
  (await run(['sh', udpCheckScript(folder), address, port])).code
const byAgent = (address: string, port: string) => checkByDatagram([address, port])

describe.each([
  ['the script', byScript],
  ['the agent', byAgent],
])('%s', (_, ask) => {
  test.each(['127.0.0.1', '::1'])('tells a member on %s from nobody', async address => {
    expect(await ask(address, await bound(address, true))).toBe(0)
    expect(await ask(address, await bound(address, false))).toBe(0)
    expect(await ask(address, await closed(address))).toBe(1)
  })
})

test('without perl the agent is asked, its command line whole', () => {
  const { stdout } = spawnSync('/bin/sh', [udpCheckScript(folder), '10.0.0.11', '53'], {
    encoding: 'utf8',
    env: { PATH: '/nonexistent' },
  })
  expect(stdout).toBe("the agent's mode udp-check 10.0.0.11 53\n")
})
