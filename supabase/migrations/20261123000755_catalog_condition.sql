-- catalog, further part: conditions. What people write is read word by word and written anew: columns are quoted, strings are quoted, of words and
-- functions there is a list. What comes out can say something of a row, and nothing else.

grant app_owner, app_system to postgres;
grant create on schema catalog to app_system;
set role app_system;

-- A condition in SQL (quantity > 0 and coalesce(sku, '') <> '') -> the same, safe to execute; or EXPECTATION_INVALID with where it stopped.
create function catalog.condition(p text, p_path text default '$.expression')
returns text language plpgsql immutable set search_path = '' as $$
declare
    v_words constant text[] := array['and', 'or', 'not', 'is', 'null', 'true', 'false', 'in', 'between', 'like', 'ilike', 'case', 'when', 'then', 'else', 'end', 'distinct', 'from', 'current_date'];
    v_functions constant text[] := array['lower', 'upper', 'length', 'char_length', 'octet_length', 'trim', 'btrim', 'ltrim', 'rtrim', 'left', 'right', 'substr', 'split_part', 'strpos', 'starts_with',
        'abs', 'round', 'floor', 'ceil', 'trunc', 'sign', 'mod', 'coalesce', 'nullif', 'greatest', 'least', 'date_trunc', 'extract', 'now', 'isfinite'];
    v_types constant text[] := array['text', 'date', 'timestamp', 'timestamptz', 'numeric', 'integer', 'bigint', 'boolean', 'uuid'];
    v_shape constant text := '^(''(?:[^'']|'''')*''|"(?:[^"]|"")+"|[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,3})?|[[:alpha:]_][[:alnum:]_]*|<=|>=|<>|!=|\|\||::|[-+*/%<>=(),])';
    v_rest text := p;
    v_length integer;
    v_token text;
    v_word text;
    v_last text := '';
    v_out text[] := '{}';
    v_depth integer := 0;
    v_fault text;
begin
    if p is null or btrim(p, E' \t\r\n') = '' or length(p) > 2000 then
        perform ground.fail('EXPECTATION_INVALID', p_path, 'An expression is a condition of 1 to 2000 characters.');
    end if;
    loop
        v_rest := ltrim(v_rest, E' \t\r\n');
        exit when v_rest = '';
        v_token := substring(v_rest from v_shape);
        v_length := length(v_token);
        v_word := lower(v_token);
        v_fault := null;
        if v_token is null then
            v_fault := left(v_rest, 20);
        elsif v_last = '::' and not v_word = any (v_types) then
            v_fault := v_token || ' (a type is ' || array_to_string(v_types, ', ') || ')';
        elsif v_last = '::' then
            null;
        elsif v_token like '''%' then
            v_token := quote_literal(replace(substr(v_token, 2, length(v_token) - 2), '''''', ''''));
        elsif v_token like '"%' then
            v_token := format('%I', replace(substr(v_token, 2, length(v_token) - 2), '""', '"'));
            v_token := case when v_token like '"%' then v_token else '"' || v_token || '"' end;
        elsif v_token ~ '^[[:alpha:]_]' then
            if v_word = any (array['date', 'timestamp', 'timestamptz', 'interval']) and substr(v_rest, length(v_token) + 1) ~ '^\s*''' then
                v_token := v_word;
            elsif substr(v_rest, length(v_token) + 1) ~ '^\s*\(' and not v_word = any (array['and', 'or', 'not', 'in', 'when', 'then', 'else', 'between', 'case', 'from', 'like', 'ilike', 'is']) then
                v_fault := case when not v_word = any (v_functions) then v_token || '() (there are ' || array_to_string(v_functions, ', ') || ')' end;
                v_token := v_word;
            elsif v_word = any (v_words) then
                v_token := v_word;
            else
                v_token := '"' || v_word || '"';  -- a column; one with capitals is written in quotes, as everywhere
            end if;
        elsif v_token = '(' then
            v_depth := v_depth + 1;
        elsif v_token = ')' then
            v_depth := v_depth - 1;
            v_fault := case when v_depth < 0 then ') without (' end;
        elsif v_token = ',' then
            v_fault := case when v_depth = 0 then ', outside of ()' end;
        end if;
        if v_fault is not null then
            perform ground.fail('EXPECTATION_INVALID', p_path, 'Not understood: ' || v_fault);
        end if;
        v_out := v_out || v_token;
        v_rest := substr(v_rest, v_length + 1);
        v_last := v_token;
    end loop;
    if v_depth <> 0 then
        perform ground.fail('EXPECTATION_INVALID', p_path, 'Not understood: ( without )');
    end if;
    return array_to_string(v_out, ' ');
end
$$;
revoke all on function catalog.condition(text, text) from public;

set role postgres;
revoke create on schema catalog from app_system;
revoke app_owner, app_system from postgres;
