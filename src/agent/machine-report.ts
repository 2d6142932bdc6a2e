/** What the agent tells of itself: `info` and `details`, as each version of REST has them. */
import os from 'node:os'
import type { AgentSettings } from '../amphora/agent-config.ts'
import type { Applied, Details, Info, Rest } from '../amphora/rest.ts'
import type { Listeners } from './listeners.ts'
import { type About, aboutMachine, machineDetails } from './machine.ts'
import type { Vrrp } from './vrrp.ts'

export class MachineReport {
  readonly #settings: AgentSettings
  readonly #seen: Seen
  #about: Promise<About> | null = null

  constructor(settings: AgentSettings, seen: Seen) {
    this.#settings = settings
    this.#seen = seen
  }

  async info(rest: Rest): Promise<Info> {
    this.#about ??= aboutMachine(this.#settings.haproxy_cmd)
    const { keepalived_version, ...about } = await this.#about
    const known = { ...about, api_version: rest }
    return rest === '0.5' ? known : { ...known, keepalived_version, ipvsadm_version: '' }
  }

  async details(rest: Rest): Promise<Details> {
    const { listeners, vrrp, applied } = this.#seen
    const [entries, machine, info] = await Promise.all([
      listeners.entries(),
      machineDetails(this.#settings.namespace),
      this.info(rest),
    ])
    const details = {
      ...info,
      active: true,
      topology: 'SINGLE',
      topology_status: 'OK',
      packages: {},
      ...machine,
      haproxy_count: listeners.sockets().size,
      listeners: entries.map(each => each.uuid).sort(),
      applied,
      vrrp: vrrp.details(),
    }
    if (rest === '0.5') return details
    return {
      ...details,
      cpu_count: os.availableParallelism(),
      load: machine.load.flat(),
      lvs_listener_process_count: entries.filter(each => each.status === 'ACTIVE' && each.type === 'UDP').length,
      active_tuned_profiles: [],
    }
  }
}

type Seen = { listeners: Listeners; vrrp: Vrrp; applied: Record<Applied, number> }
