/** Where the pocket cloud answers otherwise than the recorded cloud did, and why. Each entry must be needed. */

export type Deviation = {
  /** On `<recording> <number> <method> <path>`. */
  where: RegExp
  /** On the difference: `status`, a header's name, or the way into the body. */
  path: RegExp
  reason: string
}

/** Exchanges that are not sent. */
export const passedOver: { where: RegExp; reason: string }[] = [
  {
    where: /^nova (16|17|48|49|53|58|59|91|92|93)$/,
    reason: 'states between the answer to POST and the boot pass here before anybody can ask for them',
  },
]

export const deviations: Deviation[] = [
  // what this cloud does not have
  {
    where: /^keystone /,
    path: /\.(catalog|services)\[placement\]$/,
    reason: 'there is no placement service',
  },
  { where: /^keystone 21 /, path: /^body\.endpoints\[\d+\]$/, reason: 'endpoints of that service' },
  {
    where: /^neutron [25] /,
    path: /^body\.extensions\[[\w-]+\]$/,
    reason: 'only what is served is announced',
  },
  { where: /^neutron 66 /, path: /^body\.agents\[/, reason: 'no agents: Neutron itself drives the switches' },

  // other names and sizes of what both have
  { where: /^glance /, path: /\.(virtual_)?size$/, reason: 'another image was uploaded' },
  { where: /^glance (1|9|15) /, path: /\.description$/, reason: 'the schema describes its fields in its own words' },
  {
    where: /^glance (1|9|15) /,
    path: /\.(validation_data|kernel_id\.pattern|ramdisk_id\.pattern)$/,
    reason: 'fields for boot loaders and foreign stores, which are not here',
  },
  {
    where: /^glance /,
    path: /\.pocket_boots_as$/,
    reason: 'an image says what it boots as: a tree, or the machine itself',
  },
  { where: /^neutron 9 /, path: /\.(mtu|revision_number)$/, reason: 'lb-mgmt-net was made otherwise there' },
  { where: /^neutron (9|10|13) /, path: /\.provider:/, reason: 'every network is a switch of this machine' },
  { where: /^neutron (11|14) /, path: /\.enable_dhcp$/, reason: 'the recorded subnet had none' },
  { where: /^neutron 12 /, path: /\.cidr$/, reason: 'lb-mgmt-net has the prefix of the described system' },
  { where: /^neutron /, path: /\.standard_attr_id$/, reason: 'a counter over everything that was ever made' },
  { where: /^neutron 59 /, path: /^body\.quotas\[0\]$/, reason: 'the recorded project had had its quota set' },
  { where: /^neutron /, path: /\.bound_drivers(\.0)?$/, reason: 'the name of the driver, which only some answers had' },
  {
    where: /^neutron (48|69|7\d|8\d) /,
    path: /\.revision_number$/,
    reason: 'a real Neutron counts its own inner steps too',
  },
  { where: /^nova [36] /, path: /^body\.(flavor\.name|flavors\[)/, reason: 'flavors have the usual names' },
  { where: /^nova 8 /, path: /^body\.keypairs\[/, reason: 'an earlier key pair was left there' },
  { where: /^nova 43 /, path: /^body\.output$/, reason: 'another machine writes other things on its console' },
  { where: /^nova (54|55) /, path: /\.fault\.details$/, reason: 'a traceback of the recorded program' },
  { where: /^nova 9[67] /, path: /^body\.(services|hypervisors)\[\+/, reason: 'three pretended hosts instead of one' },

  // microversions above 2.15 are not announced
  {
    where: /^nova [01] /,
    path: /^body\.(version\.version$|versions\[)/,
    reason: 'the newest version announced is 2.15',
  },
  { where: /^nova 13 /, path: /\.message$/, reason: 'the newest version announced is 2.15' },
  {
    where: /^nova (11|25|26|27|28|29|40|80) /,
    path: /^(status|body\.(server|server_group|interfaceAttachments|badRequest|computeFault))$/,
    reason: 'asked in a version that is not announced: 406',
  },
  { where: /^nova 86 /, path: /\.totalServerGroupsUsed$/, reason: 'one of them was made in such a version' },
  { where: /^nova 103 /, path: /^body\.server_groups\[x\]$/, reason: 'it was made in such a version' },

  // faster, or fresher
  { where: /^nova 39 /, path: /\.port_state$/, reason: 'a port is active as soon as it is attached' },
  { where: /^nova 45 /, path: /\.addresses\.private\[\d\]$/, reason: 'the recorded Nova answered from an old cache' },
  { where: /^nova 50 /, path: /\.security_groups$/, reason: 'a server has its groups when it is active, not before' },
]
