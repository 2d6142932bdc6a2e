/** The fence keeps the highest token, also over a restart. */
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { Fence } from './fence.ts'

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'fence-'))
afterAll(() => fs.rmSync(folder, { recursive: true }))
const file = path.join(folder, 'fence.json')

test('a lower token of the same load balancer is refused, by the next agent too', async () => {
  const fence = new Fence(file)
  await fence.admit('lb1:9')
  await fence.admit('lb1:9')
  await fence.admit('lb1:12345678901234567890')
  await fence.admit('lb2:1')
  await fence.admit(undefined)
  for (const each of [fence, new Fence(file)]) {
    await expect(each.admit('lb1:12345678901234567889')).rejects.toMatchObject({
      answer: {
        status: 409,
        body: {
          message: 'A newer controller is at work',
          details: expect.stringContaining('is older than 12345678901234567890'),
        },
      },
    })
    await each.admit('lb2:1')
  }
})

test.each(['', 'lb', 'lb:', 'lb:-1', 'lb:1x', '../x:1', 'lb:1:2'])('%j is no token', async header => {
  await expect(new Fence(file).admit(header)).rejects.toMatchObject({ answer: { status: 400 } })
})
