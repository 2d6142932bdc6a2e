/** What a server's config drive holds, in OpenStack's own layout. */
import type { FabricServer } from '../fabric/fabric.ts'
import type { Server } from './documents.ts'

export function configDrive(server: Server): FabricServer['config_drive'] {
  const meta_data = {
    uuid: server.id,
    name: server.name,
    hostname: server.name,
    launch_index: 0,
    availability_zone: server.zone ?? 'nova',
    project_id: server.project_id,
    meta: server.metadata,
    ...(server.public_key && { public_keys: { [server.key_name!]: server.public_key } }),
    files: server.personality.map((file, index) => ({
      path: file.path,
      content_path: `/content/${contentName(index)}`,
    })),
  }
  const file = (path: string, contents: Uint8Array) => ({ path: `openstack/${path}`, contents })
  return [
    file('latest/meta_data.json', Buffer.from(JSON.stringify(meta_data))),
    ...(server.user_data === null ? [] : [file('latest/user_data', Buffer.from(server.user_data, 'base64'))]),
    ...server.personality.map((one, index) =>
      file(`content/${contentName(index)}`, Buffer.from(one.contents, 'base64')),
    ),
  ]
}

function contentName(index: number): string {
  return String(index).padStart(4, '0')
}
