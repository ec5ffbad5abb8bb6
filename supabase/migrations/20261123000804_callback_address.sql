-- callback: addresses. Where callbacks may go is asked twice: here of what is literal, by the sender of what names mean.

grant app_owner, app_system to postgres;
set role app_owner;

-- Networks that the public internet has no business in; the sender checks what names resolve to, this what is literal.
create function callback.is_special(p inet)
returns boolean language sql immutable parallel safe set search_path = '' as $$
    select p <<= any (array[
        '0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12', '192.0.0.0/24', '192.0.2.0/24',
        '192.88.99.0/24', '192.168.0.0/16', '198.18.0.0/15', '198.51.100.0/24', '203.0.113.0/24', '224.0.0.0/4', '240.0.0.0/4',
        '::/96', '::ffff:0:0/96', '64:ff9b::/96', '64:ff9b:1::/48', '100::/64', '2001::/32', '2001:2::/48', '2001:db8::/32', '2002::/16',
        '3fff::/20', '5f00::/16', 'fc00::/7', 'fe80::/10', 'fec0::/10', 'ff00::/8']::inet[])
$$;
revoke all on function callback.is_special(inet) from public;
grant execute on function callback.is_special(inet) to app_system;

-- A literal address as resolvers read it: dotted, short, decimal, octal or hex; null for a name.
create function callback.literal_address(p_host text)
returns inet language plpgsql immutable set search_path = '' as $$
declare
    v text := rtrim(lower(p_host), '.');
    v_parts text[];
    v_part text;
    v_numbers bigint[] := '{}';
    v_n bigint;
    v_value bigint := 0;
    c text;
    i integer;
begin
    if v like '[%]' then
        begin
            return regexp_replace(btrim(v, '[]'), '%.*$', '')::inet;
        exception when others then
            return '::'::inet;  -- unreadable in brackets: treated as special
        end;
    end if;
    v_parts := string_to_array(v, '.');
    if cardinality(v_parts) not between 1 and 4 then
        return null;
    end if;
    foreach v_part in array v_parts loop
        if v_part ~ '^0x[0-9a-f]*$' then
            v_n := 0;
            foreach c in array regexp_split_to_array(substr(v_part, 3), '') loop
                exit when c = '';
                v_n := least(v_n * 16 + strpos('0123456789abcdef', c) - 1, 4294967296);
            end loop;
        elsif v_part ~ '^0[0-7]+$' then
            v_n := 0;
            foreach c in array regexp_split_to_array(v_part, '') loop
                v_n := least(v_n * 8 + c::bigint, 4294967296);
            end loop;
        elsif v_part ~ '^[0-9]+$' then
            v_n := least(v_part::numeric, 4294967296);
        else
            return null;
        end if;
        v_numbers := v_numbers || v_n;
    end loop;
    i := cardinality(v_numbers);
    if v_numbers[i] >= (256::bigint ^ (5 - i))::bigint or exists (select from unnest(v_numbers[1:i - 1]) n where n > 255) then
        return '0.0.0.0'::inet;  -- out of range: nothing good resolves it
    end if;
    for n in 1 .. i - 1 loop
        v_value := v_value + v_numbers[n] * (256::bigint ^ (4 - n))::bigint;
    end loop;
    v_value := v_value + v_numbers[i];
    return '0.0.0.0'::inet + v_value;
end
$$;
revoke all on function callback.literal_address(text) from public;
grant execute on function callback.literal_address(text) to app_system;

-- Ports on which something inside a company answers that is no receiver of callbacks; the sender's list (runner/callback/address.py).
create function callback.is_internal_port(p integer)
returns boolean language sql immutable parallel safe set search_path = '' as $$
    select p = any (array[1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109, 110, 111, 113,
        115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 445, 465, 512, 513, 514, 515, 526, 530, 531, 532, 540, 548,
        554, 556, 563, 587, 601, 636, 873, 990, 993, 995, 1433, 1521, 1719, 1720, 1723, 2049, 2375, 2376, 2379, 2380, 3306,
        3389, 3659, 4045, 4369, 5060, 5061, 5432, 5433, 5984, 5985, 6000, 6379, 6443, 6543, 6566, 6665, 6666, 6667, 6668,
        6669, 6697, 8006, 9042, 9092, 9200, 9300, 10250, 10255, 10257, 10259, 11211, 27017])
$$;
revoke all on function callback.is_internal_port(integer) from public;
grant execute on function callback.is_internal_port(integer) to app_system;

-- The ports that both name: null is the ordinary ones, so an internal one must be named by both.
create function callback.ports_of_both(p_one integer[], p_other integer[])
returns integer[] language sql immutable parallel safe set search_path = '' as $$
    select case
        when p_one is null and p_other is null then null
        when p_one is null or p_other is null then array(select p from unnest(coalesce(p_one, p_other)) p where not callback.is_internal_port(p) order by p)
        else array(select p from unnest(p_one) p where p = any (p_other) order by p)
    end
$$;
revoke all on function callback.ports_of_both(integer[], integer[]) from public;
grant execute on function callback.ports_of_both(integer[], integer[]) to app_system;

-- What is opened: an admin's network inside the platform's, at the ports of both; platform rows by themselves only loopback (local stack).
create function callback.allowed(p_tenant uuid)
returns table (network cidr, ports integer[]) language sql stable set search_path = '' as $$
    select b.network, b.ports from callback.allowed_networks b where b.tenant_id is null and b.network <<= any (array['127.0.0.0/8', '::1/128']::cidr[])
    union
    select a.network, callback.ports_of_both(a.ports, b.ports)
    from callback.allowed_networks a
    join callback.allowed_networks b on b.tenant_id is null and a.network <<= b.network
    where a.tenant_id = p_tenant and callback.ports_of_both(a.ports, b.ports) is distinct from '{}'
$$;
revoke all on function callback.allowed(uuid) from public;
grant execute on function callback.allowed(uuid) to app_system;

-- What nobody opens, not even the platform: link local with the metadata of every cloud, broadcast, multicast, the unspecified;
-- loopback is the local stack's.
create function callback.never_opened(p cidr)
returns boolean language sql immutable parallel safe set search_path = '' as $$
    select p && any (array['0.0.0.0/8', '169.254.0.0/16', '224.0.0.0/4', '240.0.0.0/4', '::/128', '::ffff:0:0/96', 'fe80::/10', 'fec0::/10', 'ff00::/8']::cidr[])
        or (p && any (array['127.0.0.0/8', '::1/128']::cidr[]) and not p <<= any (array['127.0.0.0/8', '::1/128']::cidr[]))
$$;
revoke all on function callback.never_opened(cidr) from public;
grant execute on function callback.never_opened(cidr) to app_system;

-- `ports` of a body, in order and each once; null where it is not there.
create function callback.want_ports(p jsonb)
returns integer[] language plpgsql immutable set search_path = '' as $$
begin
    if coalesce(jsonb_typeof(p -> 'ports'), 'null') = 'null' then
        return null;
    elsif jsonb_typeof(p -> 'ports') <> 'array' or jsonb_array_length(p -> 'ports') not between 1 and 100
          or p @? 'strict $.ports[*] ? (@.type() != "number" || @ < 1 || @ > 65535 || @.floor() != @)' then
        perform ground.fail('FIELD_INVALID', '$.ports', 'ports is a list of 1 to 100 numbers from 1 to 65535.');
    end if;
    return array(select distinct x.port::numeric::integer from jsonb_array_elements_text(p -> 'ports') x (port) order by 1);
end
$$;
revoke all on function callback.want_ports(jsonb) from public;
grant execute on function callback.want_ports(jsonb) to app_system;

create function callback.check_url(p_tenant uuid, p_url text, p_path text)
returns text language plpgsql stable set search_path = '' as $$
declare
    v_authority text := substring(p_url from '^[A-Za-z]+://([^/?#]*)');
    v_host text := substring(v_authority from '^(\[[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?$');
    v_port text := substring(v_authority from ':([0-9]+)$');
    v_at integer := coalesce(v_port::integer, case when p_url ~* '^https' then 443 else 80 end);
    v_address inet;
begin
    if p_url is null or length(p_url) > 2048 or p_url ~ '[[:cntrl:][:space:]\\]' or p_url !~* '^https?://[^/?#@]+(/[^#]*|\?[^#]*)?$'
       or v_host is null or length(v_host) > 253 or (v_host <> v_authority and v_port::integer not between 1 and 65535) then
        perform ground.fail('CALLBACK_URL_INVALID', p_path);
    end if;
    v_address := callback.literal_address(v_host);
    if v_address is null and lower(rtrim(v_host, '.')) ~ '(^|\.)localhost$' then
        v_address := '127.0.0.1';
    end if;
    -- a name is looked up by the sender; what is literal is told now, and a port that no network opens
    if (v_address is not null and callback.is_special(v_address) or callback.is_internal_port(v_at))
       and not exists (select from callback.allowed(p_tenant) o
                       where (v_address is null or v_address <<= o.network::inet)
                         and case when o.ports is null then not callback.is_internal_port(v_at) else v_at = any (o.ports) end) then
        perform ground.fail('CALLBACK_ADDRESS_DENIED', p_path);
    end if;
    return p_url;
end
$$;
revoke all on function callback.check_url(uuid, text, text) from public;
grant execute on function callback.check_url(uuid, text, text) to app_system;

set role postgres;
revoke app_owner, app_system from postgres;
