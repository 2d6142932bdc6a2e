/** The command of PING monitors, which haproxy runs as the user that it runs as. */
import path from 'node:path'
import { writeWhole } from './files.ts'

export async function writePingWrapper(base_path: string): Promise<void> {
  await writeWhole(path.join(base_path, 'ping-wrapper.sh'), script, 0o755)
}

const script = `#!/bin/sh
exec ping -q -n -w 1 -c 1 "$HAPROXY_SERVER_ADDR" > /dev/null 2>&1
`
