/** The catalogue: where each service is. URLs come from this start's ports; ids stay. */
import { createHash } from 'node:crypto'

/** URLs by service type. */
export type Catalog = Record<string, { name: string; url: string }>

export type CatalogService = {
  id: string
  type: string
  name: string
  endpoints: { id: string; interface: string; region_id: string; url: string; region: string }[]
}

export function catalogOf(catalog: Catalog): CatalogService[] {
  return Object.entries(catalog).map(([type, { name, url }]) => ({
    endpoints: ['public', 'internal', 'admin'].map(kind => ({
      id: idOf(`${type}/${kind}`),
      interface: kind,
      region_id: 'RegionOne',
      url,
      region: 'RegionOne',
    })),
    id: idOf(type),
    type,
    name,
  }))
}

function idOf(name: string): string {
  return createHash('sha256').update(`catalogue ${name}`).digest('hex').slice(0, 32)
}
