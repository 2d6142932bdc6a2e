/** What controllers and network hosts say to each other: which load balancers a host has, and where their agents are. */

/** The load balancers of a host; below each of them the agent's REST is spoken, as if it were an amphora's. */
export const hostedPath = '/hosted'

export function hostedPrefix(load_balancer_id: string): string {
  return `${hostedPath}/${load_balancer_id}`
}

/** The namespace of a load balancer, under the described system's name. */
export function namespaceOf(load_balancer_id: string): string {
  return `qlbaas-${load_balancer_id}`
}

/** The link of a port on a host, as Neutron's agents name it: all that host and cloud have in common. */
export function linkName(port_id: string): string {
  return `tap${port_id.slice(0, 11)}`
}

/** One load balancer of a host. `amphora_id` is its row, under whose id it beats. */
export type HostedEntry = { load_balancer_id: string; amphora_id: string }
