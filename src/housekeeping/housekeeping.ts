/** Housekeeping: what must be tidied up now and then, by one process at a time however many run. */
import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { Neutron } from '../cloud/neutron.ts'
import type { OpenStack } from '../cloud/openstack.ts'
import type { Log } from '../service/log.ts'
import { sweep } from './reservations.ts'

const period_ms = 5_000

/** Sweeps until it is closed. A failure is logged and tried again in the next round. */
export function startHousekeeping({ pool, cloud, log }: { pool: pg.Pool; cloud: OpenStack; log: Log }): {
  close: () => Promise<void>
} {
  const closing = new AbortController()
  const loop = async () => {
    while (!closing.signal.aborted) {
      try {
        while (await sweep(pool, new Neutron(cloud, closing.signal), log));
      } catch (error) {
        if (!closing.signal.aborted) log.warn({ err: (error as Error).message }, 'sweeping failed; it is tried again')
      }
      await sleep(period_ms, undefined, { signal: closing.signal }).catch(() => {})
    }
  }
  const looping = loop()
  const close = async () => {
    closing.abort(new Error('housekeeping is stopping'))
    await looping
  }
  return { close }
}
