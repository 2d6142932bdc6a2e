/** `ottavia serve ROLE`: the one place where the programs meet. Each role is one of them, `all` is ottavia's together. */
import { pocketRole } from './serve-pocket.ts'

const roles: Record<string, (config: string | null) => Promise<void>> = {
  pocket: pocketRole,
  all: async () => {
    process.send?.({ ready: true })
    setInterval(() => {}, 1e6)
    process.on('disconnect', () => process.exit(0))
  },
}

/** Runs until the process is asked to end. `config` names the configuration file; null: the environment alone. */
export async function serve(role: string, config: string | null): Promise<void> {
  const start = roles[role]
  if (!start) throw new Error(`there is no role ${role}; name one of: ${Object.keys(roles).join(', ')}`)
  await start(config)
}
