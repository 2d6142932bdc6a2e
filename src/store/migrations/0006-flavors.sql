-- Flavors: what administrators offer tenants to choose.
create table lbaas.flavor_profile (
  id uuid primary key,
  name text not null,
  provider_name text not null,
  flavor_data text not null,
  created_at timestamptz not null
);
create table lbaas.flavor (
  id uuid primary key,
  name text not null constraint flavor_name unique,
  description text,
  enabled boolean not null,
  flavor_profile_id uuid not null constraint flavor_of_profile references lbaas.flavor_profile,
  created_at timestamptz not null
);
create index flavor_profile_of on lbaas.flavor (flavor_profile_id);

-- What was chosen, and what it means to the servers: a flavor that is chosen stays, and means what it meant.
alter table lbaas.load_balancer
  add column compute_flavor text,
  add column amp_image_tag text,
  add constraint load_balancer_flavor foreign key (flavor_id) references lbaas.flavor;
create index load_balancer_flavor_of on lbaas.load_balancer (flavor_id);
