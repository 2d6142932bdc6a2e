/** What options must be to one another; each alone was checked when it was read. */
import net from 'node:net'
import { type Options, OptionsError } from './options.ts'

/** Throws with everything that an operator must correct. `roles`: what is to run with these options. */
export function checkOptions(options: Options, roles: readonly string[]): void {
  const wrong = roles.flatMap(role => [...(checks[role]?.(options) ?? [])])
  if (wrong.length > 0) throw new OptionsError([...new Set(wrong)].join('\n'))
}

const checks: Readonly<Record<string, (options: Options) => Iterable<string>>> = {
  *controller(options) {
    yield* heartbeats(options)
    yield* vrrp(options)
    if (options.certificates.server_certs_key_passphrase.reveal().length < 16)
      yield "[certificates] server_certs_key_passphrase is shorter than 16 characters: it seals the keys of tenants' certificates in the database; set it to a long random text, the same everywhere"
  },
  *health(options) {
    const { bind_ip } = options.health_manager
    if (!net.isIP(bind_ip))
      yield `[health_manager] bind_ip is ${bind_ip}; set it to the address on the management network that amphorae send to`
    yield* heartbeats(options)
  },
}

function* heartbeats({ health_manager }: Options): Iterable<string> {
  const { heartbeat_key, heartbeat_interval, heartbeat_timeout, health_check_interval } = health_manager
  if (heartbeat_key.reveal() === '')
    yield '[health_manager] heartbeat_key is empty: anybody could forge heartbeats; set it to a long random text, the same everywhere'
  if (heartbeat_timeout < 3 * heartbeat_interval)
    yield `[health_manager] heartbeat_timeout is ${heartbeat_timeout}, less than three times heartbeat_interval (${heartbeat_interval}): two lost datagrams would cost an amphora; raise it to ${3 * heartbeat_interval} or more`
  if (health_check_interval > heartbeat_timeout)
    yield `[health_manager] health_check_interval is ${health_check_interval}, longer than heartbeat_timeout (${heartbeat_timeout}); lower it`
}

function* vrrp({ keepalived_vrrp }: Options): Iterable<string> {
  const { vrrp_priority_master, vrrp_priority_backup } = keepalived_vrrp
  if (vrrp_priority_master <= vrrp_priority_backup)
    yield `[keepalived_vrrp] vrrp_priority_master is ${vrrp_priority_master}, vrrp_priority_backup ${vrrp_priority_backup}: neither of a pair would give way; make the first one greater (254 and 253 hand over fastest)`
}
