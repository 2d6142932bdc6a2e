/** Options: defaults, the file, the environment, and refusals that say what to change. */
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { inspect } from 'node:util'
import { afterAll, describe, expect, test } from 'vitest'
import { declarations, loadOptions, OptionsError } from './options.ts'

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'ottavia-options-'))
afterAll(() => fs.rmSync(folder, { recursive: true }))

function file(text: string): string {
  const name = path.join(folder, `${Math.random()}.toml`)
  fs.writeFileSync(name, text)
  return name
}

describe('options', () => {
  test('have defaults, each with a meaning', () => {
    const options = loadOptions(null, {})
    expect(options.api_settings.bind_port).toBe(9876)
    expect(options.api_settings.locking).toBe('queue')
    for (const section of Object.values(declarations))
      for (const { doc } of Object.values(section)) expect(doc.length).toBeGreaterThan(8)
  })

  test('the file is read, the environment wins over it', () => {
    const name = file('[api_settings]\nbind_port = 1234\nlocking = "conflict"\n')
    expect(loadOptions(name, {}).api_settings).toMatchObject({ bind_port: 1234, locking: 'conflict' })
    expect(loadOptions(name, { OTTAVIA_API_SETTINGS_BIND_PORT: '4321' }).api_settings.bind_port).toBe(4321)
  })

  test.each([
    ['[api_settings]\nbind_port = 70000\n', /bind_port must be a number from 1 to 65535, not 70000/],
    ['[api_settings]\nbind_port = "many"\n', /must be a number/],
    ['[api_settings]\nlocking = "maybe"\n', /must be one of queue, conflict, not maybe/],
    ['[api_settings]\nbindport = 1\n', /section \[api_settings\] has no option bindport/],
    ['[nonsense]\n', /no section \[nonsense\]/],
    ['[controller_worker]\nloadbalancer_topology = "TRIPLE"\n', /must be one of SINGLE/],
    ['= = =', /cannot be read/],
  ])('%j is refused with what to change', (text, message) => {
    expect(() => loadOptions(file(text), {})).toThrow(OptionsError)
    expect(() => loadOptions(file(text), {})).toThrow(message)
  })

  test('a missing file is refused by its name', () => {
    expect(() => loadOptions('/nonexistent/ottavia.toml', {})).toThrow(/nonexistent\/ottavia.toml cannot be read/)
  })

  test('secrets do not show when they are printed', () => {
    const options = loadOptions(null, { OTTAVIA_SERVICE_AUTH_PASSWORD: 'open sesame' })
    for (const text of [JSON.stringify(options), inspect(options, { depth: 9 }), `${options.service_auth.password}`])
      expect(text).not.toContain('sesame')
    expect(options.service_auth.password.reveal()).toBe('open sesame')
  })
})
