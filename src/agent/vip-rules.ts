/** PUT /interface/<ip>/rules: who may reach this amphora, where the cloud's firewall does not see what comes. */
import path from 'node:path'
import { vipRulesScript } from '../amphora/nftables/vip-rules.ts'
import type { InterfaceRule } from '../amphora/rest.ts'
import { type Answer, frameworkError } from './answer.ts'
import { succeed } from './command.ts'
import { readIfThere, writeWhole } from './files.ts'
import { ensureNamespace, inside } from './namespace.ts'

export class VipRules {
  readonly #file: string
  readonly #namespace: string | undefined

  constructor(base_path: string, namespace?: string) {
    this.#file = path.join(base_path, 'nftables-vip.rules')
    this.#namespace = namespace
  }

  /** In place of the rules before. */
  async set(interface_name: string, body: Buffer): Promise<Answer> {
    const script = rendered(interface_name, body)
    await this.#load(script)
    await writeWhole(this.#file, script, 0o600)
    return { status: 200, body: { message: 'OK' } }
  }

  /** After a reboot: before anything listens. */
  async restore(): Promise<void> {
    const script = await readIfThere(this.#file)
    if (script !== null) await this.#load(script)
  }

  async #load(script: string): Promise<void> {
    await ensureNamespace(this.#namespace)
    await succeed(inside(['nft', '-f', '-'], this.#namespace), { input: script })
  }
}

function rendered(interface_name: string, body: Buffer): string {
  try {
    return vipRulesScript(interface_name, rulesIn(body))
  } catch {
    throw frameworkError(400, 'Invalid rules information')
  }
}

/** What they say is checked when it is rendered: here only that they have what a rule has. */
function rulesIn(body: Buffer): InterfaceRule[] {
  const all: unknown = JSON.parse(body.toString('utf8'))
  if (Array.isArray(all) && all.every(isRule)) return all
  throw new RangeError('it is no list of rules')
}

function isRule(value: unknown): value is InterfaceRule {
  if (typeof value !== 'object' || value === null || Object.keys(value).length !== 3) return false
  const { protocol, cidr, port } = value as Record<string, unknown>
  return typeof protocol === 'string' && (cidr === null || typeof cidr === 'string') && typeof port === 'number'
}
