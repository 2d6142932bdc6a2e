/** Objects as answers show them: all keys of each dialect, with the values that they have where a request says nothing. */
import { expect } from 'vitest'
import type { Bed } from './bed.ts'
import type { Fields } from './cell.ts'

export const uuid = expect.stringMatching(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
/** UTC, without a zone. */
export const instant = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$/)
const ipv4 = expect.stringMatching(/^10\.0\.0\.\d+$/)

/** What was just accepted. */
export const newObjects: Record<string, (bed: Bed) => Fields> = {
  loadbalancers: bed => ({
    ...described(bed),
    vip_address: ipv4,
    vip_port_id: uuid,
    vip_subnet_id: bed.ground.subnet_id,
    flavor_id: null,
    listeners: [],
    pools: [],
    ...in_octavia(bed, {
      provider: 'amphora',
      vip_network_id: bed.ground.network_id,
      additional_vips: [],
      vip_qos_policy_id: null,
      vip_sg_ids: [],
      vip_vnic_type: 'normal',
      availability_zone: null,
    }),
    ...in_neutron(bed, { provider: 'octavia' }),
  }),
  listeners: bed => ({
    ...described(bed),
    connection_limit: -1,
    default_pool_id: null,
    default_tls_container_ref: null,
    sni_container_refs: [],
    loadbalancers: [{ id: bed.ids.loadbalancers }],
    l7policies: [],
    ...in_octavia(bed, {
      insert_headers: {},
      allowed_cidrs: null,
      timeout_client_data: 50_000,
      timeout_member_connect: 5_000,
      timeout_member_data: 50_000,
      timeout_tcp_inspect: 0,
      client_ca_tls_container_ref: null,
      client_authentication: 'NONE',
      client_crl_container_ref: null,
      tls_ciphers: null,
      tls_versions: null,
      alpn_protocols: null,
      hsts_max_age: null,
      hsts_include_subdomains: false,
      hsts_preload: false,
    }),
  }),
  pools: bed => ({
    ...described(bed),
    session_persistence: null,
    loadbalancers: [{ id: bed.ids.loadbalancers }],
    listeners: [],
    members: [],
    healthmonitor_id: null,
    ...in_octavia(bed, {
      tls_enabled: false,
      tls_container_ref: null,
      ca_tls_container_ref: null,
      crl_container_ref: null,
      tls_ciphers: null,
      tls_versions: null,
      alpn_protocols: null,
    }),
  }),
  members: bed => ({
    ...named(bed),
    weight: 1,
    subnet_id: null,
    operating_status: 'NO_MONITOR',
    ...in_octavia(bed, { backup: false, monitor_address: null, monitor_port: null, vnic_type: 'normal' }),
  }),
  healthmonitors: bed => ({
    ...named(bed),
    max_retries_down: 3,
    http_method: 'GET',
    url_path: '/',
    expected_codes: '200',
    pools: [{ id: bed.ids.pools }],
    ...in_octavia(bed, { http_version: null, domain_name: null }),
  }),
  l7policies: bed => ({
    ...described(bed),
    listener_id: bed.ids.listeners,
    redirect_pool_id: null,
    redirect_url: null,
    position: 1,
    rules: [],
    ...in_octavia(bed, { redirect_prefix: null, redirect_http_code: null }),
    ...in_neutron(bed, { status: 'PENDING_CREATE' }),
  }),
  rules: bed => ({
    ...owned(bed),
    invert: false,
    key: null,
    ...in_neutron(bed, { status: 'PENDING_CREATE' }),
  }),
}

/** As it is shown once everything is applied: `operating_status` is as the amphora reports it, or not yet. */
export function settled(object: Fields, related: Fields = {}): Fields {
  return {
    ...object,
    provisioning_status: 'ACTIVE',
    operating_status: expect.stringMatching(/^(ONLINE|OFFLINE|DEGRADED|DRAINING|ERROR|NO_MONITOR)$/),
    ...('status' in object ? { status: 'ACTIVE' } : {}),
    ...('updated_at' in object ? { updated_at: expect.toBeOneOf([null, instant]) } : {}),
    ...related,
  }
}

/** As the answer to a change shows it. */
export function changed(object: Fields, fields: Fields): Fields {
  return {
    ...settled(object),
    provisioning_status: 'PENDING_UPDATE',
    ...('status' in object ? { status: 'PENDING_UPDATE' } : {}),
    ...('updated_at' in object ? { updated_at: instant } : {}),
    ...fields,
  }
}

/** Neutron showed the statuses of load balancers alone; in its dialect all objects have them. */
function owned(bed: Bed): Fields {
  const project_id = bed.ground.project_id
  return {
    id: uuid,
    project_id,
    admin_state_up: true,
    provisioning_status: 'PENDING_CREATE',
    operating_status: 'OFFLINE',
    ...in_octavia(bed, { tags: [], created_at: instant, updated_at: null }),
    ...in_neutron(bed, { tenant_id: project_id }),
  }
}

function named(bed: Bed): Fields {
  return { ...owned(bed), name: '' }
}

function described(bed: Bed): Fields {
  return { ...named(bed), description: '' }
}

function in_octavia({ dialect }: Bed, fields: Fields): Fields {
  return dialect === 'octavia' ? fields : {}
}

function in_neutron({ dialect }: Bed, fields: Fields): Fields {
  return dialect === 'neutron' ? fields : {}
}
