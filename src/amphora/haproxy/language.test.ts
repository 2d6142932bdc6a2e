/** No string leaves its own word: tried on our reader, and on haproxy itself. */
import { spawn } from 'node:child_process'
import fs from 'node:fs'
import http from 'node:http'
import os from 'node:os'
import path from 'node:path'
import fc from 'fast-check'
import { afterAll, expect, test } from 'vitest'
import { fetchArgument, word, words } from './language.ts'

const anyText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 60 }),
  fc.string({ unit: fc.constantFrom(...' \t\r\n\\"\'#$%{}()[],;:\0aé€😀'), maxLength: 20 }),
)
const asHeld = (text: string) => text.replaceAll('\0', '\ufffd').toWellFormed()

test('a written word is read back as itself, between neighbours that stay', () => {
  fc.assert(
    fc.property(anyText, anyText, (a, b) => {
      const line = `server ${word(a)} ${word(b)} end`
      expect(line).toMatch(/^[\x20-\x7e]*$/)
      expect(words(line)).toEqual(['server', asHeld(a), asHeld(b), 'end'])
    }),
  )
})

test('an argument of a fetch is one word', () => {
  fc.assert(
    fc.property(anyText, text => {
      expect(words(`x(${fetchArgument(text)}) y`)).toHaveLength(2)
    }),
  )
})

test('quotes, escapes and comments are read as haproxy reads them', () => {
  expect(words(String.raw`  a  "b c" 'd\n"' "e\nf\x41\'\#\ \zg"# no`)).toEqual([
    'a',
    'b c',
    String.raw`d\n"`,
    "e\nfA'# \\zg",
  ])
  expect(words('   # nothing')).toEqual([])
  expect(words('a "" b')).toEqual(['a', '', 'b'])
})

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'language-'))
afterAll(() => fs.rmSync(folder, { recursive: true }))

test('haproxy itself serves back what was written', async () => {
  const texts = [
    ...fc.sample(anyText, 150),
    'x\n    bind :1',
    '\'; "',
    '$HOME $' + '{HOME}',
    'a # b',
    '\\x0a',
    '%[path]',
  ]
  const rules = texts.map((text, i) => {
    const reply = `http-request return status 200 content-type text/plain string ${word(`-${text}`)}`
    return `    ${reply} if { path /${i} }`
  })
  const socket = path.join(folder, 's')
  const lines = [
    'defaults',
    '    mode http',
    '    timeout client 9s',
    'frontend f',
    `    bind unix@${socket}`,
    ...rules,
  ]
  fs.writeFileSync(path.join(folder, 'cfg'), `${lines.join('\n')}\n`)
  const haproxy = spawn('haproxy', ['-db', '-f', path.join(folder, 'cfg')], { stdio: 'ignore' })
  try {
    await expect.poll(() => fs.existsSync(socket), { timeout: 20_000 }).toBe(true)
    for (const [i, text] of texts.entries()) expect(await bodyOf(socket, `/${i}`)).toBe(`-${asHeld(text)}`)
  } finally {
    haproxy.kill('SIGKILL')
  }
})

async function bodyOf(socketPath: string, path: string): Promise<string> {
  const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
    http.get({ socketPath, path, agent: false }, resolve).on('error', reject)
  })
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk)
  return Buffer.concat(chunks).toString('utf8')
}
