-- Availability zones: where load balancers may be, as administrators offer it.
create table lbaas.availability_zone_profile (
  id uuid primary key,
  name text not null,
  provider_name text not null,
  availability_zone_data text not null,
  created_at timestamptz not null
);
create table lbaas.availability_zone (
  name text constraint availability_zone_name primary key,
  description text,
  enabled boolean not null,
  availability_zone_profile_id uuid not null
    constraint availability_zone_of_profile references lbaas.availability_zone_profile,
  created_at timestamptz not null
);
create index availability_zone_profile_of on lbaas.availability_zone (availability_zone_profile_id);

-- What was chosen, and what it means to the servers: a zone that is chosen stays, and means what it meant.
alter table lbaas.load_balancer
  add column compute_zone text,
  add column management_network text,
  add constraint load_balancer_availability_zone
    foreign key (availability_zone) references lbaas.availability_zone;
create index load_balancer_availability_zone_of on lbaas.load_balancer (availability_zone);
