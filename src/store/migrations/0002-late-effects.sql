-- Calls whose answers were lost may have their effect later: until when that must be reckoned with.
alter table lbaas.load_balancer add column late_effects_until timestamptz;
