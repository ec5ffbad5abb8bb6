-- catalog, further part: what other systems tell of themselves (Odoo, a warehouse, a bucket), in one document.

grant app_owner, app_system to postgres;
grant create on schema catalog to app_system;
set role app_system;

-- {catalog, type?, namespace?, comment?, schemas: [{name, comment?, layer?, tables: [{name, type?, comment?, dataset?, row_estimate?, loaded_at?,
-- columns: [{name, type?, comment?, nullable?}]}], volumes: [{name, location, type?, comment?}]}]} -> its parts as rows, each with its place.
create function catalog.ingested(p jsonb)
returns table (kind catalog.object_kind, path text[], ord bigint, place text, x jsonb) language sql immutable rows 1000 set search_path = '' as $$
    with schema as materialized (
        select s, o, format('$.schemas[%s]', o - 1) as at from jsonb_array_elements(p -> 'schemas') with ordinality y (s, o)
    ), tab as materialized (
        select s.s, y.t, y.o, format('%s.tables[%s]', s.at, y.o - 1) as at
        from schema s cross join jsonb_array_elements(case jsonb_typeof(s.s -> 'tables') when 'array' then s.s -> 'tables' else '[]' end) with ordinality y (t, o)
    )
    select 'catalog'::catalog.object_kind, array[p ->> 'catalog'], 1::bigint, '$', p - 'schemas'
    union all
    select 'schema', array[p ->> 'catalog', s.s ->> 'name'], s.o, s.at, case jsonb_typeof(s.s) when 'object' then s.s - 'tables' - 'volumes' else s.s end from schema s
    union all
    select 'table', array[p ->> 'catalog', t.s ->> 'name', t.t ->> 'name'], t.o, t.at, case jsonb_typeof(t.t) when 'object' then t.t - 'columns' else t.t end from tab t
    union all
    select 'volume', array[p ->> 'catalog', s.s ->> 'name', y.v ->> 'name'], y.o, format('%s.volumes[%s]', s.at, y.o - 1), y.v
    from schema s cross join jsonb_array_elements(case jsonb_typeof(s.s -> 'volumes') when 'array' then s.s -> 'volumes' else '[]' end) with ordinality y (v, o)
    union all
    select 'column', array[p ->> 'catalog', t.s ->> 'name', t.t ->> 'name', y.c ->> 'name'], y.o, format('%s.columns[%s]', t.at, y.o - 1), y.c
    from tab t cross join jsonb_array_elements(case jsonb_typeof(t.t -> 'columns') when 'array' then t.t -> 'columns' else '[]' end) with ordinality y (c, o)
$$;
revoke all on function catalog.ingested(jsonb) from public;

-- Odoo's words for the same: models are tables of the schema `models`, fields their columns. {catalog, namespace?, models: [{model, name?, info?,
-- transient?, fields: [{name, ttype | type, string?, help?, required?, relation?}]}]}; fields may be an object by name too, as fields_get gives it.
create function catalog.of_odoo(p jsonb)
returns jsonb language plpgsql immutable set search_path = '' as $$
declare
    v text;
begin
    select format('$.models[%s]%s', o - 1, case when jsonb_typeof(m) <> 'object' then '' when coalesce(jsonb_typeof(m -> 'model'), '') <> 'string' then '.model' else '.fields' end) into v
    from jsonb_array_elements(p -> 'models') with ordinality y (m, o)
    where jsonb_typeof(m) <> 'object' or coalesce(jsonb_typeof(m -> 'model'), '') <> 'string' or coalesce(jsonb_typeof(m -> 'fields'), 'array') not in ('array', 'object') limit 1;
    if v is not null then
        perform ground.fail('FIELD_INVALID', v, 'A model is {model, name?, info?, fields: [{name, ttype, string?, help?, required?, relation?}]}.');
    end if;
    return (p - 'models') || jsonb_build_object('type', 'ODOO', 'schemas', jsonb_build_array(jsonb_build_object('name', 'models', 'tables', (
        select coalesce(jsonb_agg(jsonb_build_object('name', m -> 'model', 'type', 'FOREIGN', 'dataset', case when p ->> 'namespace' is not null then m -> 'model' end,
                   'comment', nullif(concat_ws(': ', nullif(m ->> 'name', 'false'), nullif(m ->> 'info', 'false')), ''), 'row_estimate', m -> 'row_estimate', 'loaded_at', m -> 'loaded_at',
                   'columns', (select coalesce(jsonb_agg(case when jsonb_typeof(f) <> 'object' then f else jsonb_strip_nulls(jsonb_build_object('name', f -> 'name',
                                          'type', coalesce(f ->> 'ttype', f ->> 'type') || coalesce('(' || nullif(f ->> 'relation', 'false') || ')', ''),
                                          'comment', nullif(concat_ws(': ', nullif(coalesce(f ->> 'string', f ->> 'field_description'), 'false'), nullif(f ->> 'help', 'false')), ''),
                                          'nullable', case jsonb_typeof(f -> 'required') when 'boolean' then not (f ->> 'required')::boolean end)) end order by o), '[]')
                               from (select f, o from jsonb_array_elements(case jsonb_typeof(m -> 'fields') when 'array' then m -> 'fields' else '[]' end) with ordinality z (f, o)
                                     union all
                                     select case jsonb_typeof(e.value) when 'object' then e.value || jsonb_build_object('name', e.key) else e.value end, row_number() over (order by e.key)
                                     from jsonb_each(case jsonb_typeof(m -> 'fields') when 'object' then m -> 'fields' else '{}' end) e) w)) order by ord), '[]')
        from jsonb_array_elements(p -> 'models') with ordinality y (m, ord)))));
end
$$;
revoke all on function catalog.of_odoo(jsonb) from public;

-- Whether something is a time that one can count from; null for null.
create function catalog.is_time(p text)
returns boolean language plpgsql immutable set search_path = '' as $$
begin
    return p is null or isfinite(p::timestamptz);
exception when data_exception then
    return false;
end
$$;
revoke all on function catalog.is_time(text) from public;

-- Checked whole before the first row is written: the first fault is told with its path.
create function catalog.ingest(p_tenant uuid, p jsonb)
returns jsonb language plpgsql set search_path = '' as $$
declare
    v record;
    v_seen catalog.seen[];
    v_namespace text;
    v_ids jsonb := '{}';  -- of datasets, by their names
begin
    if p ? 'models' then
        if jsonb_typeof(p -> 'models') is distinct from 'array' then
            perform ground.fail('FIELD_INVALID', '$.models', 'models is an array of Odoo''s models.');
        end if;
        perform ground.refuse_unknown(p, array['catalog', 'namespace', 'comment', 'models']);
        p := catalog.of_odoo(p);
    end if;
    perform ground.refuse_unknown(p, array['catalog', 'type', 'namespace', 'comment', 'schemas']);
    v_namespace := p ->> 'namespace';
    if jsonb_typeof(p -> 'schemas') is distinct from 'array' then
        perform ground.fail('FIELD_INVALID', '$.schemas', 'schemas is an array of {name, tables, volumes}; Odoo''s models come in models.');
    elsif jsonb_typeof(p -> 'catalog') is distinct from 'string' then
        perform ground.fail('FIELD_INVALID', '$.catalog', 'catalog is the name of a catalog.');
    elsif coalesce(jsonb_typeof(p -> 'namespace'), 'null') not in ('string', 'null') or length(v_namespace) not between 1 and 1024 then
        perform ground.fail('FIELD_INVALID', '$.namespace', 'namespace is what lineage calls the place: odoo://host/database.');
    elsif coalesce(p ->> 'type', 'EXTERNAL') !~ '^[A-Z][A-Z0-9_]{0,31}$' or p ->> 'type' in ('LAYERS', 'TARGET') then
        perform ground.fail('FIELD_INVALID', '$.type', 'type is a word in capitals that says where the catalog is from; LAYERS and TARGET are the control room''s own.');
    elsif p ->> 'catalog' = 'main' or exists (select from catalog.objects o where o.tenant_id = p_tenant and o.key = catalog.key_of('catalog', array[p ->> 'catalog'])
                                                                          and o.type <> coalesce(p ->> 'type', 'EXTERNAL')) then
        perform ground.fail('CATALOG_NAME_TAKEN', '$.catalog');
    end if;
    select a.place into v from (
        select format('$.schemas[%s].%s', o - 1, n) as place from jsonb_array_elements(p -> 'schemas') with ordinality y (s, o), unnest(array['tables', 'volumes']) n
        where coalesce(jsonb_typeof(s -> n), 'array') <> 'array'
        union all
        select format('$.schemas[%s].tables[%s].columns', o - 1, q - 1) from jsonb_array_elements(p -> 'schemas') with ordinality y (s, o)
        cross join jsonb_array_elements(case jsonb_typeof(s -> 'tables') when 'array' then s -> 'tables' else '[]' end) with ordinality z (t, q)
        where coalesce(jsonb_typeof(t -> 'columns'), 'array') <> 'array') a limit 1;
    if found then
        perform ground.fail('FIELD_INVALID', v.place, 'An array is expected here.');
    end if;
    -- one fault after another: of what is not an object nothing more is asked
    select i.place || f.field as place, f.hint into v
    from catalog.ingested(p) i
    cross join lateral (
        select '' as field, 'An object is expected here.' as hint where jsonb_typeof(i.x) <> 'object'
        union all
        select case i.kind when 'catalog' then '.catalog' else '.name' end, 'A name is 1 to 255 characters, none of them a control character.'
        where jsonb_typeof(i.x) = 'object' and not coalesce(i.path[cardinality(i.path)] ~ '^[^[:cntrl:]]{1,255}$' and jsonb_typeof(i.x -> case i.kind when 'catalog' then 'catalog' else 'name' end) = 'string', false)
        union all
        select '.' || (select min(k) from jsonb_object_keys(case jsonb_typeof(i.x) when 'object' then i.x else '{}' end) k
                       where k <> all (case i.kind when 'catalog' then array['catalog', 'type', 'namespace', 'comment'] when 'schema' then array['name', 'comment', 'layer', 'tables', 'volumes']
                                       when 'table' then array['name', 'type', 'comment', 'dataset', 'row_estimate', 'loaded_at', 'columns'] when 'volume' then array['name', 'type', 'comment', 'location']
                                       else array['name', 'type', 'comment', 'nullable'] end)), 'There is no such field.'
        union all
        select '.comment', 'comment is at most 4000 characters.' where coalesce(jsonb_typeof(i.x -> 'comment'), 'null') not in ('string', 'null') or length(i.x ->> 'comment') > 4000
        union all
        select '.layer', 'layer is bronze, silver or gold.' where i.kind = 'schema' and not coalesce(i.x ->> 'layer' in ('bronze', 'silver', 'gold'), jsonb_typeof(i.x -> 'layer') = 'null' or not i.x ? 'layer')
        union all
        select '.type', 'type of a table is MANAGED, EXTERNAL, FOREIGN, VIEW or MATERIALIZED_VIEW; of a volume MANAGED or EXTERNAL.'
        where (i.kind = 'table' and coalesce(i.x ->> 'type', 'EXTERNAL') not in ('MANAGED', 'EXTERNAL', 'FOREIGN', 'VIEW', 'MATERIALIZED_VIEW'))
           or (i.kind = 'volume' and coalesce(i.x ->> 'type', 'EXTERNAL') not in ('MANAGED', 'EXTERNAL'))
        union all
        select '.type', 'type is at most 1000 characters.' where i.kind = 'column' and (coalesce(jsonb_typeof(i.x -> 'type'), 'null') not in ('string', 'null') or length(i.x ->> 'type') > 1000)
        union all
        select '.nullable', 'nullable is true or false.' where i.kind = 'column' and coalesce(jsonb_typeof(i.x -> 'nullable'), 'null') not in ('boolean', 'null')
        union all
        select '.location', 'location is a URI of at most 2048 characters.' where i.kind = 'volume' and (jsonb_typeof(i.x -> 'location') is distinct from 'string' or length(i.x ->> 'location') not between 1 and 2048)
        union all
        select '.row_estimate', 'row_estimate is a whole number.' where i.kind = 'table' and coalesce(i.x ->> 'row_estimate', '0') !~ '^[0-9]{1,18}$'
        union all
        select '.loaded_at', 'loaded_at is an ISO 8601 time.' where i.kind = 'table' and not catalog.is_time(i.x ->> 'loaded_at')
        union all
        select '.dataset', 'dataset is a name of 1 to 1024 characters in the namespace, which is then needed.'
        where i.kind = 'table' and i.x ->> 'dataset' is not null and (length(i.x ->> 'dataset') not between 1 and 1024 or v_namespace is null)
    ) f
    where f.field is not null
    order by i.kind, i.place limit 1;
    if v.place is not null then
        perform ground.fail('FIELD_INVALID', left(v.place, 200), v.hint);
    end if;
    select format('%s twice', catalog.full_name(i.path)) into v
    from catalog.ingested(p) i group by i.kind, i.path having count(*) > 1 limit 1;
    if found then
        perform ground.fail('FIELD_INVALID', left(v.format, 300), 'Each name stands once in its place.');
    end if;
    if v_namespace is not null then
        select coalesce(jsonb_object_agg(d.name, d.id), '{}') into v_ids
        from lineage.dataset_ids(p_tenant, array(select (lineage.normal_namespace(v_namespace), i.x ->> 'dataset', null)::lineage.named
                                                 from catalog.ingested(p) i where i.kind = 'table' and i.x ->> 'dataset' is not null)) d;
    end if;
    select array_agg((i.kind, i.path, case i.kind when 'catalog' then coalesce(i.x ->> 'type', 'EXTERNAL') when 'schema' then null when 'column' then i.x ->> 'type' else coalesce(i.x ->> 'type', 'EXTERNAL') end,
        case i.kind when 'column' then i.ord end, (i.x ->> 'nullable')::boolean, (i.x ->> 'layer'), (i.x ->> 'row_estimate')::bigint,
        case i.kind when 'catalog' then v_namespace else i.x ->> 'location' end, i.x ->> 'comment',
        case i.kind when 'table' then (v_ids ->> (i.x ->> 'dataset'))::bigint end, (i.x ->> 'loaded_at')::timestamptz)::catalog.seen) into v_seen
    from catalog.ingested(p) i;
    return catalog.take_in(p_tenant, array[p ->> 'catalog'], v_seen);
end
$$;
revoke all on function catalog.ingest(uuid, jsonb) from public;

set role postgres;
revoke create on schema catalog from app_system;
revoke app_owner, app_system from postgres;
