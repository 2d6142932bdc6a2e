/** Housekeeping: what must be tidied up now and then, each job by one process at a time however many run. */
import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { Neutron } from '../cloud/neutron.ts'
import type { OpenStack } from '../cloud/openstack.ts'
import type { Log } from '../service/log.ts'
import * as certificates from '../store/certificates.ts'
import { purge } from '../store/spares.ts'
import { inTurn } from '../store/turns.ts'
import { sweep } from './reservations.ts'
import { advance, type RolloutOptions } from './rollout.ts'
import { keepSpares, type SpareMaker } from './spares.ts'

export type HousekeepingOptions = {
  pool: pg.Pool
  cloud: OpenStack
  spare_maker: SpareMaker
  spare_amphora_pool_size: number
  spare_check_interval_s: number
  cleanup_interval_s: number
  amphora_expiry_age_s: number
  cert_interval_s: number
  /** Certificates are renewed this long before they end. */
  cert_expiry_buffer_s: number
  imageTagged: RolloutOptions['imageTagged']
  heartbeat_timeout_s: number
  log: Log
}

type Job = { title: string; period_s: number; work: (signal: AbortSignal) => Promise<void> }

/** Works until it is closed. A failure is logged and tried again in the next round. */
export function startHousekeeping(options: HousekeepingOptions): { close: () => Promise<void> } {
  const closing = new AbortController()
  const loops = jobs(options).map(job => repeat(options, job, closing.signal))
  const close = async () => {
    closing.abort(new Error('housekeeping is stopping'))
    await Promise.all(loops)
  }
  return { close }
}

function jobs(options: HousekeepingOptions): Job[] {
  const { pool, cloud, spare_maker, log, cert_expiry_buffer_s } = options
  return [
    {
      title: 'VIP ports of load balancers that were never made',
      period_s: 5,
      work: async signal => {
        while (await sweep(pool, new Neutron(cloud, signal), log));
      },
    },
    {
      title: 'rows of deleted amphorae',
      period_s: options.cleanup_interval_s,
      work: async () => {
        const count = await purge(pool, options.amphora_expiry_age_s)
        if (count > 0) log.info({ count }, 'purged rows of deleted amphorae')
      },
    },
    {
      title: 'certificates',
      period_s: options.cert_interval_s,
      work: async () => {
        const ids = await certificates.renewDue(pool, cert_expiry_buffer_s)
        if (ids.length > 0) log.info({ amphorae: ids }, 'certificates are to be renewed')
      },
    },
    { title: 'rollout', period_s: 1, work: () => advance(options) },
    {
      title: 'spares',
      period_s: options.spare_check_interval_s,
      work: signal => {
        const renew_before = new Date(Date.now() + cert_expiry_buffer_s * 1000)
        return keepSpares(pool, spare_maker, { size: options.spare_amphora_pool_size, renew_before }, log, signal)
      },
    },
  ]
}

async function repeat({ pool, log }: HousekeepingOptions, job: Job, closing: AbortSignal): Promise<void> {
  while (!closing.aborted) {
    try {
      await inTurn(pool, job.title, () => job.work(closing))
    } catch (error) {
      if (!closing.aborted)
        log.warn({ job: job.title, err: (error as Error).message }, 'a job failed; it is tried again')
    }
    await sleep(job.period_s * 1000, undefined, { signal: closing }).catch(() => {})
  }
}
