/** `ottavia serve ROLE`: the one place where the programs meet. Each role is one of them; `all` is ottavia's together. */
import os from 'node:os'
import { Registry } from 'prom-client'
import { startApi } from '../../api/server.ts'
import { openCertificateStore } from '../../cloud/certificates/certificate-store.ts'
import { Glance } from '../../cloud/glance.ts'
import { OpenStack } from '../../cloud/openstack.ts'
import { startController } from '../../controller/controller.ts'
import type { Provider } from '../../controller/reconcile.ts'
import { exposeCounts } from '../../health/counts.ts'
import { startHealth } from '../../health/health.ts'
import { startHousekeeping } from '../../housekeeping/housekeeping.ts'
import { enabledProviders, providerNamed } from '../../lbaas/provider.ts'
import { openLog } from '../../service/log.ts'
import { serveMetrics } from '../../service/metrics.ts'
import { loadOptions, type Options } from '../../service/options.ts'
import { checkOptions } from '../../service/options-check.ts'
import { openPool } from '../../service/postgres.ts'
import { Stop } from '../../service/stop.ts'
import { migrate } from '../../store/migrations.ts'
import { tlsTerms } from '../tls-terms.ts'
import { amphoraProvider } from './amphora-provider.ts'
import { haproxyProvider } from './haproxy-provider.ts'

const programs = {
  api: [api],
  controller: [controller],
  health: [health],
  housekeeping: [housekeeping],
  all: [api, controller, health, housekeeping],
} as const

/** Runs until the process is asked to end. `config` names the configuration file; null: the environment alone. */
export async function serve(role: string, config: string | null): Promise<void> {
  if (!(role in programs)) throw new Error(`there is no role ${role}; name one of: ${Object.keys(programs).join(', ')}`)
  const options = loadOptions(config, process.env)
  const starts = programs[role as keyof typeof programs]
  checkOptions(
    options,
    starts.map(start => start.name),
  )
  if (options.database.connection === '')
    throw new Error('[database] connection is empty; set it to the URL of a PostgreSQL, 15 or later')
  const log = openLog(role === 'all' ? 'ottavia' : role)
  const stop = new Stop(log)
  const pool = openPool(options.database.connection, log)
  stop.add('PostgreSQL', () => pool.end())
  await migrate(pool)
  const metrics = new Registry()
  let cloud: OpenStack | null = null
  const parts: Parts = {
    options,
    log,
    stop,
    pool,
    metrics,
    get cloud() {
      if (cloud === null) {
        const opened = openCloud(options)
        stop.add('the cloud', () => opened.close())
        cloud = opened
      }
      return cloud
    },
  }
  for (const start of starts) await start(parts)
  const { bind_host, bind_port } = options.metrics
  if (bind_port > 0) {
    const page = await serveMetrics(metrics, { host: bind_host, port: bind_port }, log)
    stop.add('the metrics', () => page.close())
  }
  log.info({ role }, 'ready')
  process.send?.({ ready: true })
}

type Parts = {
  options: Options
  log: ReturnType<typeof openLog>
  stop: Stop
  pool: ReturnType<typeof openPool>
  metrics: Registry
  /** Opened when it is first used: health needs none. */
  readonly cloud: OpenStack
}

async function api({ options, log, stop, pool, cloud }: Parts): Promise<void> {
  const { bind_host, bind_port, neutron_bind_host, neutron_bind_port, auth_strategy, locking } = options.api_settings
  const providers = enabledProviders(options.api_settings.enabled_provider_drivers)
  // a socket of the host's loopback, handed in where the stack runs in a namespace of its own
  const handed = process.env.OTTAVIA_OCTAVIA_FD ? [{ fd: Number(process.env.OTTAVIA_OCTAVIA_FD) }] : []
  const running = await startApi({
    pool,
    cloud,
    certificates: openCertificateStore(options.certificates, () => cloud),
    log,
    options: {
      auth_strategy,
      locking,
      topology: options.controller_worker.loadbalancer_topology,
      providers,
      default_provider: providerNamed(providers, options.api_settings.default_provider_driver).name,
      quotas: {
        load_balancer: options.quotas.default_load_balancer_quota,
        listener: options.quotas.default_listener_quota,
        pool: options.quotas.default_pool_quota,
        member: options.quotas.default_member_quota,
        health_monitor: options.quotas.default_health_monitor_quota,
        l7policy: options.quotas.default_l7policy_quota,
        l7rule: options.quotas.default_l7rule_quota,
      },
      reserved_ips: ['169.254.169.254'],
      ping_allowed: options.api_settings.allow_ping_health_monitors,
      tls: tlsTerms(options),
      pagination_max_limit: options.api_settings.pagination_max_limit,
      amp_image_owner_id: options.controller_worker.amp_image_owner_id || null,
      policy_file: options.oslo_policy.policy_file || null,
    },
    listen: {
      octavia: [...handed, { host: bind_host, port: bind_port }],
      neutron: [{ host: neutron_bind_host, port: neutron_bind_port }],
    },
  })
  stop.add('the API', () => running.close())
}

async function controller({ options, log, stop, pool, cloud }: Parts): Promise<void> {
  // what is there is served, whether or not new ones may be made with its provider
  const providers = [amphoraProvider(cloud, pool, options), haproxyProvider(cloud, pool, options)]
  for (const provider of providers) stop.add(`the agents of ${provider.name}`, () => provider.close())
  const { max_workers, lease_s, look_again_s, late_effect_s } = options.controller_worker
  const running = startController({
    pool,
    connection: options.database.connection,
    providers: new Map(providers.map(provider => [provider.name, provider as Provider<unknown>])),
    owner: `${os.hostname()}/${process.pid}`,
    max_workers,
    lease_s,
    look_again_s,
    late_effect_s,
    log,
  })
  stop.add('the controller', () => running.close())
}

async function health({ options, log, stop, pool, metrics }: Parts): Promise<void> {
  const { bind_ip, bind_port, heartbeat_key, heartbeat_timeout, health_check_interval, failover_threshold } =
    options.health_manager
  const running = startHealth({
    pool,
    bind_ip,
    bind_port,
    heartbeat_key: heartbeat_key.reveal(),
    heartbeat_timeout_s: heartbeat_timeout,
    health_check_interval_s: health_check_interval,
    failover_threshold,
    log,
  })
  exposeCounts(metrics, running.counts)
  stop.add('health', () => running.close())
}

async function housekeeping({ options, log, stop, pool, cloud }: Parts): Promise<void> {
  const provider = amphoraProvider(cloud, pool, options)
  stop.add("housekeeping's agents", () => provider.close())
  const { house_keeping, certificates } = options
  const running = startHousekeeping({
    pool,
    cloud,
    spare_maker: provider.spares,
    spare_amphora_pool_size: house_keeping.spare_amphora_pool_size,
    spare_check_interval_s: house_keeping.spare_check_interval,
    cleanup_interval_s: house_keeping.cleanup_interval,
    amphora_expiry_age_s: house_keeping.amphora_expiry_age,
    cert_interval_s: house_keeping.cert_interval,
    imageTagged: async tag =>
      (await new Glance(cloud).imageTagged(tag, options.controller_worker.amp_image_owner_id || null))?.id ?? null,
    heartbeat_timeout_s: options.health_manager.heartbeat_timeout,
    cert_expiry_buffer_s: house_keeping.cert_expiry_buffer || certificates.cert_validity_time / 2,
    log,
  })
  stop.add('housekeeping', () => running.close())
}

function openCloud(options: Options): OpenStack {
  const { auth_url, password, region_name, endpoint_type, ...names } = options.service_auth
  if (auth_url === '')
    throw new Error("[service_auth] auth_url is empty; set it to Keystone's URL, e.g. http://controller:5000/v3")
  return new OpenStack({
    auth_url,
    password: password.reveal(),
    region_name: region_name || null,
    interface: endpoint_type,
    ...names,
  })
}
