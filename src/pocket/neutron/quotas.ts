/** Neutron's quotas: defaults, overrides by project, and what is used. */
import { Refusal } from '../service.ts'
import { type Document, drop, keep, type Store } from '../store.ts'

type Quota = Document & { limits: Record<string, number> }

const defaults: Record<string, number> = {
  network: 100,
  subnet: 100,
  subnetpool: -1,
  port: 500,
  rbac_policy: 10,
  security_group: 100,
  security_group_rule: 1000,
}

const kinds: Record<string, string> = {
  network: 'network',
  subnet: 'subnet',
  port: 'port',
  security_group: 'group',
  security_group_rule: 'rule',
}

/** Limits by resource; -1 is none. */
export class Quotas {
  readonly #store: Store

  constructor(store: Store) {
    this.#store = store
  }

  limits(project_id: string): Record<string, number> {
    return { ...defaults, ...this.#store.get<Quota>('quota', project_id)?.limits }
  }

  defaults(): Record<string, number> {
    return { ...defaults }
  }

  details(project_id: string) {
    const entries = Object.entries(this.limits(project_id)).map(([name, limit]) => [
      name,
      { limit, used: this.#used(name, project_id), reserved: 0 },
    ])
    return Object.fromEntries(entries)
  }

  /** Projects with limits of their own. */
  overridden() {
    return this.#store
      .all<Quota>('quota')
      .map(quota => ({ ...this.limits(quota.id), project_id: quota.id, tenant_id: quota.id }))
  }

  knows(name: string): boolean {
    return Object.hasOwn(defaults, name)
  }

  /** Refuses what cannot be set. */
  checkLimits(wishes: Record<string, unknown>): void {
    for (const [name, value] of Object.entries(wishes)) {
      if (!this.knows(name)) throw new Refusal(400, 'HTTPBadRequest', `Unrecognized attribute(s) '${name}'`)
      if (!Number.isInteger(value))
        throw new Refusal(400, 'HTTPBadRequest', `Invalid input for ${name}. Reason: '${value}' is not an integer.`)
    }
  }

  async set(project_id: string, wishes: Record<string, unknown>): Promise<void> {
    this.checkLimits(wishes)
    if (Object.keys(wishes).length === 0) return
    const limits = { ...this.#store.get<Quota>('quota', project_id)?.limits, ...(wishes as Record<string, number>) }
    await this.#store.commit(keep('quota', { id: project_id, limits }))
  }

  async reset(project_id: string): Promise<void> {
    await this.#store.commit(drop('quota', project_id))
  }

  /** Refuses one more. */
  check(name: string, project_id: string): void {
    const limit = this.limits(project_id)[name] ?? -1
    if (limit >= 0 && this.#used(name, project_id) >= limit)
      throw new Refusal(409, 'OverQuota', `Quota exceeded for resources: ['${name}'].`)
  }

  #used(name: string, project_id: string): number {
    const kind = kinds[name]
    return kind ? this.#store.all(kind).filter(document => document.project_id === project_id).length : 0
  }
}
