/** Policy files: what they override, how they are refused, and that a change of one is seen. */
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, describe, expect, test, vi } from 'vitest'
import { callerOf } from '../policy.ts'
import { apiForTests, foreign_subnet, subnet } from '../pretended.ts'
import { Policy } from './policy-file.ts'

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'ottavia-policy-'))
afterAll(() => fs.rmSync(folder, { recursive: true }))
const file = path.join(folder, 'policy.yaml')
const log = { info: vi.fn(), error: vi.fn() }
const opened = (text: string) => {
  fs.writeFileSync(file, text)
  return new Policy(file, log)
}
const may = (policy: Policy, roles: string[], rule: Parameters<ReturnType<typeof callerOf>['may']>[0], of = 'p') =>
  callerOf(policy, { user_id: 'u', project_id: 'p', system_scope: null, roles }, false).may(rule, of)

describe('a policy file', () => {
  test('may be empty, or JSON', () => {
    for (const text of ['', '# nothing\n', '{}']) expect(may(opened(text), ['reader'], 'pool:get_one')).toBe(true)
    const json = opened('{"os_load-balancer_api:pool:get_one": [["role:x"], ["role:y", "role:z"]]}')
    expect(may(json, ['reader'], 'pool:get_one')).toBe(false)
    expect(may(json, ['z', 'y'], 'pool:get_one', 'q')).toBe(true)
  })

  test('overrides one rule and leaves the others', () => {
    const policy = opened('"os_load-balancer_api:loadbalancer:put_failover": "rule:load-balancer:write"\n')
    expect(may(policy, ['member'], 'loadbalancer:put_failover')).toBe(true)
    expect(may(policy, ['member'], 'loadbalancer:put_failover', 'q')).toBe(false)
    expect(may(policy, ['member'], 'amphora:put_failover')).toBe(false)
  })

  test('as of old: whoever owns it, and admins', () => {
    const policy = opened(`
"context_is_admin": "role:admin or role:load-balancer_admin"
"admin_or_owner": "is_admin:True or project_id:%(project_id)s"
"load-balancer:read": "rule:admin_or_owner"
"load-balancer:read-global": "is_admin:True"
"load-balancer:write": "rule:admin_or_owner"
"load-balancer:read-quota": "rule:admin_or_owner"
"load-balancer:read-quota-global": "is_admin:True"
"load-balancer:write-quota": "is_admin:True"
`)
    expect(may(policy, [], 'loadbalancer:post')).toBe(true)
    expect(may(policy, [], 'loadbalancer:post', 'q')).toBe(false)
    expect(may(policy, [], 'loadbalancer:get_all-global')).toBe(false)
    expect(may(policy, ['load-balancer_admin'], 'loadbalancer:get_all-global')).toBe(true)
    expect(may(policy, ['load-balancer_global_observer'], 'loadbalancer:get_all-global')).toBe(false)
    expect(may(policy, ['load-balancer_quota_admin'], 'quota:put')).toBe(false)
  })

  test('with the legacy roles alone', () => {
    const policy = opened(`
"load-balancer:observer_and_owner": "role:load-balancer_observer and
                                     rule:load-balancer:owner"
"load-balancer:global_observer": "role:load-balancer_global_observer"
"load-balancer:member_and_owner": "role:load-balancer_member and
                                   rule:load-balancer:owner"
`)
    expect(may(policy, ['reader'], 'loadbalancer:get_one')).toBe(false)
    expect(may(policy, ['member'], 'loadbalancer:post')).toBe(false)
    expect(may(policy, ['load-balancer_member'], 'loadbalancer:post')).toBe(true)
  })

  test.each<[text: string, line: number, says: string]>([
    ['"a": "role:x"\n"b": "role:x role:y"\n', 2, 'b: before "role:y" there must be: and, or'],
    ['"a": "rule:nowhere"\n', 1, 'a: there is no rule nowhere; define it in the file, or correct the name'],
    [
      '\n"os_load-balancer_api:pool:get": "@"\n',
      2,
      'there is no rule os_load-balancer_api:pool:get; there are os_load-balancer_api:pool:get_all, os_load-balancer_api:pool:get_all-global, os_load-balancer_api:pool:get_one, os_load-balancer_api:pool:post, os_load-balancer_api:pool:put, os_load-balancer_api:pool:delete',
    ],
    ['"a": "rule:b"\n"b": "not rule:a"\n', 1, 'a → b → a goes in a circle; break it'],
    [
      '"service": "role:x"\n"load-balancer:owner": "rule:load-balancer:read"\n',
      2,
      'load-balancer:owner → load-balancer:read → load-balancer:observer_and_owner → load-balancer:owner goes in a circle; break it',
    ],
    ['"a": 5\n', 1, 'a: a rule is a text, or a list of lists of checks'],
    ['"a": {}\n', 1, 'a: a rule is a text, or a list of lists of checks'],
    ['"a": "@"\n"a": "!"\n', 2, 'this is no YAML: Map keys must be unique'],
    ['- a\n', 1, 'the file must be a map of names to rules, e.g. "service": "role:service"'],
    ['5: "@"\n', 1, 'names of rules are texts; put it in quotes'],
    ['"a": "@\n', 2, 'this is no YAML: Missing closing "quote'],
    ['a: @\n', 1, 'this is no YAML: Plain value cannot start with reserved character @'],
  ])('%j is refused', (text, line, says) => {
    expect(() => opened(text)).toThrow(expect.objectContaining({ message: `${file}:${line}: ${says}` }))
  })

  test('that is not there is refused', () => {
    expect(() => new Policy(path.join(folder, 'none'), log)).toThrow(
      /none: it cannot be read \(ENOENT.*\); correct \[oslo_policy\] policy_file/,
    )
  })
})

describe('a running API', () => {
  const changing = path.join(folder, 'changing.yaml')
  fs.writeFileSync(changing, '')
  const api = apiForTests({ policy_file: changing })

  test('sees a change of its file within two seconds, and keeps what was good when it becomes wrong', async () => {
    const created = await api.octavia('POST', '/loadbalancers', { loadbalancer: { vip_subnet_id: subnet } })
    const { id } = (created.body as { loadbalancer: { id: string } }).loadbalancer
    const read = async (token: string) =>
      (await api.octavia('GET', `/loadbalancers/${id}`, undefined, { token })).status
    const until = (token: string, status: number) =>
      vi.waitFor(async () => expect(await read(token)).toBe(status), 5_000)
    expect(await read('reader')).toBe(200)
    expect(await read('other')).toBe(403)
    fs.writeFileSync(changing, '"os_load-balancer_api:loadbalancer:get_one": "role:load-balancer_member"\n')
    await until('reader', 403)
    expect(await read('other')).toBe(200)
    // in Neutron's dialect what a stranger may not see is not there
    const neutron = await api.neutron('GET', `/loadbalancers/${id}`, undefined, { token: 'global' })
    expect(neutron.status).toBe(404)
    fs.writeFileSync(changing, '"os_load-balancer_api:loadbalancer:get_one": "role:\n')
    await sleep(1_200)
    expect([await read('reader'), await read('other')]).toEqual([403, 200])
    fs.rmSync(changing)
    await sleep(1_200)
    expect([await read('reader'), await read('other')]).toEqual([403, 200])
    fs.writeFileSync(changing, '"os_load-balancer_api:loadbalancer:post": "role:load-balancer_member"\n')
    await until('reader', 200)
    // and writes follow: whom the rule lets create elsewhere may name another's project
    const lb = { vip_subnet_id: foreign_subnet, project_id: 'other-project' }
    const answer = await api.octavia('POST', '/loadbalancers', { loadbalancer: lb })
    expect(answer.status).toBe(403)
  })

  test('does not start with one that is wrong', async () => {
    const policy_file = path.join(folder, 'wrong.yaml')
    fs.writeFileSync(policy_file, '"x": "y"\n')
    await expect(api.start({ policy_file })).rejects.toThrow(`${policy_file}:1: x: "y" is no check`)
  })
})
