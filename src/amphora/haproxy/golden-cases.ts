/** For tests: a case of a listener for each golden text. */
import { usual_tls } from '../../lbaas/tls.ts'
import type { L7PolicyInput, L7RuleInput } from './l7.ts'
import type { ListenerInput, MemberInput, PeersInput, PoolInput } from './listener.ts'
import type { MonitorInput } from './monitor.ts'
import {
  type Change,
  listenerSample,
  memberSample,
  monitorSample,
  policySample,
  poolSample,
  ruleSample,
} from './sample.ts'
import type { ListenerFiles } from './tls.ts'
import type { LoadBalancerInput } from './unit.ts'

const [second, third, fourth] = ['2', '3', '4'].map(n => `57865deb-b8b6-45bc-a2d2-d231c7e0000${n}`)

export const member = (n: number, change: Change<MemberInput> = {}): MemberInput =>
  memberSample({ id: `00000000-0000-4000-8000-00000000000${n}`, address: `10.0.0.${10 + n}`, ...change })

export const pool = (change: Change<PoolInput> = {}): PoolInput =>
  poolSample({ id: 'aaaaaaaa-0000-4000-8000-000000000001', members: [member(1), member(2)], ...change })

export const input = (
  listener: Change<ListenerInput['listener']> = {},
  default_pool: PoolInput | null = pool(),
  load_balancer: Partial<ListenerInput['load_balancer']> = {},
): ListenerInput => ({
  base_path: '/var/lib/octavia',
  load_balancer: {
    id: '1bbbbbbb-0000-4000-8000-000000000001',
    vip_address: '10.0.0.10',
    admin_state_up: true,
    ...load_balancer,
  },
  listener: listenerSample({ id: '57865deb-b8b6-45bc-a2d2-d231c7e011ae', ...listener }),
  default_pool,
})

export const monitor = (type: string, change: Change<MonitorInput> = {}): PoolInput => {
  const http = type.startsWith('HTTP') ? { http_method: 'GET', url_path: '/', expected_codes: '200' } : {}
  return pool({ health_monitor: monitorSample({ type, delay: 5, timeout: 2, max_retries: 2, ...http, ...change }) })
}

export const peers: PeersInput = {
  section: '57865debb8b645bca2d2d231c7e011ae_peers',
  listener_peer_port: 1025,
  peers: [
    { name: 'rMI2-FG_nU3pNDffDjqI_pnOiNQ', address: '10.0.0.5' },
    { name: 'SiyH8rjCFdvcux7I9vm_yiXFMhk', address: 'fd36:53a8:d962::6' },
  ],
}

export const cases: Record<string, ListenerInput> = {
  http: input(),
  https: input({ protocol: 'HTTPS', protocol_port: 443 }, pool({ protocol: 'HTTPS' })),
  tcp: input({ protocol: 'TCP', protocol_port: 22 }, pool({ protocol: 'TCP' })),
  'tcp-listener-http-pool': input({ protocol: 'TCP' }, pool({ protocol: 'HTTP' })),
  'proxy-pool': input({}, pool({ protocol: 'PROXY' })),
  'proxyv2-pool-on-tcp': input({ protocol: 'TCP' }, pool({ protocol: 'PROXYV2' })),
  'insert-headers': input({
    insert_headers: { 'X-Forwarded-For': 'True', 'X-Forwarded-Port': 'true', 'X-Forwarded-Proto': 'TRUE' },
  }),
  'insert-headers-false': input({ insert_headers: { 'X-Forwarded-For': 'false', 'X-Forwarded-Port': 'no' } }),
  'source-ip-persistence': input({}, pool({ session_persistence: { type: 'SOURCE_IP', cookie_name: null } })),
  'http-cookie-persistence': input({}, pool({ session_persistence: { type: 'HTTP_COOKIE', cookie_name: null } })),
  'app-cookie-persistence': input({}, pool({ session_persistence: { type: 'APP_COOKIE', cookie_name: 'JSESSIONID' } })),
  'hostile-cookie-name': input(
    {},
    pool({ session_persistence: { type: 'APP_COOKIE', cookie_name: 'a),\n  \'b" $c#' } }),
  ),
  'least-connections': input({}, pool({ lb_algorithm: 'LEAST_CONNECTIONS' })),
  'source-ip': input({}, pool({ lb_algorithm: 'SOURCE_IP' })),
  weights: input({}, pool({ members: [member(1, { weight: 0 }), member(2, { weight: 256 })] })),
  'backup-members': input({}, pool({ members: [member(1), member(2, { backup: true })] })),
  'disabled-members': input({}, pool({ members: [member(1), member(2, { admin_state_up: false })] })),
  'no-members': input({}, pool({ members: [] })),
  'no-pool': input({}, null),
  'disabled-pool': input({}, pool({ admin_state_up: false })),
  'disabled-listener': input({ admin_state_up: false }),
  'disabled-load-balancer': input({}, pool(), { admin_state_up: false }),
  'connection-limit': input({ connection_limit: 2_000 }),
  timeouts: input({
    timeout_client_data: 1,
    timeout_member_connect: 2,
    timeout_member_data: 3,
    timeout_tcp_inspect: 4,
  }),
  'timeouts-unset': input({
    timeout_client_data: null,
    timeout_member_connect: null,
    timeout_member_data: null,
    timeout_tcp_inspect: null,
  }),
  'allowed-cidrs': input({ allowed_cidrs: ['10.0.0.0/8', '192.0.2.7/32', '2001:db8::/32'] }),
  ipv6: input({}, pool({ members: [member(1, { address: 'fd36:53a8:d962::11' }), member(2)] }), {
    vip_address: 'fd36:53a8:d962::10',
  }),
  prometheus: input({ protocol: 'PROMETHEUS', protocol_port: 8088 }, null),
  'two-vips': input({}, pool(), { additional_vips: ['fd36:53a8:d962::10'] }),
  'monitor-http': input({}, monitor('HTTP', { http_method: 'HEAD', url_path: '/health', expected_codes: '200, 202' })),
  'monitor-http-codes': input({}, monitor('HTTP', { expected_codes: '200-204' })),
  'monitor-http-host': input({}, monitor('HTTP', { http_version: 1.1, domain_name: 'www.example.org' })),
  'monitor-http-no-host': input({}, monitor('HTTP', { http_version: 1.1 })),
  'monitor-https': input({ protocol: 'HTTPS' }, { ...monitor('HTTPS'), protocol: 'HTTPS' }),
  'monitor-tls-hello': input({ protocol: 'HTTPS' }, { ...monitor('TLS-HELLO'), protocol: 'HTTPS' }),
  'monitor-tcp': input({ protocol: 'TCP' }, { ...monitor('TCP'), protocol: 'TCP' }),
  'monitor-ping': input({ protocol: 'TCP' }, { ...monitor('PING'), protocol: 'TCP' }),
  'monitor-of-datagrams': input({}, monitor('UDP-CONNECT')),
  'monitor-disabled': input({}, monitor('HTTP', { admin_state_up: false })),
  'monitor-of-hostile-words': input(
    {},
    monitor('HTTP', {
      http_version: 1.1,
      http_method: 'GE T',
      url_path: '/a b"#$c\\',
      domain_name: 'a\n%[b] c',
    }),
  ),
  'monitor-slow': input({ timeout_member_connect: 5_000 }, monitor('TCP', { timeout: 9, delay: 0 })),
  'monitor-elsewhere': input(
    {},
    {
      ...monitor('HTTP'),
      members: [
        member(1, { monitor_address: '10.0.9.1', monitor_port: 8080 }),
        member(2, { monitor_port: 8081 }),
        member(3, { monitor_address: 'fd00::12' }),
      ],
    },
  ),
  'peers-source-ip': { ...input({}, pool({ session_persistence: { type: 'SOURCE_IP', cookie_name: null } })), peers },
  'peers-app-cookie': {
    ...input({}, pool({ session_persistence: { type: 'APP_COOKIE', cookie_name: 'sid' } })),
    peers,
  },
  'peers-without-table': {
    ...input({}, pool({ session_persistence: { type: 'HTTP_COOKIE', cookie_name: null } })),
    peers,
  },
  ...l7Cases(),
  ...tlsCases(),
}

/** What is terminated and what is spoken to members. */
function tlsCases(): Record<string, ListenerInput> {
  const spoken = usual_tls.listener
  const terminated = (change: Change<ListenerInput['listener']>, tls: Partial<ListenerFiles>, to = pool()) => ({
    ...input({ protocol: 'TERMINATED_HTTPS', protocol_port: 443, ...spoken, ...change }, to),
    tls: { certificates: ['a.pem'], client_ca: null, client_crl: null, ...tls },
  })
  const ssl_headers = ['Client-Verify', 'Client-Has-Cert', 'Client-DN', 'Client-CN', 'Issuer', 'Client-SHA1']
  const all_headers = [...ssl_headers, 'Client-Not-Before', 'Client-Not-After'].map(name => [`X-SSL-${name}`, 'true'])
  const files = { certificate: 'a.pem', ca: 'ca.pem', crl: 'crl.pem' }
  return {
    'tls-one-certificate': terminated({}, {}),
    'tls-several-certificates': terminated(
      { tls_ciphers: 'ECDHE-RSA-AES128-GCM-SHA256' },
      { certificates: ['a.pem', 'b.pem'] },
    ),
    'tls-old-versions': terminated({ tls_versions: ['TLSv1', 'TLSv1.1'], alpn_protocols: ['http/1.1'] }, {}),
    'tls-versions-with-a-gap': terminated({ tls_versions: ['TLSv1.3', 'TLSv1.1'] }, {}),
    'tls-hsts': terminated({ hsts_max_age: 31_536_000, hsts_include_subdomains: true, hsts_preload: true }, {}),
    'tls-hsts-alone': terminated({ hsts_max_age: 0 }, {}),
    'tls-client-certificate': terminated(
      { client_authentication: 'MANDATORY', insert_headers: Object.fromEntries(all_headers) },
      { client_ca: 'ca.pem', client_crl: 'crl.pem' },
    ),
    'tls-client-certificate-optional': terminated({ client_authentication: 'OPTIONAL' }, { client_ca: 'ca.pem' }),
    'tls-members': input({}, pool({ tls_enabled: true, ...usual_tls.pool, tls: files })),
    'tls-members-not-verified': input({}, pool({ tls_enabled: true })),
    'tls-members-checked': terminated({}, {}, { ...monitor('HTTPS'), tls_enabled: true, tls: { ...files, crl: null } }),
    'tls-of-hostile-words': terminated(
      { tls_ciphers: 'a b\n"#', hsts_max_age: 1, alpn_protocols: ['h2 x'] },
      { certificates: ["a b'.pem"] },
    ),
  }
}

/** One policy for each action and kind of rule, and what does not count. */
function l7Cases(): Record<string, ListenerInput> {
  const rule = (n: number, change: Change<L7RuleInput>) =>
    ruleSample({ id: `00000000-0000-4000-9000-00000000000${n}`, value: 'x', ...change })
  const policy = (n: number, change: Change<L7PolicyInput>) =>
    policySample({ id: `00000000-0000-4000-a000-00000000000${n}`, rules: [rule(n, {})], ...change })
  const other = pool({ id: 'aaaaaaaa-0000-4000-8000-000000000002', members: [member(3)] })
  const of = (l7policies: L7PolicyInput[], redirect_pools = [other], change = {}) => ({
    ...input(change),
    l7policies,
    redirect_pools,
  })
  const kinds = [
    rule(1, { type: 'HOST_NAME', compare_type: 'EQUAL_TO', value: 'www.example.org' }),
    rule(2, { type: 'PATH', compare_type: 'REGEX', value: '^/(a|b)[0-9]{1,2}$' }),
    rule(3, { type: 'FILE_TYPE', compare_type: 'EQUAL_TO', value: 'jpg' }),
    rule(4, { type: 'FILE_TYPE', compare_type: 'REGEX', value: 'jpe?g$' }),
    rule(5, { type: 'HEADER', compare_type: 'CONTAINS', key: 'X-A', value: 'b' }),
    rule(6, { type: 'COOKIE', compare_type: 'ENDS_WITH', key: 'sid', value: 'c', invert: true }),
  ]
  const tls = [
    rule(1, { type: 'SSL_CONN_HAS_CERT', compare_type: 'EQUAL_TO', value: 'True' }),
    rule(2, { type: 'SSL_VERIFY_RESULT', compare_type: 'EQUAL_TO', value: '0', invert: true }),
    rule(3, { type: 'SSL_DN_FIELD', compare_type: 'STARTS_WITH', key: 'CN', value: 'a' }),
  ]
  const redirect = { action: 'REDIRECT_TO_POOL', redirect_pool_id: other.id }
  const url = { action: 'REDIRECT_TO_URL', redirect_url: 'https://e.org/%20?a=b#c', redirect_http_code: 301 }
  return {
    'l7-actions': of([
      policy(1, redirect),
      policy(2, url),
      policy(3, { action: 'REDIRECT_PREFIX', redirect_prefix: 'https://e.org', redirect_http_code: 302 }),
      policy(4, {}),
    ]),
    'l7-rules': of([policy(1, { rules: kinds }), policy(2, { rules: [] })], []),
    'l7-rules-of-tls': of([policy(1, { rules: tls })], []),
    'l7-switched-off': of(
      [
        policy(1, { admin_state_up: false }),
        policy(2, { rules: [rule(1, { admin_state_up: false })] }),
        policy(3, { ...redirect }),
      ],
      [{ ...other, admin_state_up: false }],
    ),
    'l7-to-the-default-pool': of([policy(1, { ...redirect, redirect_pool_id: pool().id })], [pool()]),
    'l7-of-hostile-words': of(
      [
        policy(1, { rules: [rule(1, { type: 'HEADER', key: 'a"b,(c) d', value: '-i a\n#"\'\\' })] }),
        policy(2, { ...url, redirect_url: 'http://a b%[src]\n"#' }),
      ],
      [],
    ),
  }
}

/** All listeners of a load balancer in one haproxy. */
export const shared: Record<string, LoadBalancerInput> = {
  'one-haproxy': one([
    { ...input({ id: second, protocol: 'PROMETHEUS', protocol_port: 8088 }, null) },
    {
      ...input({ connection_limit: 100 }, monitor('PING', {})),
      l7policies: [policySample({ id: third, action: 'REDIRECT_TO_POOL', redirect_pool_id: pool().id })],
      redirect_pools: [pool()],
    },
    {
      ...input({ id: third, protocol: 'TERMINATED_HTTPS', protocol_port: 443, ...usual_tls.listener }),
      tls: { certificates: ['a.pem'], client_ca: null, client_crl: null },
    },
    input({ id: fourth, protocol_port: 81, admin_state_up: false }),
  ]),
  'one-haproxy-of-a-pair': one(
    [
      input({}, pool({ session_persistence: { type: 'SOURCE_IP', cookie_name: null } })),
      input({ id: second, protocol_port: 81 }, pool({ session_persistence: { type: 'SOURCE_IP', cookie_name: null } })),
    ],
    { ...peers, section: '1bbbbbbb000040008000000000000001_peers' },
  ),
}

function one(listeners: ListenerInput[], known: PeersInput | null = null): LoadBalancerInput {
  const { base_path, load_balancer } = input()
  return { base_path, load_balancer_id: load_balancer.id, listeners, peers: known }
}
