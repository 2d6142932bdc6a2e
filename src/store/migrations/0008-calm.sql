-- When a network heals, the last amphora is heard a little after the first: only a whole time-out of calm closes the breaker.
-- Null: it is closed, or as many are silent as opened it.
alter table lbaas.breaker add column calm_since timestamptz;
