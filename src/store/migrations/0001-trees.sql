-- The first schema: trees, what health reports of them, quotas, and what the controller needs to take turns.

create table lbaas.load_balancer (
  id uuid primary key,
  project_id text not null,
  name text not null,
  description text not null,
  admin_state_up boolean not null,
  provider text not null,
  vip_address text,
  vip_port_id uuid,
  vip_subnet_id uuid,
  vip_network_id uuid,
  flavor_id uuid,
  availability_zone text,
  topology text not null,
  vip_port_owned boolean not null,
  vip_subnet_cidr text,
  vip_gateway text,
  security_group_id uuid,
  security_group_rules jsonb,
  server_group_id uuid,
  gone jsonb not null,
  tags jsonb not null,
  provisioning_status text not null,
  created_at timestamptz not null,
  updated_at timestamptz,
  generation integer not null,
  reason text
);
-- A port that a tenant brings is nobody else's VIP.
create unique index load_balancer_vip_port on lbaas.load_balancer (vip_port_id);
create index load_balancer_list on lbaas.load_balancer (project_id, created_at, id);

-- A listener may point at a pool that the same transaction makes or takes away, so references are checked at its end.
create table lbaas.pool (
  id uuid primary key,
  project_id text not null,
  name text not null,
  description text not null,
  load_balancer_id uuid not null references lbaas.load_balancer deferrable initially deferred,
  admin_state_up boolean not null,
  protocol text not null,
  lb_algorithm text not null,
  session_persistence jsonb,
  tags jsonb not null,
  provisioning_status text not null,
  created_at timestamptz not null,
  updated_at timestamptz,
  generation integer not null,
  reason text
);
create index pool_of on lbaas.pool (load_balancer_id);
create index pool_list on lbaas.pool (project_id, created_at, id);

create table lbaas.listener (
  id uuid primary key,
  project_id text not null,
  name text not null,
  description text not null,
  load_balancer_id uuid not null references lbaas.load_balancer deferrable initially deferred,
  admin_state_up boolean not null,
  protocol text not null,
  protocol_port integer not null,
  connection_limit integer not null,
  default_pool_id uuid references lbaas.pool deferrable initially deferred,
  insert_headers jsonb not null,
  allowed_cidrs jsonb,
  timeout_client_data integer not null,
  timeout_member_connect integer not null,
  timeout_member_data integer not null,
  timeout_tcp_inspect integer not null,
  peer_port integer not null,
  serving jsonb,
  tags jsonb not null,
  provisioning_status text not null,
  created_at timestamptz not null,
  updated_at timestamptz,
  generation integer not null,
  reason text
);
create index listener_of on lbaas.listener (load_balancer_id);
create index listener_pool on lbaas.listener (default_pool_id);
create index listener_list on lbaas.listener (project_id, created_at, id);
-- What is on its way out does not hold its port.
create unique index listener_port on lbaas.listener
  (load_balancer_id, (case when protocol in ('UDP', 'SCTP') then protocol else 'TCP' end), protocol_port)
  where provisioning_status <> 'PENDING_DELETE';

create table lbaas.member (
  id uuid primary key,
  project_id text not null,
  name text not null,
  pool_id uuid not null references lbaas.pool deferrable initially deferred,
  admin_state_up boolean not null,
  address text not null,
  protocol_port integer not null,
  weight integer not null,
  backup boolean not null,
  subnet_id uuid,
  monitor_address text,
  monitor_port integer,
  network_id uuid,
  subnet_cidr text,
  tags jsonb not null,
  provisioning_status text not null,
  created_at timestamptz not null,
  updated_at timestamptz,
  generation integer not null,
  reason text
);
create index member_list on lbaas.member (project_id, created_at, id);
create unique index member_address on lbaas.member (pool_id, address, protocol_port, monitor_port)
  nulls not distinct where provisioning_status <> 'PENDING_DELETE';
create index member_of on lbaas.member (pool_id);

create table lbaas.amphora (
  id uuid primary key,
  load_balancer_id uuid references lbaas.load_balancer deferrable initially deferred,
  status text not null,
  role text,
  compute_id uuid,
  lb_network_ip text,
  vrrp_ip text,
  vrrp_mac_address text,
  ha_ip text,
  vrrp_port_id uuid,
  ha_port_id uuid,
  vrrp_interface text,
  vrrp_id integer,
  vrrp_priority integer,
  cert_expiration timestamptz,
  cert_busy boolean not null,
  cached_zone text,
  image_id uuid,
  compute_flavor text,
  certificate text,
  vip_plugged boolean not null,
  member_ports jsonb not null,
  applied jsonb not null,
  created_at timestamptz not null,
  updated_at timestamptz
);
create index amphora_of on lbaas.amphora (load_balancer_id);

-- Observations: written by health without the tree's lock. Settling writes here only what nobody has reported on.
create table lbaas.operating_status (
  object_id uuid primary key,
  load_balancer_id uuid not null references lbaas.load_balancer on delete cascade,
  operating_status text not null
);
create index operating_status_of on lbaas.operating_status (load_balancer_id);

create table lbaas.listener_statistics (
  listener_id uuid not null references lbaas.listener on delete cascade,
  amphora_id uuid not null,
  bytes_in bigint not null,
  bytes_out bigint not null,
  active_connections bigint not null,
  total_connections bigint not null,
  request_errors bigint not null,
  primary key (listener_id, amphora_id)
);

-- Limits that differ from the deployment's; null is the deployment's, -1 is none.
create table lbaas.quota (
  project_id text primary key,
  load_balancer integer,
  listener integer,
  pool integer,
  member integer
);

-- What happened, in words. It outlives its load balancer.
create table lbaas.journal (
  id bigint generated always as identity primary key,
  load_balancer_id uuid not null,
  at timestamptz not null default clock_timestamp(),
  generation integer,
  actor text not null,
  title text not null,
  text text not null,
  object_type text,
  object_id uuid
);
create index journal_of on lbaas.journal (load_balancer_id, id);

-- A VIP port that is being made, or was and did not find its load balancer. Only the sweeper deletes such ports.
create table lbaas.vip_reservation (
  load_balancer_id uuid primary key,
  project_id text not null,
  reserved_at timestamptz not null default clock_timestamp(),
  abandoned boolean not null default false
);

-- Whose turn it is. A woken row is due at once; the token only ever grows.
create table lbaas.claims (
  load_balancer_id uuid primary key references lbaas.load_balancer on delete cascade,
  token bigint not null default 0,
  owner text,
  expires_at timestamptz,
  next_try_at timestamptz,
  attempts integer not null default 0,
  -- Whether the world is to be asked before the rows are believed.
  look boolean not null default false,
  -- How often it was woken: letting go of a claim must not lose a wake-up.
  wakes bigint not null default 0
);
create index claims_due on lbaas.claims (next_try_at);
