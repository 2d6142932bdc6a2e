/** Every declaration, under its resource's name. */
import { amphora } from './amphora.ts'
import { availabilityZone, availabilityZoneProfile } from './availability-zone.ts'
import { flavor, flavorProfile } from './flavor.ts'
import { healthMonitor } from './health-monitor.ts'
import { l7policy } from './l7-policy.ts'
import { l7rule } from './l7-rule.ts'
import { listener } from './listener.ts'
import { loadBalancer } from './load-balancer.ts'
import { member } from './member.ts'
import { pool } from './pool.ts'
import { quota } from './quota.ts'
import type { Resource, ResourceName } from './resource.ts'

export const declarations: Readonly<Record<ResourceName, Resource>> = {
  load_balancer: loadBalancer,
  listener,
  pool,
  member,
  health_monitor: healthMonitor,
  l7policy,
  l7rule,
  amphora,
  quota,
  flavor,
  flavor_profile: flavorProfile,
  availability_zone: availabilityZone,
  availability_zone_profile: availabilityZoneProfile,
}
