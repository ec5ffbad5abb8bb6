-- Rows of a development machine only; `supabase db push` leaves this file out unless it is asked not to.
--
-- There are none: tenants are made by `scripts/stack tenant SLUG` and by the tests, through the platform
-- operator's own RPCs, as everywhere else.
select true as nothing_to_seed;
