/** The extensions that this Neutron announces: what it has, and, where load balancing stands behind it, that. */

export type Extension = { name: string; alias: string; description: string; updated: string; links: never[] }

const own: [alias: string, name: string, description: string, updated: string][] = [
  ['agent', 'agent', 'The agent management extension.', '2013-02-03T10:00:00-00:00'],
  ['allowed-address-pairs', 'Allowed Address Pairs', 'Provides allowed address pairs', '2013-07-23T10:00:00-00:00'],
  ['availability_zone', 'Availability Zone', 'The availability zone extension.', '2015-01-01T10:00:00-00:00'],
  [
    'binding',
    'Port Binding',
    'Expose port bindings of a virtual port to external application',
    '2014-02-03T10:00:00-00:00',
  ],
  [
    'network-ip-availability',
    'Network IP Availability',
    'Provides IP availability data for each network and subnet.',
    '2015-09-24T00:00:00-00:00',
  ],
  [
    'pagination',
    'Pagination support',
    'Extension that indicates that pagination is enabled.',
    '2016-06-12T00:00:00-00:00',
  ],
  ['port-security', 'Port Security', 'Provides port security', '2012-07-23T10:00:00-00:00'],
  [
    'project-id',
    'project_id field enabled',
    'Extension that indicates that project_id field is enabled.',
    '2016-09-09T09:09:09-09:09',
  ],
  [
    'provider',
    'Provider Network',
    'Expose mapping of virtual networks to physical networks',
    '2012-09-07T10:00:00-00:00',
  ],
  ['qos', 'Quality of Service', 'The Quality of Service extension.', '2015-06-08T10:00:00-00:00'],
  [
    'qos-bw-limit-direction',
    'Direction for QoS bandwidth limit rule',
    'Allow to configure QoS bandwidth limit rule with specific direction: ingress or egress',
    '2017-04-10T10:00:00-00:00',
  ],
  [
    'qos-default',
    'QoS default policy',
    'Expose the QoS default policy per project',
    '2017-041-06T10:00:00-00:00', // so it is there
  ],
  [
    'qos-port-network-policy',
    'QoS port network policy ID',
    'Adds a the QoS network ID to the port definition',
    '2019-11-01T10:00:00-00:00',
  ],
  [
    'qos-rule-type-details',
    'Details of QoS rule types',
    'Expose details about QoS rule types supported by loaded backend drivers',
    '2017-06-22T10:00:00-00:00',
  ],
  [
    'qos-rule-type-filter',
    'Allow to filter the list of QoS rule types',
    'Allows to filter the QoS rule type list adding two new flags. "all_rules" prints all implemented QoS rule types."all_supported" prints all supported QoS rule types by the loaded mechanism drivers',
    '2022-02-02T10:00:00-00:00',
  ],
  [
    'quotas',
    'Quota management support',
    'Expose functions for quotas management per project',
    '2012-07-29T10:00:00-00:00',
  ],
  [
    'quota_details',
    'Quota details management support',
    'Expose functions for quotas usage statistics per project',
    '2017-02-10T10:00:00-00:00',
  ],
  ['security-group', 'security-group', 'The security groups extension.', '2012-10-05T10:00:00-00:00'],
  ['sorting', 'Sorting support', 'Extension that indicates that sorting is enabled.', '2016-06-12T00:00:00-00:00'],
  [
    'standard-attr-revisions',
    'Resource revision numbers',
    'This extension will display the revision number of neutron resources.',
    '2016-04-11T10:00:00-00:00',
  ],
  [
    'standard-attr-tag',
    'Tag support for resources with standard attribute: port, subnet, network',
    'Enables to set tag on resources with standard attribute.',
    '2017-01-01T00:00:00-00:00',
  ],
  [
    'standard-attr-timestamp',
    'Resource timestamps',
    'Adds created_at and updated_at fields to all Neutron resources that have Neutron standard attributes.',
    '2016-09-12T10:00:00-00:00',
  ],
]

const forwarded: typeof own = [
  ['lbaasv2', 'LoadBalancing service v2', 'Provides Load Balancing', '2014-06-18T10:00:00-00:00'],
  [
    'l7',
    'L7 capabilities for LBaaSv2',
    'Adding L7 policies and rules support for LBaaSv2',
    '2014-08-14T10:00:00-00:00',
  ],
  [
    'lbaas_agent_schedulerv2',
    'Loadbalancer Agent Scheduler V2',
    'Schedule load balancers among lbaas agents',
    '2013-02-07T10:00:00-00:00',
  ],
  [
    'lb-graph',
    'Load Balancer Graph',
    'Extension for allowing the creation of load balancers with a full graph in one API request.',
    '2016-02-09T10:00:00-00:00',
  ],
  [
    'shared_pools',
    'Shared pools for LBaaSv2',
    'Allow pools to be shared among listeners for LBaaSv2',
    '2016-01-20T10:00:00-00:00',
  ],
  [
    'hm_max_retries_down',
    'Add a fall threshold to health monitor',
    'Add max_retries_down to health monitors',
    '2015-12-18T10:00:00-00:00',
  ],
  [
    'service-type',
    'Neutron Service Type Management',
    'API for retrieving service providers for Neutron advanced services',
    '2013-01-20T00:00:00-00:00',
  ],
]

export function extensions(load_balancing: boolean): Extension[] {
  return [...own, ...(load_balancing ? forwarded : [])].map(([alias, name, description, updated]) => ({
    name,
    alias,
    description,
    updated,
    links: [],
  }))
}
