-- Health monitors: how a pool's members are asked whether they are well.
create table lbaas.health_monitor (
  id uuid primary key,
  project_id text not null,
  name text not null,
  pool_id uuid not null references lbaas.pool deferrable initially deferred,
  admin_state_up boolean not null,
  type text not null,
  delay integer not null,
  timeout integer not null,
  max_retries integer not null,
  max_retries_down integer not null,
  http_method text,
  url_path text,
  expected_codes text,
  http_version double precision,
  domain_name text,
  tags jsonb not null,
  provisioning_status text not null,
  created_at timestamptz not null,
  updated_at timestamptz,
  generation integer not null,
  reason text
);
create index health_monitor_list on lbaas.health_monitor (project_id, created_at, id);
create index health_monitor_of on lbaas.health_monitor (pool_id);
-- What is on its way out does not hold its place.
create unique index health_monitor_pool on lbaas.health_monitor (pool_id)
  where provisioning_status <> 'PENDING_DELETE';

alter table lbaas.quota add column health_monitor integer;
