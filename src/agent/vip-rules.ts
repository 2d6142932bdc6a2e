/** PUT /interface/<ip>/rules: who may reach this amphora, where the cloud's firewall does not see what comes. */
import { isIP } from 'node:net'
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
    const script = vipRulesScript(interface_name, rulesIn(body))
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

/** Every word of them ends up in nft's text. */
function rulesIn(body: Buffer): InterfaceRule[] {
  try {
    const all: unknown = JSON.parse(body.toString('utf8'))
    if (Array.isArray(all) && all.every(isRule)) return all
  } catch {
    // no JSON
  }
  throw frameworkError(400, 'Invalid rules information')
}

function isRule(value: unknown): value is InterfaceRule {
  if (typeof value !== 'object' || value === null || Object.keys(value).length !== 3) return false
  const { protocol, cidr, port } = value as Record<string, unknown>
  const known = typeof protocol === 'string' && ['TCP', 'UDP', 'SCTP', 'VRRP'].includes(protocol)
  return (
    known && (cidr === null || isCidr(cidr)) && Number.isInteger(port) && Number(port) >= 1 && Number(port) <= 65_535
  )
}

function isCidr(value: unknown): boolean {
  const [, address = '', prefix] = (typeof value === 'string' && /^([0-9a-fA-F.:]+)\/(\d{1,3})$/.exec(value)) || []
  const family = isIP(address)
  return family !== 0 && Number(prefix) <= (family === 4 ? 32 : 128)
}
