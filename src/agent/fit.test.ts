/** A configuration that is fitted to a small machine. */
import { expect, test } from 'vitest'
import { fitToMachine, type Machine } from './fit.ts'

const machine: Machine = { open_files_limit: 20_000, users: new Set(['root', 'nobody']), groups: new Set(['nogroup']) }
const text = 'global\n    user nobody\n    group nogroup\n\nfrontend f\n    maxconn 50000\n    bind :80\n'

test('the connections are as many as the process may open files for, and the caller is told', () => {
  const fitted = fitToMachine(text, machine)
  expect(fitted.text).toBe(`${text}\nglobal\n    maxconn 7600\n`)
  expect(fitted.warnings).toEqual(['maxconn 50000 lowered to 7600: a process may open 20000 files here'])
})

test('a large machine gives what was asked for', () => {
  const fitted = fitToMachine(text, { ...machine, open_files_limit: 1_000_000 })
  expect(fitted).toEqual({ text: `${text}\nglobal\n    maxconn 50000\n`, warnings: [] })
})

test('a global maxconn of the controller’s is lowered in its place', () => {
  const own = 'global\n    maxconn 1000000\nfrontend f\n    maxconn 50000\n'
  expect(fitToMachine(own, machine).text).toBe('global\n    maxconn 7600\nfrontend f\n    maxconn 50000\n')
})

test('users and groups that this user namespace lacks are left out, on lines that keep their numbers', () => {
  const lines = fitToMachine(text, { ...machine, users: new Set(['root']), groups: new Set() }).text.split('\n')
  expect(lines[1]).toMatch(/^ {4}# "user" left out/)
  expect(lines[2]).toMatch(/^ {4}# "group" left out/)
  expect(lines.slice(4, 7)).toEqual(text.split('\n').slice(4, 7))
})
