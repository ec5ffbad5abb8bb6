-- The whole surface as exact lists: who owns what, who may execute, read and write what, by which policy, and who is a member
-- of whom. A change of the surface is a change of this file; what a test prints as extra or missing is the line to think about.
-- 98_mutants asks the same lists of each mutant: it includes this file, and sets `within`.
\if :{?within}
\else
begin;
\ir fixtures.psql
select no_plan();
drop schema bronze_north, silver_north, gold_north, bronze_south, silver_south, gold_south;
\endif

-- the lines of a list, without its empty ones
create function tests.lines(p text)
returns setof text language sql immutable as $$ select btrim(l) from regexp_split_to_table(p, E'\n') l where btrim(l) <> '' $$;
\if :{?within}
\else
create function tests.exactly(p_query text, p_list text, p_law text)
returns text language sql as $$
    select set_eq(p_query, array(select tests.lines(p_list)), p_law)
$$;
create view tests.rooms as
select oid, nspname as name from pg_namespace
where nspname in ('ground', 'tenancy', 'artifact', 'job', 'queue', 'lineage', 'catalog', 'schedule', 'callback', 'audit', 'worker', 'door', 'public', 'staging');
\endif

select tests.exactly($q$
    select concat_ws(' | ', n.nspname, pg_get_userbyid(n.nspowner), (select string_agg(g, '; ' order by g) from (
               select case a.grantee when 0 then 'public' else pg_get_userbyid(a.grantee) end || ' ' || string_agg(lower(a.privilege_type), ' ' order by a.privilege_type) as g
               from aclexplode(n.nspacl) a where a.grantee <> n.nspowner and (a.grantee = 0 or pg_get_userbyid(a.grantee) not in ('dashboard_user', 'postgres')) group by a.grantee) x))
    from pg_namespace n where n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'tests', 'auth', 'storage', 'extensions', 'supabase_migrations')
$q$, $list$
    artifact | app_owner | app_system usage; authenticated usage; service_role usage
    audit | app_owner | app_system usage; authenticated usage; service_role usage
    callback | app_owner | app_system usage; authenticated usage; service_role usage
    catalog | app_owner | app_system usage; authenticated usage; service_role usage
    door | app_owner | anon usage; app_system usage; authenticated usage; service_role usage
    ground | app_owner | anon usage; app_system usage; authenticated usage; runner usage; service_role usage; supabase_auth_admin usage
    job | app_owner | app_system usage; authenticated usage; service_role usage
    lineage | app_owner | app_system usage; authenticated usage; service_role usage
    public | pg_database_owner | anon usage; authenticated usage; public usage; service_role usage
    queue | app_owner | app_system usage; authenticated usage; service_role usage
    schedule | app_owner | app_system usage; authenticated usage; service_role usage
    staging | app_system | loader usage
    tenancy | app_owner | anon usage; app_system usage; authenticated usage; service_role usage; supabase_auth_admin usage
    worker | app_system | runner usage; scaler usage
$list$, 'who may use which schema: owner | others');

select tests.exactly($q$
    select concat_ws(' | ', r.name || '.' || p.proname || '(' || (select coalesce(string_agg(format_type(t, null), ', ' order by o), '') from unnest(p.proargtypes) with ordinality x (t, o)) || ')',
               pg_get_userbyid(p.proowner) || case when p.prosecdef then ' definer' else '' end,
               (select string_agg(w, ' ' order by o) from unnest(array['anon', 'authenticated', 'viewer', 'operator', 'admin', 'service_role', 'runner', 'scaler', 'loader', 'app_owner', 'app_system', 'supabase_auth_admin', 'supabase_storage_admin', 'authenticator', 'dashboard_user'])
                    with ordinality x (w, o) where has_function_privilege(w, p.oid, 'execute') and w <> pg_get_userbyid(p.proowner) and w not in ('viewer', 'operator', 'admin')))
    from pg_proc p join tests.rooms r on r.oid = p.pronamespace where not exists (select from pg_depend d where d.objid = p.oid and d.deptype = 'e')
$q$, $list$
    artifact.check_classification(text, artifact.kind) | app_owner | app_system
    artifact.check_inputs(uuid, jsonb) | app_owner
    artifact.claim_removals(integer) | app_owner | app_system
    artifact.confirm_removals(uuid) | app_owner | app_system
    artifact.doom(uuid, text, text, text) | app_owner | app_system
    artifact.expire(bigint[], integer) | app_owner | app_system
    artifact.hold(uuid, uuid) | app_owner
    artifact.judge(uuid, uuid, integer, text, bigint, text, jsonb) | app_owner | app_system
    artifact.let_go(uuid, text, text) | app_owner | app_system
    artifact.move(uuid, bigint) | app_owner | app_system
    artifact.move_aliases(artifact.artifacts, jsonb, text) | app_owner
    artifact.named(artifact.versions) | app_owner | app_system
    artifact.note_missing(text, text) | app_owner | app_system
    artifact.open_version(uuid, text, text, text, bigint, text, text, text, text, jsonb, bigint, bigint, integer) | app_owner | app_system
    artifact.ready_version(uuid, uuid, integer) | app_owner | app_system
    artifact.refuse_final_change() | app_owner
    artifact.refuse_other_content() | app_owner
    artifact.reserve(uuid, bigint) | app_owner | app_system
    artifact.set_tags(artifact.artifacts, jsonb) | app_owner
    artifact.sweep_objects(integer) | app_owner | app_system
    artifact.told(artifact.versions) | app_owner
    artifact.unwanted(text, text) | app_owner | app_system
    artifact.used(uuid) | app_owner
    artifact.version_number(jsonb, text) | app_owner
    audit.append(uuid, text, text, text, jsonb, text) | app_owner | app_system
    audit.append_all(uuid, text, text, text[], jsonb[]) | app_owner
    audit.head(uuid) | app_owner | authenticated app_system
    audit.judge_head(jsonb, uuid, jsonb) | app_owner | authenticated app_system
    audit.link(audit.seals) | app_owner | authenticated app_system
    audit.origin() | app_owner | app_system
    audit.seal(integer) | app_owner | app_system
    audit.verify(uuid, bigint, integer) | app_owner | authenticated app_system
    callback.abandon(uuid, uuid, text) | app_owner | app_system
    callback.after_failure(callback.deliveries) | app_owner | app_system
    callback.allowed(uuid) | app_owner | app_system
    callback.announce(uuid[], bigint[]) | app_owner | app_system
    callback.announce_progress(uuid, bigint) | app_owner | app_system
    callback.check_callbacks(uuid, jsonb, text) | app_owner | app_system
    callback.check_url(uuid, text, text) | app_owner | app_system
    callback.claim(uuid, integer) | app_owner | app_system
    callback.delay(integer, numeric) | app_owner | app_system
    callback.disable(uuid, uuid, text) | app_owner | app_system
    callback.due() | app_owner | app_system
    callback.emit(uuid, bigint, text, jsonb) | app_owner | app_system
    callback.endpoint_for(uuid, text, text) | app_owner | app_system
    callback.hold_back(callback.deliveries) | app_owner | app_system
    callback.is_next(callback.deliveries) | app_owner | app_system
    callback.forget(uuid, bigint[]) | app_owner | app_system
    callback.is_internal_port(integer) | app_owner | app_system
    callback.is_special(inet) | app_owner | app_system
    callback.waiting() | app_owner | app_system
    callback.literal_address(text) | app_owner | app_system
    callback.merge_progress(uuid, bigint, bigint, uuid) | app_owner | app_system
    callback.never_opened(cidr) | app_owner | app_system
    callback.ports_of_both(integer[], integer[]) | app_owner | app_system
    callback.want_ports(jsonb) | app_owner | app_system
    callback.note_health(uuid, uuid, boolean, integer, numeric) | app_owner | app_system
    callback.reap() | app_owner | app_system
    callback.relay() | app_owner | app_system
    callback.room(callback.endpoints) | app_owner | app_system
    callback.settle(jsonb) | app_owner | app_system
    callback.settle_one(uuid, bigint, integer, jsonb) | app_owner | app_system
    callback.refuse_early_delete() | app_owner
    callback.subscribe(uuid, text, bigint, jsonb) | app_owner | app_system
    callback.wants_progress(uuid, bigint) | app_owner | app_system
    catalog.as_period(interval) | app_owner | authenticated app_system
    catalog.build_rollup(catalog.rollups, text) | app_system
    catalog.classify(uuid, text[]) | app_system
    catalog.column_type(text) | app_system
    catalog.columns_of(regclass) | app_system
    catalog.condition(text, text) | app_system
    catalog.count_failed(text, text) | app_system
    catalog.count_surplus(uuid, catalog.expectations, text, text, text[]) | app_system
    catalog.define_rollup(uuid, text, jsonb) | app_system
    catalog.drop_rollup(uuid, text) | app_system
    catalog.drop_staging(text) | app_system
    catalog.entry_columns() | app_system
    catalog.expectation_condition(catalog.expectation_kind, jsonb) | app_system
    catalog.find_object(uuid, text[], catalog.object_kind) | app_owner | authenticated app_system
    catalog.flows_of_jobs(uuid) | app_owner | app_system
    catalog.forbidden_flows(uuid) | app_owner | authenticated
    catalog.forget(uuid, bigint[]) | app_system
    catalog.freshness_of(uuid, bigint) | app_owner | authenticated
    catalog.full_name(text[]) | app_owner | authenticated app_system
    catalog.guard_layers(uuid) | app_system
    catalog.high_water(text, text, text, text) | app_system
    catalog.ingest(uuid, jsonb) | app_system
    catalog.ingested(jsonb) | app_system
    catalog.is_time(text) | app_system
    catalog.judge(uuid, bigint, text, text, text, text, bigint, text[]) | app_system
    catalog.judge_all(uuid, bigint, text, jsonb, jsonb) | app_system
    catalog.keep_verdicts(uuid, bigint, jsonb) | app_system
    catalog.key_of(catalog.object_kind, text[]) | app_owner | authenticated app_system
    catalog.make_table(uuid, text, text, text, jsonb) | app_system
    catalog.marks_read(text) | app_system
    catalog.merge_out(text, text, text[]) | app_system
    catalog.name_of(uuid, text, text) | app_system
    catalog.note_origin(uuid, text, text, text, bigint, timestamp with time zone) | app_system
    catalog.note_rollup(catalog.rollups, text, bigint, bigint) | app_system
    catalog.of_odoo(jsonb) | app_system
    catalog.open_layers(text) | app_system
    catalog.open_staging(text, jsonb) | app_system
    catalog.parts_of(text, text) | app_owner | authenticated app_system
    catalog.period_of(jsonb, text) | app_owner | authenticated app_system
    catalog.publish(uuid, text, text, text, text, text, bigint, text[]) | app_system
    catalog.publish_entries(uuid, text, text, text, bigint) | app_system
    catalog.readers(text, text) | app_system
    catalog.refresh_plan(uuid, text, boolean) | app_system
    catalog.refresh_target(uuid, jsonb, bigint) | app_system
    catalog.roll(uuid, text, text, text, text, jsonb, boolean, bigint) | app_system
    catalog.roll_up(catalog.rollups, text, text, jsonb) | app_system
    catalog.rollup_query(catalog.rollups, text, boolean) | app_system
    catalog.schema_of(text, text) | app_system | authenticated app_owner
    catalog.stage_input(text, text, text, text) | app_system
    catalog.sync(uuid) | app_system
    catalog.sync_layers(uuid, text, text, text) | app_system
    catalog.sync_target(uuid, text) | app_system
    catalog.table_type(text) | app_system
    catalog.tables_under(uuid, text) | app_system
    catalog.take_in(uuid, text[], catalog.seen[]) | app_system
    catalog.tenant_word(uuid) | app_system
    catalog.touched(uuid, text, text, text, text, text[]) | app_system
    catalog.try_expectation(uuid, text, text, text) | app_system
    catalog.why_stale(uuid, bigint, text[], jsonb[]) | app_system
    catalog.words_of(uuid, text[], text, text, jsonb) | app_owner | app_system
    door.accept_invitation(jsonb) | app_system definer | anon
    door.allow_network(jsonb) | app_owner definer | authenticated
    door.apply_job(tenancy.membership, jsonb, text, boolean) | app_owner
    door.apply_jobs(jsonb) | app_owner definer | authenticated
    door.artifact_download(jsonb) | app_owner definer | authenticated
    door.artifact_usage() | app_owner definer | authenticated
    door.attempt_artifact(jsonb) | app_system definer | anon
    door.attempt_input(jsonb) | app_system definer | anon
    door.attempt_parcel(jsonb) | app_system definer | anon
    door.attempt_report(jsonb) | app_system definer | anon
    door.backfill_job(jsonb) | app_owner definer | authenticated
    door.cancel_backfill(jsonb) | app_owner definer | authenticated
    door.cancel_run(jsonb) | app_owner definer | authenticated
    door.catalog_ingest(jsonb) | app_system definer | authenticated
    door.catalog_refresh(jsonb) | app_owner definer | authenticated
    door.catalog_sync(jsonb) | app_system definer | authenticated
    door.check(tenancy.membership, jsonb) | app_owner
    door.check_bytes(jsonb) | app_system definer | anon
    door.check_description(jsonb, text) | app_owner
    door.check_events(jsonb, text[]) | app_owner
    door.complete_artifact(jsonb) | app_owner definer | authenticated
    door.create_artifact(jsonb) | app_owner definer | authenticated
    door.create_endpoint(jsonb) | app_owner definer | authenticated
    door.create_invitation(jsonb) | app_owner definer | authenticated
    door.create_token(jsonb) | app_owner definer | authenticated
    door.create_trust(jsonb) | app_owner definer | authenticated
    door.delete_artifact(jsonb) | app_owner definer | authenticated
    door.delete_endpoint(jsonb) | app_owner definer | authenticated
    door.delete_expectation(jsonb) | app_system definer | authenticated
    door.delete_job(jsonb) | app_owner definer | authenticated
    door.delete_rollup(jsonb) | app_system definer | authenticated
    door.delete_trust(jsonb) | app_owner definer | authenticated
    door.describe_object(jsonb) | app_system definer | authenticated
    door.disallow_network(jsonb) | app_owner definer | authenticated
    door.endpoint_form(callback.endpoints) | app_owner
    door.enter(tenancy.membership, jsonb, bigint) | app_owner
    door.exchange_assertion(jsonb) | app_system definer | anon
    door.exchange_token(jsonb) | app_system definer | anon
    door.figures(uuid, integer) | app_owner | app_system
    door.find_backfill(uuid, jsonb) | app_owner
    door.events_of_job(uuid, uuid, integer) | app_owner | authenticated
    door.flows_due(uuid, timestamp with time zone) | app_owner | app_system
    door.get_artifact(jsonb) | app_owner definer | authenticated
    door.get_backfill(jsonb) | app_owner definer | authenticated
    door.get_endpoint(jsonb) | app_owner definer | authenticated
    door.get_job(jsonb) | app_owner definer | authenticated
    door.get_run(jsonb) | app_owner definer | authenticated
    door.knock(jsonb) | app_owner definer | authenticated
    door.knock_outside(jsonb) | app_system definer | anon
    door.health() | app_system definer | anon authenticated service_role
    door.held_attempt(text, boolean) | app_system
    door.job_schedule(jsonb) | app_owner definer | authenticated
    door.keep_an_admin(uuid, text) | app_owner
    door.lineage_coverage(jsonb) | app_owner definer | authenticated
    door.lineage_ingest(jsonb) | app_owner definer | authenticated
    door.list_artifacts(jsonb) | app_owner definer | authenticated
    door.list_backfills(jsonb) | app_owner definer | authenticated
    door.list_deliveries(jsonb) | app_owner definer | authenticated
    door.list_endpoints(jsonb) | app_owner definer | authenticated
    door.list_entries(jsonb) | app_system definer | authenticated
    door.list_events(jsonb) | app_owner definer | authenticated
    door.list_invitations(jsonb) | app_owner definer | authenticated
    door.list_jobs(jsonb) | app_owner definer | authenticated
    door.list_members(jsonb) | app_owner definer | authenticated
    door.list_networks(jsonb) | app_owner definer | authenticated
    door.list_objects(jsonb) | app_system definer | authenticated
    door.list_runs(jsonb) | app_owner definer | authenticated
    door.list_tokens(jsonb) | app_owner definer | authenticated
    door.list_trusts(jsonb) | app_owner definer | authenticated
    door.object(catalog.objects) | app_system | authenticated
    door.pause_job(jsonb, boolean) | app_owner definer | authenticated
    door.platform_add_member(jsonb) | app_system definer | service_role
    door.platform_allow_callbacks(jsonb) | app_system definer | service_role
    door.platform_audit_heads(jsonb) | app_system definer | service_role
    door.platform_audit_verify(jsonb) | app_system definer | service_role
    door.platform_create_tenant(jsonb) | app_system definer | service_role
    door.platform_grant(jsonb, boolean) | app_system definer | service_role
    door.platform_remove_member(jsonb) | app_system definer | service_role
    door.platform_set_audit(jsonb) | app_system definer | service_role
    door.platform_set_limits(jsonb) | app_system definer | service_role
    door.platform_set_rate(jsonb) | app_system definer | service_role
    door.prune_jobs(tenancy.membership, text, text[]) | app_owner
    door.platform_slo(jsonb) | app_system definer | service_role
    door.put_job(jsonb, boolean) | app_owner definer | authenticated
    door.redeliver(jsonb) | app_owner definer | authenticated
    door.refresh_plan(jsonb) | app_system definer | app_owner
    door.refuse_machine() | app_owner
    door.remove_member(jsonb) | app_owner definer | authenticated
    door.repair_run(jsonb) | app_owner definer | authenticated
    door.replay(jsonb) | app_owner definer | authenticated
    door.rerun_run(jsonb) | app_owner definer | authenticated
    door.retire_lineage(jsonb) | app_owner definer | authenticated
    door.revoke_invitation(jsonb) | app_owner definer | authenticated
    door.revoke_token(jsonb) | app_owner definer | authenticated
    door.rotate_endpoint(jsonb) | app_owner definer | authenticated
    door.run_events(jsonb) | app_owner definer | authenticated
    door.run_job(jsonb) | app_owner definer | authenticated
    door.runs_told(uuid, bigint[], boolean) | app_owner | authenticated
    door.run_logs(jsonb) | app_owner definer | authenticated
    door.set_expectation(jsonb) | app_system definer | authenticated
    door.set_freshness(jsonb) | app_owner definer | authenticated
    door.set_layer_rules(jsonb) | app_owner definer | authenticated
    door.set_member_role(jsonb) | app_owner definer | authenticated
    door.set_rollup(jsonb) | app_system definer | authenticated
    door.slo(jsonb) | app_owner definer | authenticated
    door.source_of(jsonb) | app_owner
    door.start_job(bigint, schedule.kind, timestamp with time zone, bigint[], text[]) | app_owner definer | app_system
    door.started_by(jsonb, text) | app_owner
    door.submit(tenancy.membership, jsonb, bigint) | app_owner
    door.submit_runs(jsonb) | app_owner definer | authenticated
    door.sweep_bytes(jsonb) | app_system definer | anon
    door.tell_origin(uuid, uuid, integer) | app_owner | app_system
    door.told_at(text, timestamp with time zone) | app_owner | authenticated
    door.traceparent() | app_owner
    door.trust(uuid, uuid) | app_owner
    door.update_artifact(jsonb) | app_owner definer | authenticated
    door.update_endpoint(jsonb) | app_owner definer | authenticated
    door.want_dataset(text) | app_owner | authenticated
    door.want_role(jsonb) | app_owner | app_system
    door.want_table(jsonb) | app_owner | authenticated app_system
    door.with_job_ids(uuid, jsonb) | app_owner
    ground.answer_status(integer) | app_owner | anon authenticated service_role app_system
    ground.caller() | app_owner | anon authenticated service_role app_system
    ground.claimed_role() | app_owner | anon authenticated service_role app_system
    ground.claimed_tenant_id() | app_owner | anon authenticated service_role app_system
    ground.claims() | app_owner | anon authenticated service_role app_system supabase_auth_admin
    ground.fail(text, text, text, text) | app_owner | anon authenticated service_role runner app_system
    ground.page_limit(jsonb) | app_owner | authenticated service_role app_system
    ground.refuse_change() | app_owner | app_system
    ground.refuse_deep(jsonb) | app_owner | anon authenticated service_role app_system
    ground.refuse_unknown(jsonb, text[], text) | app_owner | anon authenticated service_role app_system
    ground.turn_calendar(regclass, interval) | app_owner
    ground.user_id() | app_owner | anon authenticated service_role app_system
    ground.wake(text) | app_owner | app_system
    ground.want_id(jsonb, text) | app_owner | anon authenticated service_role app_system
    ground.want_time(jsonb, text) | app_owner | anon authenticated service_role app_system
    ground.want_uuid(jsonb, text, text) | app_owner | anon authenticated service_role app_system
    job.check_array(jsonb, text, text, integer) | app_owner | app_system
    job.check_boolean(jsonb, text, text, boolean) | app_owner | app_system
    job.check_catalogue(uuid, jsonb, text) | app_owner | app_system
    job.check_code(jsonb, text) | app_owner | app_system
    job.check_condition(jsonb, text) | app_owner | app_system
    job.check_definition(uuid, jsonb, bigint) | app_owner | app_system
    job.check_for_each(jsonb, text) | app_owner | app_system
    job.check_generation(uuid, jsonb, text) | app_owner | app_system
    job.check_image(uuid, job.job_types, jsonb, text) | app_owner | app_system
    job.check_inputs(uuid, jsonb, text) | app_owner | app_system
    job.check_integer(jsonb, text, text, bigint, bigint, bigint, text) | app_owner | authenticated app_system
    job.check_key(jsonb) | app_owner | app_system
    job.check_nesting(uuid, bigint, jsonb, text) | app_owner | app_system
    job.check_node(uuid, jsonb, text) | app_owner | app_system
    job.check_object(jsonb, text, text) | app_owner | app_system
    job.check_reading(uuid, jsonb, text) | app_owner | app_system
    job.check_migration(uuid, jsonb, text) | app_owner | app_system
    job.check_outputs(jsonb, text) | app_owner | app_system
    job.check_parameters(jsonb, text, boolean) | app_owner | app_system
    job.check_periodic(jsonb) | app_owner
    job.check_place(jsonb, text) | app_owner | app_system
    job.check_queue(jsonb, boolean) | app_owner | app_system
    job.check_references(jsonb, text, jsonb) | app_owner | app_system
    job.check_run_job(uuid, jsonb, text) | app_owner | app_system
    job.check_schedule(jsonb) | app_owner
    job.check_start(uuid, jsonb, jsonb) | app_owner
    job.check_submission(uuid, jsonb) | app_owner | app_system
    job.check_task(uuid, jsonb, text) | app_owner | app_system
    job.check_task_references(jsonb, text, jsonb) | app_owner | app_system
    job.check_tasks(uuid, jsonb, jsonb, boolean, text) | app_owner | app_system
    job.check_trigger(uuid, jsonb, jsonb) | app_owner
    job.check_validation(jsonb, text) | app_owner | app_system
    job.cron_field(text, text, integer, integer, text[], text) | app_owner | app_system
    job.dataset_node(text, text) | app_owner | app_system
    job.fault_of(text, jsonb) | app_owner | app_system
    job.image_fault(uuid, text) | app_owner | app_system
    job.is_judged(jsonb, boolean) | app_owner | app_system
    job.is_numeral(text) | app_owner | app_system
    job.is_time_zone(text) | app_owner | app_system
    job.kind_of(jsonb) | app_owner | app_system
    job.model_of(uuid, text) | app_owner | app_system
    job.next_wall(job.cron, timestamp without time zone) | app_owner | app_system
    job.read_cron(text, text) | app_owner | app_system
    job.references_in(jsonb, text) | app_owner | app_system
    job.refuse_cron(text, text) | app_owner | app_system
    job.repository_of(text) | app_owner | app_system
    job.strings(jsonb, text) | app_owner | app_system
    job.substitute(jsonb, jsonb) | app_owner | app_system
    job.target_of(jsonb) | app_owner | app_system
    job.with_loops(uuid, jsonb) | app_owner | app_system
    job.with_params(jsonb, jsonb) | app_owner | app_system
    job.work_fields() | app_owner | app_system
    lineage.bear_witness(uuid, text, text, jsonb, bigint, boolean) | app_owner | app_system
    lineage.claim_unchecked(integer) | app_owner | app_system
    lineage.dataset_by_name(uuid, text, text) | app_owner | authenticated app_system
    lineage.dataset_ids(uuid, lineage.named[]) | app_owner | app_system
    lineage.elements(jsonb) | app_owner | app_system
    lineage.fault(jsonb) | app_owner | app_system
    lineage.find_dataset(text) | app_owner | authenticated
    lineage.find_field(text) | app_owner | authenticated
    lineage.find_job(text) | app_owner | authenticated
    lineage.flows_at(bigint[], timestamp with time zone) | app_owner | authenticated
    lineage.flows_of(lineage.told[]) | app_owner | app_system
    lineage.forget(uuid, bigint[]) | app_owner | app_system
    lineage.forget_views(uuid, bigint[]) | app_owner | app_system
    lineage.hop(bigint[], bigint[], boolean, timestamp with time zone) | app_owner | authenticated
    lineage.hydrate(bigint[], timestamp with time zone) | app_owner | authenticated
    lineage.knows(uuid, text, text, text, text, text, text, timestamp with time zone) | app_owner | authenticated app_system
    lineage.learn_symlinks(uuid, lineage.told[]) | app_owner | app_system
    lineage.normal_namespace(text) | app_owner | authenticated app_system
    lineage.path(bigint, bigint, timestamp with time zone, integer) | app_owner | authenticated
    lineage.record_all(uuid, jsonb[], bigint, text) | app_owner | app_system
    lineage.refuse_rewrite() | app_owner
    lineage.settle_unchecked(uuid, bigint, integer, jsonb) | app_owner | app_system
    lineage.take_columns(uuid, bigint, text, jsonb) | app_owner | app_system
    lineage.tell_view(uuid, text, text, text, jsonb, bigint) | app_owner | app_system
    lineage.turn_calendar(interval) | app_owner definer | app_system
    lineage.view_of_event(uuid, jsonb) | app_owner | app_system
    lineage.views_over(oid[]) | app_owner | authenticated app_system
    lineage.walk(bigint[], text, integer, timestamp with time zone, integer) | app_owner | authenticated
    lineage.walk_columns(bigint, text, boolean, integer, timestamp with time zone, integer) | app_owner | authenticated
    public.accept_invitation(jsonb) | app_owner | anon
    public.allow_network(jsonb) | app_owner | authenticated
    public.apply_jobs(jsonb) | app_owner | authenticated
    public.artifact_download(jsonb) | app_owner | authenticated
    public.artifact_usage(jsonb) | app_owner | authenticated
    public.attempt_artifact(jsonb) | app_owner | anon
    public.attempt_input(jsonb) | app_owner | anon
    public.attempt_parcel(jsonb) | app_owner | anon
    public.attempt_report(jsonb) | app_owner | anon
    public.audit_head(jsonb) | app_owner | authenticated
    public.audit_verify(jsonb) | app_owner | authenticated
    public.backfill_job(jsonb) | app_owner | authenticated
    public.cancel_backfill(jsonb) | app_owner | authenticated
    public.cancel_run(jsonb) | app_owner | authenticated
    public.catalog_ingest(jsonb) | app_owner | authenticated
    public.catalog_refresh(jsonb) | app_owner | authenticated
    public.catalog_sync(jsonb) | app_owner | authenticated
    public.check_bytes(jsonb) | app_owner | anon
    public.column_lineage(text, integer, text, timestamp with time zone) | app_owner | authenticated
    public.complete_artifact(jsonb) | app_owner | authenticated
    public.create_artifact(jsonb) | app_owner | authenticated
    public.create_endpoint(jsonb) | app_owner | authenticated
    public.create_invitation(jsonb) | app_owner | authenticated
    public.create_job(jsonb) | app_owner | authenticated
    public.create_token(jsonb) | app_owner | authenticated
    public.create_trust(jsonb) | app_owner | authenticated
    public.delete_artifact(jsonb) | app_owner | authenticated
    public.delete_endpoint(jsonb) | app_owner | authenticated
    public.delete_expectation(jsonb) | app_owner | authenticated
    public.delete_job(jsonb) | app_owner | authenticated
    public.delete_rollup(jsonb) | app_owner | authenticated
    public.delete_trust(jsonb) | app_owner | authenticated
    public.describe_object(jsonb) | app_owner | authenticated
    public.disallow_network(jsonb) | app_owner | authenticated
    public.exchange_assertion(jsonb) | app_owner | anon
    public.exchange_token(jsonb) | app_owner | anon
    public.get_artifact(jsonb) | app_owner | authenticated
    public.get_backfill(jsonb) | app_owner | authenticated
    public.get_endpoint(jsonb) | app_owner | authenticated
    public.get_entry(jsonb) | app_owner | authenticated
    public.get_job(jsonb) | app_owner | authenticated
    public.get_object(jsonb) | app_owner | authenticated
    public.get_run(jsonb) | app_owner | authenticated
    public.health(jsonb) | app_owner | anon authenticated service_role
    public.job_schedule(jsonb) | app_owner | authenticated
    public.knock(jsonb) | app_owner | authenticated
    public.knock_outside(jsonb) | app_owner | anon
    public.lineage_coverage(jsonb) | app_owner | authenticated
    public.lineage_diff(jsonb) | app_owner | authenticated
    public.lineage_events(jsonb) | app_owner | authenticated
    public.lineage_graph(text, text, integer, timestamp with time zone, text[], integer, text) | app_owner | authenticated
    public.lineage_impact(jsonb) | app_owner | authenticated
    public.lineage_ingest(jsonb) | app_owner | authenticated
    public.lineage_orphans(jsonb) | app_owner | authenticated
    public.lineage_path(jsonb) | app_owner | authenticated
    public.lineage_violations(jsonb) | app_owner | authenticated
    public.list_artifacts(jsonb) | app_owner | authenticated
    public.list_audit(jsonb) | app_owner | authenticated
    public.list_backfills(jsonb) | app_owner | authenticated
    public.list_deliveries(jsonb) | app_owner | authenticated
    public.list_endpoints(jsonb) | app_owner | authenticated
    public.list_entries(jsonb) | app_owner | authenticated
    public.list_events(jsonb) | app_owner | authenticated
    public.list_expectations(jsonb) | app_owner | authenticated
    public.list_freshness(jsonb) | app_owner | authenticated
    public.list_invitations(jsonb) | app_owner | authenticated
    public.list_jobs(jsonb) | app_owner | authenticated
    public.list_layer_rules(jsonb) | app_owner | authenticated
    public.list_layers(jsonb) | app_owner | authenticated
    public.list_members(jsonb) | app_owner | authenticated
    public.list_networks(jsonb) | app_owner | authenticated
    public.list_objects(jsonb) | app_owner | authenticated
    public.list_quarantine(jsonb) | app_owner | authenticated
    public.list_rollups(jsonb) | app_owner | authenticated
    public.list_runs(jsonb) | app_owner | authenticated
    public.list_tokens(jsonb) | app_owner | authenticated
    public.list_trusts(jsonb) | app_owner | authenticated
    public.list_verdicts(jsonb) | app_owner | authenticated
    public.marquez_datasets(jsonb) | app_owner | authenticated
    public.marquez_events(jsonb) | app_owner | authenticated
    public.marquez_jobs(jsonb) | app_owner | authenticated
    public.marquez_namespaces(jsonb) | app_owner | authenticated
    public.marquez_run(jsonb) | app_owner | authenticated
    public.marquez_runs(jsonb) | app_owner | authenticated
    public.marquez_search(jsonb) | app_owner | authenticated
    public.marquez_stats(jsonb) | app_owner | authenticated
    public.marquez_tags(jsonb) | app_owner | authenticated
    public.pause_job(jsonb) | app_owner | authenticated
    public.platform_add_member(jsonb) | app_owner | service_role
    public.platform_allow_callbacks(jsonb) | app_owner | service_role
    public.platform_audit_heads(jsonb) | app_owner | service_role
    public.platform_audit_verify(jsonb) | app_owner | service_role
    public.platform_create_tenant(jsonb) | app_owner | service_role
    public.platform_grant(jsonb) | app_owner | service_role
    public.platform_remove_member(jsonb) | app_owner | service_role
    public.platform_revoke(jsonb) | app_owner | service_role
    public.platform_set_audit(jsonb) | app_owner | service_role
    public.platform_set_limits(jsonb) | app_owner | service_role
    public.platform_set_rate(jsonb) | app_owner | service_role
    public.platform_slo(jsonb) | app_owner | service_role
    public.read_table(jsonb) | app_owner | authenticated
    public.redeliver_delivery(jsonb) | app_owner | authenticated
    public.remove_member(jsonb) | app_owner | authenticated
    public.repair_run(jsonb) | app_owner | authenticated
    public.replay_deliveries(jsonb) | app_owner | authenticated
    public.rerun_run(jsonb) | app_owner | authenticated
    public.resume_job(jsonb) | app_owner | authenticated
    public.retire_lineage(jsonb) | app_owner | authenticated
    public.revoke_invitation(jsonb) | app_owner | authenticated
    public.revoke_token(jsonb) | app_owner | authenticated
    public.rotate_endpoint(jsonb) | app_owner | authenticated
    public.run_events(jsonb) | app_owner | authenticated
    public.run_job(jsonb) | app_owner | authenticated
    public.run_lineage(jsonb) | app_owner | authenticated
    public.run_logs(jsonb) | app_owner | authenticated
    public.set_expectation(jsonb) | app_owner | authenticated
    public.set_freshness(jsonb) | app_owner | authenticated
    public.set_layer_rules(jsonb) | app_owner | authenticated
    public.set_member_role(jsonb) | app_owner | authenticated
    public.set_rollup(jsonb) | app_owner | authenticated
    public.slo(jsonb) | app_owner | authenticated
    public.submit_runs(jsonb) | app_owner | authenticated
    public.sweep_bytes(jsonb) | app_owner | anon
    public.update_artifact(jsonb) | app_owner | authenticated
    public.update_endpoint(jsonb) | app_owner | authenticated
    public.update_job(jsonb) | app_owner | authenticated
    queue.admit(uuid, bigint) | app_owner | app_system
    queue.admit_all() | app_owner | app_system
    queue.advance(uuid, bigint) | app_owner | app_system
    queue.advance(uuid[], bigint[], bigint[], uuid[]) | app_owner | app_system
    queue.backfill_counts(uuid, bigint) | app_owner
    queue.backfill_values(jsonb) | app_owner
    queue.backoff(integer) | app_owner | app_system
    queue.begin_epoch() | app_owner | app_system
    queue.begin_task(queue.runs, bigint) | app_owner | app_system
    queue.cancel(uuid, bigint, text) | app_owner | app_system
    queue.claim(uuid, text[], integer) | app_owner | app_system
    queue.compare(text, jsonb, jsonb) | app_owner | app_system
    queue.count_anew(uuid, bigint) | app_owner | app_system
    queue.databricks_state(queue.state, text, boolean) | app_owner | authenticated app_system
    queue.describe(queue.task_runs) | app_owner
    queue.end_attempts(jsonb) | app_owner | app_system
    queue.end_parent(queue.runs) | app_owner | app_system
    queue.end_task(uuid, bigint, queue.state, text, text, boolean) | app_owner | app_system
    queue.expire(integer) | app_owner | app_system
    queue.expired(integer) | app_owner | app_system
    queue.enter_plain(uuid, bigint, smallint, jsonb) | app_owner | app_system
    queue.fail_task(text, text) | app_owner | app_system
    queue.family(uuid, bigint) | app_owner | app_system
    queue.free_places(uuid, bigint) | app_owner | app_system
    queue.go_round(queue.runs, bigint) | app_owner | app_system
    queue.hold(bigint, integer) | app_owner | app_system
    queue.hold_ended(uuid, bigint) | app_owner
    queue.hold_families(uuid[], bigint[]) | app_owner | app_system
    queue.hold_family(uuid, bigint, boolean) | app_owner | app_system
    queue.hold_lanes(uuid[], boolean) | app_owner | app_system
    queue.hold_work(bigint[], boolean) | app_owner | app_system
    queue.is_expired(uuid, timestamp with time zone) | app_owner | app_system
    queue.is_final(queue.state) | app_owner | authenticated app_system
    queue.is_offered(text) | app_owner | app_system
    queue.line_up(uuid, bigint, bigint) | app_owner
    queue.look_up(queue.runs, text, jsonb, text) | app_owner | app_system
    queue.one_by_one(anyarray) | app_owner | app_system
    queue.open_lane(uuid, bigint) | app_owner
    queue.longest_retention() | app_owner | app_system
    queue.overdue(integer) | app_owner | app_system
    queue.pass_on(uuid[], bigint[]) | app_owner | app_system
    queue.pass_on_after(bigint[]) | app_owner | app_system
    queue.proceed(uuid, bigint, bigint[], bigint[]) | app_owner | app_system
    queue.reason(uuid, bigint) | app_owner | app_system
    queue.reasons(uuid, bigint) | app_owner | app_system
    queue.refuse_other_code() | app_owner
    queue.refuse_unjudged() | app_owner
    queue.renew(uuid, jsonb) | app_owner | app_system
    queue.repair(uuid, text, bigint, bigint, text[], boolean, boolean, jsonb) | app_owner
    queue.report(bigint, integer, integer, text, text, jsonb) | app_owner | app_system
    queue.requeue(bigint, integer, boolean) | app_owner | app_system
    queue.requirement(text, text, text) | app_owner | app_system
    queue.rerun(uuid, text, bigint, text, text) | app_owner
    queue.resolve(queue.runs, text, jsonb, jsonb) | app_owner | app_system
    queue.set_lane(uuid, bigint, integer, boolean) | app_owner
    queue.settle(jsonb) | app_owner | app_system
    queue.start_child(queue.runs, queue.task_runs, jsonb) | app_owner | app_system
    queue.stop(uuid, bigint, queue.state, queue.termination_code, text) | app_owner | app_system
    queue.submit(uuid, text, jsonb, queue.task_runs) | app_owner | app_system
    queue.submit_plain(uuid, text, jsonb[], text) | app_owner
    queue.take_code(queue.task_runs) | app_owner | app_system
    queue.to_do_again(queue.runs, text[], boolean, boolean, text) | app_owner
    queue.turn_calendar(interval) | app_owner definer | app_system
    queue.unfold(queue.runs, queue.task_runs, jsonb, jsonb) | app_owner | app_system
    queue.write_again(queue.runs, bigint[]) | app_owner | app_system
    queue.written(queue.task_runs) | app_owner | app_system
    schedule.cause(uuid, bigint) | app_owner
    schedule.due(integer) | app_owner | app_system
    schedule.first_instant(timestamp without time zone, text) | app_owner | app_system
    schedule.following(schedule.triggers, timestamp with time zone) | app_owner | app_system
    schedule.gather() | app_owner | app_system
    schedule.last_fire(job.cron, text, timestamp with time zone, timestamp with time zone) | app_owner | app_system
    schedule.mark(uuid, text, text, bigint) | app_owner | app_system
    schedule.mark_events(uuid, jsonb[], bigint) | app_owner | app_system
    schedule.next_due() | app_owner | app_system
    schedule.next_fire(job.cron, text, timestamp with time zone) | app_owner | app_system
    schedule.next_fire(text, text, timestamp with time zone) | app_owner | app_system
    schedule.owed(schedule.triggers, timestamp with time zone) | app_owner | app_system
    schedule.place(uuid, bigint, jsonb) | app_owner
    schedule.remove(uuid, bigint) | app_owner
    schedule.settle(schedule.triggers, bigint, jsonb) | app_owner | app_system
    schedule.state(uuid, bigint) | app_owner
    schedule.transition(text, timestamp with time zone, timestamp with time zone) | app_owner | app_system
    schedule.upcoming(schedule.triggers, integer) | app_owner
    tenancy.admit(text, jsonb, ground.member_role) | app_system
    tenancy.create_tenant(text, text) | app_system
    tenancy.custom_access_token_hook(jsonb) | app_system definer | supabase_auth_admin
    tenancy.find_tenant(text) | app_system
    tenancy.forget_outside(integer) | app_system
    tenancy.lock_members(uuid) | app_owner | app_system
    tenancy.is_granted(uuid, text, text) | app_owner | app_system
    tenancy.membership() | app_owner definer | anon authenticated service_role app_system
    tenancy.namespace_of(uuid) | app_owner | authenticated app_system
    tenancy.open_access_token(text) | app_system
    tenancy.pre_request() | app_owner | anon authenticated service_role
    tenancy.require(ground.member_role) | app_owner | anon authenticated service_role app_system
    tenancy.role() | app_owner | anon authenticated service_role app_system
    tenancy.take_knocks(uuid, text, integer) | app_owner
    tenancy.take_strangers_knocks(text, integer) | app_system
    tenancy.stranger_place(text) | app_owner | app_system
    tenancy.takes(tenancy.trusts, jsonb) | app_owner | app_system
    tenancy.tenant_id() | app_owner | anon authenticated service_role app_system
    worker.anything_waits() | app_system definer | runner
    worker.artifacts_in_use(uuid) | app_system
    worker.canary(uuid) | app_system definer | runner
    worker.capture_views(uuid, oid[], bigint, bigint) | app_system
    worker.claim_attempts(uuid, text[], integer) | app_system definer | runner
    worker.claim_deliveries(uuid, integer) | app_system definer | runner
    worker.claim_events(integer) | app_system definer | runner
    worker.claim_uploads(uuid, integer) | app_system definer | runner
    worker.conclude(jsonb) | app_system
    worker.confirm_removals(uuid) | app_system definer | runner
    worker.event(bigint, text, text, text, jsonb, jsonb) | app_system
    worker.demand() | app_system definer | scaler
    worker.farewell(uuid) | app_system definer | runner
    worker.fire(integer) | app_system definer | runner
    worker.forget_outside() | app_system
    worker.granted(bigint, integer, text) | app_system definer | runner
    worker.granted_targets(uuid, text, jsonb) | app_system
    worker.high_water(bigint, integer, text) | app_system definer | runner
    worker.job_name(uuid, bigint, bigint) | app_system
    worker.judge_uploads(jsonb) | app_system definer | runner
    worker.keep_report(bigint, jsonb) | app_system
    worker.named_code(uuid, jsonb) | app_system
    worker.named_inputs(uuid, jsonb) | app_system
    worker.open_input(bigint, integer, text) | app_system definer | runner
    worker.open_outside(bigint, integer, text) | app_system definer | runner
    worker.open_output(bigint, integer, text, jsonb) | app_system definer | runner
    worker.over(bigint[]) | app_system definer | runner
    worker.provenance(queue.live_attempts) | app_system
    worker.publish_entries(queue.live_attempts, jsonb) | app_system
    worker.read_outside(jsonb) | app_system definer | runner
    worker.reap(integer) | app_system
    worker.record_work(jsonb) | app_system
    worker.register(jsonb) | app_system definer | runner
    worker.release_attempts(uuid, jsonb) | app_system definer | runner
    worker.renew_leases(uuid, jsonb) | app_system definer | runner
    worker.report(jsonb) | app_system definer | runner
    worker.report_findings(jsonb) | app_system definer | runner
    worker.audit_heads(text, integer) | app_system definer | runner
    worker.seal() | app_system definer | runner
    worker.settle_attempts(uuid, jsonb) | app_system definer | runner
    worker.settle_deliveries(jsonb) | app_system definer | runner
    worker.settle_one(jsonb) | app_system
    worker.stop_overdue(integer) | app_system
    worker.sweep_artifacts(integer) | app_system definer | runner
    worker.sweep_contents(integer) | app_system
    worker.tell_reports(queue.live_attempts, jsonb) | app_system
    worker.tick(uuid) | app_system definer | runner
    worker.tidy() | app_system definer | runner
    worker.unrecorded(jsonb, text, text, text) | app_system
    worker.witness(queue.live_attempts, jsonb) | app_system
$list$, 'who owns and who may execute which function: owner | others; definers are marked');

select tests.exactly($q$
    select concat_ws(' | ', case c.relkind::text when 'r' then 'table ' when 'p' then 'table ' when 'v' then 'view ' when 'S' then 'sequence ' else c.relkind::text || ' ' end || r.name || '.' || c.relname, pg_get_userbyid(c.relowner),
               (select string_agg(g, '; ' order by g) from (
                    select case a.grantee when 0 then 'public' else pg_get_userbyid(a.grantee) end || ' ' || string_agg(lower(a.privilege_type), ' ' order by a.privilege_type) as g
                    from aclexplode(c.relacl) a where a.grantee <> c.relowner group by a.grantee) x),
               (select string_agg(g, '; ' order by g) from (
                    select case a.grantee when 0 then 'public' else pg_get_userbyid(a.grantee) end || ' ' || lower(a.privilege_type) || ' of ' || string_agg(t.attname, ' ' order by t.attnum) as g
                    from pg_attribute t, aclexplode(t.attacl) a where t.attrelid = c.oid group by a.grantee, a.privilege_type) x))
    from pg_class c join tests.rooms r on r.oid = c.relnamespace
    where not c.relispartition and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S') and not (c.relkind = 'S' and c.relacl is null) and not exists (select from pg_depend d where d.objid = c.oid and d.deptype = 'e')
$q$, $list$
    table artifact.aliases | app_owner | app_system select; authenticated select
    table artifact.artifacts | app_owner | app_system insert select update; authenticated select
    table artifact.contents | app_owner | app_system insert select update
    table artifact.moves | app_owner | app_system delete insert select
    table artifact.removals | app_owner | app_system delete insert select update
    table artifact.tags | app_owner | authenticated select
    table artifact.upkeep | app_owner | app_system select update
    table artifact.usage | app_owner | app_system insert select update
    table artifact.versions | app_owner | app_system insert select update | authenticated select of tenant_id artifact_id version state size sha256 content_type path run_id attempt_id provenance findings created_by created_at uploaded_at finished_at
    sequence audit.entries_id_seq | app_owner | app_system usage
    sequence queue.runs_id_seq | app_owner | app_system usage
    sequence queue.task_runs_id_seq | app_owner | app_system usage
    table audit.entries | app_owner | app_system insert select; authenticated select
    table audit.seals | app_owner | app_system insert select; authenticated select
    table audit.settings | app_owner | app_system select update
    table audit.unsealed | app_owner | app_system delete insert select; authenticated select
    table callback.allowed_networks | app_owner | app_system delete insert select; authenticated select
    table callback.deliveries | app_owner | app_system delete insert select update; authenticated select
    table callback.endpoints | app_owner | app_system insert select update; authenticated select
    table callback.settings | app_owner | app_system insert select update
    table callback.events | app_owner | app_system delete insert select; authenticated select
    table callback.subscriptions | app_owner | app_system insert select; authenticated select
    table catalog.assets | app_owner | app_system delete insert select update; authenticated select
    table catalog.entries | app_owner | app_system delete insert select update; authenticated select
    table catalog.expectations | app_owner | app_system delete insert select; authenticated select
    table catalog.freshness | app_owner | authenticated select
    table catalog.target_tables | app_owner | app_system insert select update; authenticated select
    table catalog.layer_rules | app_owner | authenticated select
    table catalog.objects | app_owner | app_system insert select update; authenticated select
    table catalog.quarantine | app_owner | app_system delete insert select; authenticated select
    table catalog.rollups | app_owner | app_system delete insert select; authenticated select
    table catalog.verdicts | app_owner | app_system delete insert select; authenticated select
    table ground.error_codes | app_owner | anon select; app_system select; authenticated select; service_role select
    table job.job_types | app_owner | app_system select; authenticated select
    table job.jobs | app_owner | app_system select; authenticated select
    table job.versions | app_owner | app_system select; authenticated select
    table lineage.column_edges | app_owner | app_system insert select; authenticated select | app_system update of deleted_at deleted_by deleted_reason
    table lineage.datasets | app_owner | app_system insert select; authenticated select | app_system update of fields
    table lineage.edges | app_owner | app_system insert select; authenticated select | app_system update of deleted_at deleted_by deleted_reason
    table lineage.events | app_owner | app_system insert select; authenticated select
    table lineage.findings | app_owner | app_system insert select; authenticated select
    table lineage.job_io | app_owner | app_system insert select; authenticated select
    table lineage.jobs | app_owner | app_system insert select; authenticated select
    table lineage.unchecked | app_owner | app_system delete insert select update
    table lineage.views | app_owner | app_system delete insert select update
    table lineage.witnessed | app_owner | app_system insert select update; authenticated select
    table queue.backfill_runs | app_owner | app_system select
    table queue.backfills | app_owner | app_system select
    table lineage.observations | app_owner | app_system delete insert select; authenticated select
    table lineage.symlinks | app_owner | app_system insert select; authenticated select
    table queue.histories | app_owner | app_system insert select update; authenticated select
    table queue.lanes | app_owner | app_system select
    table queue.live_attempts | app_owner | app_system delete insert select update | authenticated select of tenant_id id run_id task_run_id number requires priority state queued_at ready_at lease lost runner claimed_at lease_expires_at deadline_at cancel_requested_at external_id
    table queue.logs | app_owner | app_system delete insert select; authenticated select
    table queue.news | app_owner | app_system delete insert select update
    table queue.past_attempts | app_owner | app_system delete insert select; authenticated select
    table queue.payloads | app_owner | app_system delete insert select update; authenticated select
    table queue.repairs | app_owner | app_system select; authenticated select
    table queue.runners | app_owner | app_system delete insert select update
    table queue.runs | app_owner | app_system insert select update | authenticated select of tenant_id id job_id job_version name job_type state termination_code termination_message priority task_count parent_run_id parent_task_run_id root_run_id created_by created_at waits_since started_at finished_at timeout_seconds deadline_at cancel_requested_at stop_code
    table queue.settings | app_owner | app_system insert select update
    table queue.slots | app_owner | app_system insert select update
    table queue.task_runs | app_owner | app_system insert select update; authenticated select
    table queue.termination_codes | app_owner | app_system select; authenticated select
    table queue.unbroken | app_owner | app_system insert select
    table schedule.fires | app_owner | app_system select; authenticated select
    table schedule.marks | app_owner | app_system delete insert select
    table schedule.triggers | app_owner | app_system select update; authenticated select
    table schedule.watches | app_owner | app_system select; authenticated select
    table tenancy.access_tokens | app_owner | app_system delete insert select update | authenticated select of tenant_id id user_id name role created_at expires_at last_used_at revoked_at
    table tenancy.grants | app_owner | app_system delete insert select update; authenticated select
    table tenancy.knocks | app_owner
    table tenancy.invitations | app_owner | app_system select update
    table tenancy.limits | app_owner | app_system insert select update; authenticated select
    table tenancy.members | app_owner | app_system delete insert select update; authenticated select
    table tenancy.rates | app_owner | app_system insert select update; authenticated select
    table tenancy.spent_assertions | app_owner | app_system delete insert select
    table tenancy.stranger_rate | app_owner | app_system select update
    table tenancy.strangers | app_owner | app_system insert select update
    table tenancy.tenants | app_owner | app_system insert select update; authenticated select
    table tenancy.trusts | app_owner | app_system select update
    table worker.outside | app_system
    view audit.leaves | app_owner | app_system select; authenticated select
    view public.artifacts | app_owner | authenticated select
    view public.assets | app_owner | authenticated select
    view public.datasets | app_owner | authenticated select
    view public.deliveries | app_owner | authenticated select
    view public.endpoints | app_owner | authenticated select
    view public.events | app_owner | authenticated select
    view public.jobs | app_owner | authenticated select
    view public.lineage_edges | app_owner | authenticated select
    view public.members | app_owner | authenticated select
    view public.runs | app_owner | authenticated select
    view public.target_tables | app_owner | authenticated select
    view public.task_runs | app_owner | authenticated select
    view queue.attempts | app_owner | app_system select; authenticated select
$list$, 'who owns and who may do what with which table, view or sequence: owner | others | columns');


-- a predicate in the words of this file
create function tests.predicate(p text)
returns text language sql immutable as $$
    select case lower(regexp_replace(regexp_replace(p, ' AS \w+', '', 'g'), '\s+', ' ', 'g'))
        when '(tenant_id = ( select tenancy.tenant_id()))' then 'own tenant'
        when '(tenant_id = ( select ground.claimed_tenant_id()))' then 'claimed tenant'
        when '((tenant_id = ( select tenancy.tenant_id())) and (( select tenancy.role()) >= ''operator''::ground.member_role))' then 'own tenant, operators'
        when '((tenant_id = ( select tenancy.tenant_id())) and (( select tenancy.role()) = ''admin''::ground.member_role))' then 'own tenant, admins'
        when 'true' then 'all'
        else lower(regexp_replace(regexp_replace(p, ' AS \w+', '', 'g'), '\s+', ' ', 'g')) end
$$;

select tests.exactly($q$
    select concat_ws(' | ', p.schemaname || '.' || p.tablename, lower(p.cmd), array_to_string(p.roles, ' '), p.policyname, tests.predicate(p.qual), nullif(tests.predicate(p.with_check), tests.predicate(p.qual)),
               case p.permissive when 'RESTRICTIVE' then 'restrictive' end)
    from pg_policies p where p.schemaname <> 'storage' or p.tablename in ('objects', 'buckets')
$q$, $list$
    artifact.aliases | all | app_owner | doors keep the caller's aliases | claimed tenant
    artifact.aliases | select | app_system | the worker sees aliases | all
    artifact.aliases | select | authenticated | members see their aliases | own tenant
    artifact.artifacts | all | app_owner | doors keep the caller's artifacts | claimed tenant
    artifact.artifacts | all | app_system | the worker keeps artifacts | all
    artifact.artifacts | select | authenticated | members see their artifacts | own tenant
    artifact.contents | all | app_owner | doors keep the caller's contents | claimed tenant
    artifact.contents | all | app_system | the worker keeps contents | all
    artifact.moves | all | app_owner | doors keep the caller's moves | claimed tenant
    artifact.moves | all | app_system | the worker keeps moves | all
    artifact.removals | all | app_owner | doors keep the caller's removals | claimed tenant
    artifact.removals | all | app_system | the worker keeps removals | all
    artifact.tags | all | app_owner | doors keep the caller's tags | claimed tenant
    artifact.tags | select | authenticated | members see their tags | own tenant
    artifact.upkeep | all | app_system | the worker keeps the sweep | all
    artifact.usage | all | app_owner | doors keep the caller's usage | claimed tenant
    artifact.usage | all | app_system | the worker keeps usage | all
    artifact.versions | all | app_owner | doors keep the caller's versions | claimed tenant
    artifact.versions | all | app_system | the worker keeps versions | all
    artifact.versions | select | authenticated | members see their versions | own tenant
    audit.entries | insert | app_owner | doors append for the caller | claimed tenant
    audit.entries | insert | app_system | the platform appends | all
    audit.entries | select | app_owner | doors see what they append | claimed tenant
    audit.entries | select | app_system | the platform reads | all
    audit.entries | select | authenticated | admins read their audit | own tenant, admins
    audit.seals | insert | app_system | the sealer appends | all
    audit.seals | select | app_system | the sealer reads | all
    audit.seals | select | authenticated | admins read their seals | own tenant, admins
    audit.settings | all | app_system | the platform says whom to believe | all
    audit.settings | select | app_owner | doors read whom to believe | all
    audit.unsealed | all | app_system | the sealer takes what waits | all
    audit.unsealed | insert | app_owner | doors append for the caller | claimed tenant
    audit.unsealed | select | authenticated | admins see what waits for its seal | own tenant, admins
    callback.allowed_networks | all | app_system | the platform keeps its bounds | all
    callback.allowed_networks | delete | app_owner | doors remove what the caller allows | claimed tenant
    callback.allowed_networks | insert | app_owner | doors add what the caller allows | claimed tenant
    callback.allowed_networks | select | app_owner | doors see what the caller and the platform allow | ((tenant_id = ( select ground.claimed_tenant_id())) or (tenant_id is null))
    callback.allowed_networks | select | authenticated | admins see what is allowed | own tenant, admins
    callback.deliveries | all | app_owner | doors keep the caller's callbacks | claimed tenant
    callback.deliveries | all | app_system | the worker keeps callbacks | all
    callback.deliveries | select | authenticated | members see their callbacks | own tenant
    callback.endpoints | all | app_owner | doors keep the caller's callbacks | claimed tenant
    callback.endpoints | all | app_system | the worker keeps callbacks | all
    callback.endpoints | select | authenticated | members see their callbacks | own tenant
    callback.events | all | app_owner | doors keep the caller's callbacks | claimed tenant
    callback.events | all | app_system | the worker keeps callbacks | all
    callback.events | select | authenticated | members see their callbacks | own tenant
    callback.settings | all | app_system | the worker reads settings | all
    callback.settings | select | app_owner | doors read settings | all
    callback.subscriptions | all | app_owner | doors keep the caller's callbacks | claimed tenant
    callback.subscriptions | all | app_system | the worker keeps callbacks | all
    callback.subscriptions | select | authenticated | members see their callbacks | own tenant
    catalog.assets | all | app_system | the worker keeps assets | all
    catalog.assets | select | app_owner | doors see the caller's assets | claimed tenant
    catalog.assets | select | authenticated | members see their assets | own tenant
    catalog.entries | all | app_system | the worker keeps entries | all
    catalog.entries | select | app_owner | doors see the caller's entries | claimed tenant
    catalog.entries | select | authenticated | members see internal entries, operators all | ((tenant_id = ( select tenancy.tenant_id())) and ((classification = 'internal'::text) or (( select tenancy.role()) >= 'operator'::ground.member_role)))
    catalog.expectations | all | app_system | the worker keeps expectations | all
    catalog.expectations | select | app_owner | doors see the caller's expectations | claimed tenant
    catalog.expectations | select | authenticated | operators see expectations | own tenant, operators
    catalog.freshness | all | app_owner | doors keep the caller's freshness | claimed tenant
    catalog.freshness | select | authenticated | members see what is to be fresh | own tenant
    catalog.target_tables | all | app_system | the worker keeps targets' tables | all
    catalog.target_tables | select | app_owner | doors see the caller's targets' tables | claimed tenant
    catalog.target_tables | select | authenticated | members see their targets' tables | own tenant
    catalog.layer_rules | all | app_owner | doors keep the caller's layer rules | claimed tenant
    catalog.layer_rules | select | authenticated | members see their layer rules | own tenant
    catalog.objects | all | app_system | the worker keeps the catalog | all
    catalog.objects | select | app_owner | doors see the caller's catalog | claimed tenant
    catalog.objects | select | authenticated | members see their catalog | own tenant
    catalog.quarantine | all | app_system | the worker keeps quarantine | all
    catalog.quarantine | select | app_owner | doors see the caller's quarantine | claimed tenant
    catalog.quarantine | select | authenticated | operators see what was set aside | own tenant, operators
    catalog.rollups | all | app_system | the worker keeps rollups | all
    catalog.rollups | select | app_owner | doors see the caller's rollups | claimed tenant
    catalog.rollups | select | authenticated | operators see rollups | own tenant, operators
    catalog.verdicts | all | app_system | the worker keeps verdicts | all
    catalog.verdicts | select | app_owner | doors see the caller's verdicts | claimed tenant
    catalog.verdicts | select | authenticated | members see verdicts | own tenant
    ground.error_codes | select | public | everyone reads the error list | all
    job.job_types | select | public | everyone sees the job types | all
    job.jobs | all | app_owner | doors keep the caller's jobs | claimed tenant
    job.jobs | select | app_system | the worker reads jobs | all
    job.jobs | select | authenticated | members see their jobs | own tenant
    job.versions | all | app_owner | doors keep the caller's job versions | claimed tenant
    job.versions | select | app_system | the worker reads job versions | all
    job.versions | select | authenticated | operators see definitions | own tenant, operators
    lineage.column_edges | all | app_owner | doors keep the caller's lineage | claimed tenant
    lineage.column_edges | all | app_system | the worker keeps lineage | all
    lineage.column_edges | select | authenticated | members see their lineage | own tenant
    lineage.datasets | all | app_owner | doors keep the caller's lineage | claimed tenant
    lineage.datasets | all | app_system | the worker keeps lineage | all
    lineage.datasets | select | authenticated | members see their lineage | own tenant
    lineage.edges | all | app_owner | doors keep the caller's lineage | claimed tenant
    lineage.edges | all | app_system | the worker keeps lineage | all
    lineage.edges | select | authenticated | members see their lineage | own tenant
    lineage.events | all | app_owner | doors keep the caller's lineage | claimed tenant
    lineage.events | all | app_system | the worker keeps lineage | all
    lineage.events | select | authenticated | members see their lineage | own tenant
    lineage.findings | all | app_owner | doors keep the caller's lineage | claimed tenant
    lineage.findings | all | app_system | the worker keeps lineage | all
    lineage.findings | select | authenticated | operators see what was found | own tenant, operators
    lineage.job_io | all | app_owner | doors keep the caller's lineage | claimed tenant
    lineage.job_io | all | app_system | the worker keeps lineage | all
    lineage.job_io | select | authenticated | members see their lineage | own tenant
    lineage.jobs | all | app_owner | doors keep the caller's lineage | claimed tenant
    lineage.jobs | all | app_system | the worker keeps lineage | all
    lineage.jobs | select | authenticated | members see their lineage | own tenant
    lineage.observations | all | app_owner | doors keep the caller's lineage | claimed tenant
    lineage.observations | all | app_system | the worker keeps lineage | all
    lineage.observations | select | authenticated | members see their lineage | own tenant
    lineage.symlinks | all | app_owner | doors keep the caller's lineage | claimed tenant
    lineage.symlinks | all | app_system | the worker keeps lineage | all
    lineage.symlinks | select | authenticated | members see their lineage | own tenant
    lineage.unchecked | all | app_owner | doors keep the caller's lineage | claimed tenant
    lineage.unchecked | all | app_system | the worker keeps lineage | all
    lineage.views | all | app_system | the worker keeps what views say | all
    lineage.witnessed | all | app_system | the worker keeps what was witnessed | all
    lineage.witnessed | select | app_owner | doors see what the caller's witnesses saw | claimed tenant
    lineage.witnessed | select | authenticated | members see what was witnessed | own tenant
    queue.backfill_runs | all | app_owner | doors keep the caller's backfill runs | claimed tenant
    queue.backfill_runs | select | app_system | the worker sees backfill runs | all
    queue.backfills | all | app_owner | doors keep the caller's backfills | claimed tenant
    queue.backfills | select | app_system | the worker sees backfills | all
    queue.histories | all | app_system | the worker lets go | all
    queue.histories | select | app_owner | doors see what is kept of the caller's | claimed tenant
    queue.histories | select | authenticated | members see what is kept of theirs | own tenant
    queue.lanes | all | app_owner | doors keep the caller's lanes | claimed tenant
    queue.lanes | all | app_system | the worker keeps lanes | all
    queue.live_attempts | all | app_owner | doors keep the caller's attempts | claimed tenant
    queue.live_attempts | all | app_system | the worker keeps attempts | all
    queue.live_attempts | select | authenticated | members see their waiting and running attempts | own tenant
    queue.logs | all | app_system | the worker keeps logs | all
    queue.logs | select | app_owner | doors keep the caller's logs | claimed tenant
    queue.logs | select | authenticated | operators see logs | own tenant, operators
    queue.news | all | app_owner | doors keep the caller's news | claimed tenant
    queue.news | all | app_system | the worker keeps news | all
    queue.past_attempts | all | app_owner | doors keep the caller's past attempts | claimed tenant
    queue.past_attempts | all | app_system | the worker keeps past attempts | all
    queue.past_attempts | select | authenticated | members see their past attempts | own tenant
    queue.payloads | all | app_owner | doors keep the caller's payloads | claimed tenant
    queue.payloads | all | app_system | the worker keeps payloads | all
    queue.payloads | select | authenticated | operators see code and parameters | own tenant, operators
    queue.repairs | all | app_owner | doors keep the caller's repairs | claimed tenant
    queue.repairs | select | app_system | the worker sees repairs | all
    queue.repairs | select | authenticated | members see their repairs | own tenant
    queue.runners | all | app_system | the worker keeps runners | all
    queue.runners | select | app_owner | doors see the runners | all
    queue.runs | all | app_owner | doors keep the caller's runs | claimed tenant
    queue.runs | all | app_system | the worker keeps runs | all
    queue.runs | select | authenticated | members see their runs | own tenant
    queue.settings | all | app_system | the worker reads settings | all
    queue.settings | select | app_owner | doors read settings | all
    queue.unbroken | all | app_system | the worker knows the epoch | all
    queue.slots | all | app_system | the worker keeps slots | all
    queue.slots | select | app_owner | doors see the caller's slots | claimed tenant
    queue.task_runs | all | app_owner | doors keep the caller's task runs | claimed tenant
    queue.task_runs | all | app_system | the worker keeps task runs | all
    queue.task_runs | select | authenticated | members see their task runs | own tenant
    queue.termination_codes | select | public | everyone reads the termination codes | all
    schedule.fires | all | app_owner | doors keep what starts the caller's jobs | claimed tenant
    schedule.fires | all | app_system | the clock keeps what starts jobs | all
    schedule.fires | select | authenticated | members see what starts their jobs | own tenant
    schedule.marks | all | app_owner | doors keep what starts the caller's jobs | claimed tenant
    schedule.marks | all | app_system | the clock keeps what starts jobs | all
    schedule.triggers | all | app_owner | doors keep what starts the caller's jobs | claimed tenant
    schedule.triggers | all | app_system | the clock keeps what starts jobs | all
    schedule.triggers | select | authenticated | members see what starts their jobs | own tenant
    schedule.watches | all | app_owner | doors keep what starts the caller's jobs | claimed tenant
    schedule.watches | all | app_system | the clock keeps what starts jobs | all
    schedule.watches | select | authenticated | members see what starts their jobs | own tenant
    storage.objects | insert | authenticated | operators put the bytes of a pending version | ((bucket_id = 'artifacts'::text) and ((storage.foldername(name))[1] = (( select tenancy.tenant_id()))::text) and (( select tenancy.role()) >= 'operator'::ground.member_role) and (name in ( select v.path from artifact.versions v where (v.state = 'pending'::artifact.state))))
    storage.objects | select | app_system | the sweep sees what lies there | (bucket_id = any (array['artifacts'::text, 'parcels'::text]))
    storage.objects | select | authenticated | members read their tenant's bytes | ((bucket_id = 'artifacts'::text) and ((storage.foldername(name))[1] = (( select tenancy.tenant_id()))::text) and (( select tenancy.role()) >= 'operator'::ground.member_role))
    tenancy.access_tokens | all | app_owner | doors keep the caller's access tokens | claimed tenant
    tenancy.access_tokens | all | app_system | the platform keeps access tokens | all
    tenancy.access_tokens | select | authenticated | admins see access tokens | own tenant, admins
    tenancy.grants | all | app_system | the platform keeps grants | all
    tenancy.grants | select | app_owner | doors see the caller's grants | claimed tenant
    tenancy.grants | select | authenticated | members see what is granted | own tenant
    tenancy.knocks | all | app_owner | doors count the caller's knocks | claimed tenant
    tenancy.invitations | all | app_owner | doors keep the caller's invitations | claimed tenant
    tenancy.invitations | all | app_system | the platform keeps invitations | all
    tenancy.limits | all | app_system | the platform keeps limits | all
    tenancy.limits | select | app_owner | doors see the caller's limits | claimed tenant
    tenancy.limits | select | authenticated | members see their limits | own tenant
    tenancy.members | all | app_owner | doors keep the caller's members | claimed tenant
    tenancy.members | all | app_system | the platform keeps members | all
    tenancy.members | select | authenticated | members see each other | own tenant
    tenancy.rates | all | app_system | the platform keeps rates | all
    tenancy.rates | select | app_owner | doors see the caller's rate | claimed tenant
    tenancy.rates | select | authenticated | members see their rate | own tenant
    tenancy.spent_assertions | all | app_system | the platform keeps what is spent | all
    tenancy.stranger_rate | all | app_system | the platform keeps the strangers' rate | all
    tenancy.strangers | all | app_system | strangers are counted | all
    tenancy.tenants | all | app_system | the platform keeps tenants | all
    tenancy.tenants | select | app_owner | doors see the caller's tenant | (id = ( select ground.claimed_tenant_id()))
    tenancy.tenants | select | authenticated | members see their tenant | (id = ( select tenancy.tenant_id()))
    tenancy.trusts | all | app_owner | doors keep the caller's trusts | claimed tenant
    tenancy.trusts | all | app_system | the platform keeps trusts | all
    worker.outside | all | app_system | the worker keeps what comes from outside | all
$list$, 'which policy lets whom do what: table | command | role | name | predicate [| check]');

select tests.exactly($q$
    select concat_ws(' | ', t.tgrelid::regclass::text, t.tgname, t.tgenabled::text) from pg_trigger t join pg_class c on c.oid = t.tgrelid join tests.rooms r on r.oid = c.relnamespace where not t.tgisinternal
$q$, $list$
    artifact.contents | contents_are_never_deleted | A
    artifact.contents | contents_are_never_truncated | A
    artifact.contents | contents_never_change | A
    artifact.versions | final_versions_are_immutable | A
    artifact.versions | versions_are_never_deleted | A
    artifact.versions | versions_are_never_truncated | A
    audit.entries | entries_are_append_only | A
    audit.entries | entries_are_never_truncated | A
    audit.seals | seals_are_append_only | A
    audit.seals | seals_are_never_truncated | A
    callback.events | events_are_append_only | A
    callback.events | events_are_kept | A
    callback.events | events_are_never_truncated | A
    job.versions | versions_are_immutable | A
    job.versions | versions_are_never_truncated | A
    lineage.column_edges | column_edges_are_append_only | A
    lineage.column_edges | column_edges_are_never_deleted | A
    lineage.column_edges | column_edges_are_never_truncated | A
    lineage.edges | edges_are_append_only | A
    lineage.edges | edges_are_never_deleted | A
    lineage.edges | edges_are_never_truncated | A
    lineage.events | events_are_append_only | A
    lineage.events | events_are_never_truncated | A
    queue.payloads | code_does_not_change | A
    queue.task_runs | only_passed_code_is_executed | A
    tenancy.tenants | tenants_are_never_deleted | A
    tenancy.tenants | tenants_are_never_truncated | A
$list$, 'which triggers guard what: table | name | enabled (A = always)');

select tests.exactly($q$
    select concat_ws(' | ', rolname, nullif(concat_ws(' ', case when rolcanlogin then 'login' end, case when rolinherit then 'inherit' end, case when rolsuper then 'super' end, case when rolcreaterole then 'createrole' end,
               case when rolcreatedb then 'createdb' end, case when rolreplication then 'replication' end, case when rolbypassrls then 'bypassrls' end), ''))
    from pg_roles where rolname in ('anon', 'authenticated', 'service_role', 'viewer', 'operator', 'admin', 'app_owner', 'app_system', 'runner', 'scaler', 'loader', 'authenticator')
$q$, $list$
    admin | inherit
    anon | inherit
    app_owner
    app_system
    authenticated | inherit
    authenticator | login
    loader
    operator | inherit
    runner | login
    scaler | login
    service_role | inherit bypassrls
    viewer | inherit
$list$, 'what each role is');

select tests.exactly($q$
    select format('%s is a %s', m.rolname, r.rolname) from pg_auth_members a join pg_roles r on r.oid = a.roleid join pg_roles m on m.oid = a.member
    where (r.rolname in ('viewer', 'operator', 'admin', 'app_owner', 'app_system', 'runner', 'scaler', 'loader', 'service_role', 'supabase_admin', 'postgres')
           or m.rolname in ('viewer', 'operator', 'admin', 'app_owner', 'app_system', 'runner', 'scaler', 'loader', 'authenticator', 'anon', 'authenticated', 'service_role'))
      and m.rolname <> 'supabase_admin' and r.rolname !~ '^pg_'
      and coalesce((to_jsonb(a) ->> 'inherit_option')::boolean or (to_jsonb(a) ->> 'set_option')::boolean, true)
$q$, $list$
    admin is a operator
    authenticator is a admin
    authenticator is a anon
    authenticator is a authenticated
    authenticator is a operator
    authenticator is a service_role
    authenticator is a viewer
    operator is a viewer
    postgres is a service_role
    runner is a loader
    viewer is a authenticated
$list$, 'who is a member of whom (a membership that can neither be inherited nor taken is only the right to administer)');

select tests.exactly($q$
    select concat_ws(' | ', pg_get_userbyid(d.defaclrole), d.defaclobjtype::text, a.grantee::regrole::text) from pg_default_acl d, aclexplode(d.defaclacl) a where pg_get_userbyid(d.defaclrole) in ('postgres', 'app_owner', 'app_system')
$q$, $list$
    app_owner | f | app_owner
    app_system | f | app_system
    postgres | f | postgres
$list$, 'what new objects give away: nothing');

select tests.exactly($q$
    select p.oid::regprocedure::text from pg_proc p join tests.rooms r on r.oid = p.pronamespace, aclexplode(p.proacl) a where a.grantee = 'postgres'::regrole and p.proowner <> 'postgres'::regrole
$q$, $list$
    worker.fire(integer)
$list$, 'what the clock of the database, which is postgres, may execute');

\if :{?within}
\else
-- ---------------------------------------------------------------------------------- laws in words
select is_empty($$ select p.oid::regprocedure::text || ' for ' || w from pg_proc p join tests.rooms r on r.oid = p.pronamespace, unnest(array['viewer', 'operator', 'admin']) w
                   where has_function_privilege(w, p.oid, 'execute') <> has_function_privilege('authenticated', p.oid, 'execute') $$, 'what is granted to authenticated is granted to the whole chain of roles, and nothing else is');
select is_empty($$ select p.oid::regprocedure::text from pg_proc p join tests.rooms r on r.oid = p.pronamespace where p.proacl is null or exists (select from aclexplode(p.proacl) a where a.grantee = 0) $$, 'nothing is executable by PUBLIC');
select is_empty($$ select c.oid::regclass::text from pg_class c join tests.rooms r on r.oid = c.relnamespace, aclexplode(c.relacl) a where a.grantee = 0 $$, 'nothing is readable by PUBLIC');
select is_empty($$ select c.oid::regclass::text from pg_class c join tests.rooms r on r.oid = c.relnamespace where c.relispartition and c.relkind = 'r' and (c.relacl is not null or not c.relforcerowsecurity or exists (select from pg_policy p where p.polrelid = c.oid)) $$, 'no partition is reached by itself');
select is_empty($$ select m.rolname from pg_auth_members a join pg_roles m on m.oid = a.member where a.roleid in ('app_owner'::regrole, 'app_system'::regrole) and m.rolname <> 'supabase_admin'
                   and coalesce((to_jsonb(a) ->> 'inherit_option')::boolean or (to_jsonb(a) ->> 'set_option')::boolean, true) $$, 'the owners of the tables have no members in operation');
select is_empty($$ select rolname from pg_roles where (rolsuper or rolbypassrls) and rolname in ('anon', 'authenticated', 'viewer', 'operator', 'admin', 'app_owner', 'app_system', 'runner', 'scaler', 'loader', 'authenticator') $$, 'none of ours passes row security');
select is_empty(format($$ select n.nspname from pg_namespace n where n.nspname !~ '^pg_' and has_schema_privilege(%L, n.oid, 'create') $$, w), w || ' makes nothing anywhere')
from unnest(array['anon', 'authenticated', 'viewer', 'operator', 'admin', 'service_role', 'runner', 'scaler', 'loader', 'authenticator']) w;
select is(array(select d.privilege_type from pg_database b, aclexplode(b.datacl) d where b.datname = current_database() and d.grantee = 'app_owner'::regrole), '{CREATE}', 'the owners make schemas');
select is((select count(*) from pg_proc p join tests.rooms r on r.oid = p.pronamespace where r.name = 'public' and p.prosecdef), 0::bigint, 'no definer in the exposed schema');

select * from finish();
rollback;
\endif
