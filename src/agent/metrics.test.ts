/** Figures for Prometheus, under Octavia's names, from what haproxy says of itself. */
import { expect, test } from 'vitest'
import { renderMetrics } from './metrics.ts'

const columns = ['pxname', 'svname', 'scur', 'bin', 'status', 'weight', 'ctime', 'hrsp_2xx', 'hrsp_5xx', 'act']
const stat = (...rows: string[]) =>
  `Name: HAProxy\nCurrConns: 3\nCumReq: 7\n\n# ${columns.join(',')},\n${rows.join('\n')}\n\n`
const one = {
  unit: 'l1',
  text: stat(
    'l1,FRONTEND,2,100,OPEN,,,5,1,,',
    'p1,m1,1,50,UP,3,250,4,0,1,',
    'p1,m2,0,0,DOWN,1,,0,0,0,',
    'p1,BACKEND,1,50,UP,4,250,4,0,1,',
  ),
}
const two = { unit: 'l2', text: stat('l2,FRONTEND,0,1,OPEN,,,,,,', 'prometheus-exporter,BACKEND,0,0,UP,1,,,,0,') }

test('listeners, pools and members have Octavia’s names and labels', () => {
  const lines = renderMetrics([one, two]).split('\n')
  for (const line of [
    'octavia_listener_status{listener="l1"} 1',
    'octavia_listener_bytes_in_total{listener="l1"} 100',
    'octavia_listener_http_responses_total{listener="l1",code="5xx"} 1',
    'octavia_pool_active_members{pool="p1:l1"} 1',
    'octavia_member_status{pool="p1:l1",member="m2"} 0',
    'octavia_member_weight{pool="p1:l1",member="m1"} 3',
    'octavia_member_connect_time_average_seconds{pool="p1:l1",member="m1"} 0.25',
    'octavia_loadbalancer_current_connections 6',
    'octavia_loadbalancer_requests_total 14',
    'octavia_loadbalancer_listeners 2',
    '# TYPE octavia_listener_bytes_in_total counter',
    '# TYPE octavia_listener_current_sessions gauge',
  ])
    expect(lines).toContain(line)
})

test('listeners that share a haproxy are told apart', () => {
  const rows = ['l1,FRONTEND,2,100,OPEN,,,5,1,,', 'l2,FRONTEND,0,7,OPEN,,,,,,', 'p1:l2,BACKEND,1,50,UP,4,250,4,0,1,']
  const lines = renderMetrics([{ unit: 'lb', text: stat(...rows, 'prometheus-exporter:l1,BACKEND,0,0,UP,1,,,,0,') }])
  for (const line of [
    'octavia_listener_bytes_in_total{listener="l1"} 100',
    'octavia_listener_bytes_in_total{listener="l2"} 7',
    'octavia_pool_active_members{pool="p1:l2"} 1',
    'octavia_loadbalancer_listeners 2',
  ])
    expect(lines.split('\n')).toContain(line)
  expect(lines).not.toContain('prometheus-exporter')
})

test('what haproxy leaves empty is left out, and the way to the agent is no pool', () => {
  const text = renderMetrics([one, two])
  expect(text).not.toContain('connect_time_average_seconds{pool="p1:l1",member="m2"}')
  expect(text).not.toContain('prometheus-exporter')
})

test('of a machine that is not the load balancer’s alone nothing is told', () => {
  expect(renderMetrics([one])).toContain('octavia_loadbalancer_cpu ')
  expect(renderMetrics([one], false)).not.toMatch(/octavia_loadbalancer_(cpu|memory) /)
})

test('each family stands together, after its type', () => {
  const families = renderMetrics([one, two])
    .split('\n')
    .filter(line => line !== '')
    .map(line => /^(?:# TYPE )?([a-z_0-9]+)/.exec(line)![1]!)
  const runs = families.filter((name, i) => name !== families[i - 1])
  expect(new Set(runs).size).toBe(runs.length)
})
