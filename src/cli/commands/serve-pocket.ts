/** The pocket cloud as a daemon of the stack. */
import { machineFabric } from '../../pocket/fabric/machine.ts'
import { startPocket } from '../../pocket/pocket.ts'
import { openLog } from '../../service/log.ts'
import { Stop } from '../../service/stop.ts'
import type { PocketSettings } from '../world/settings.ts'

/** Reads OTTAVIA_POCKET; the sockets of the host's loopback are fds 4 to 8: identity, image, compute, network, key manager. */
export async function pocketRole(): Promise<void> {
  if (!process.env.OTTAVIA_POCKET)
    throw new Error('the pocket cloud is started by `ottavia up`, inside the namespace that it needs')
  const settings = JSON.parse(process.env.OTTAVIA_POCKET) as PocketSettings
  delete process.env.OTTAVIA_POCKET // it holds passwords; children need not see it
  const log = openLog('pocket')
  const stop = new Stop(log)
  const { ports } = settings
  const tell = (text: string, fields: Record<string, unknown>) => log.warn(fields, text)
  const sockets = (fd: number, port: number) => [{ fd }, { host: '127.0.0.1', port }]
  const pocket = await startPocket({
    database_url: settings.database_url,
    fabric: machineFabric({
      servers_dir: `${settings.state_dir}/servers`,
      runtime_dir: settings.runtime_dir,
      log: tell,
    }),
    state_dir: settings.state_dir,
    endpoints: settings.endpoints,
    listen: {
      identity: sockets(4, ports.identity),
      image: sockets(5, ports.image),
      compute: sockets(6, ports.compute),
      network: sockets(7, ports.network),
      key_manager: sockets(8, ports.key_manager),
    },
    lbaas_url: settings.lbaas_url,
    passwords: settings.passwords,
    log: tell,
  })
  stop.add('the pocket cloud', () => pocket.close())
  process.send?.({ ready: true })
}
