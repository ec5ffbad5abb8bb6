# ruff: noqa: PLR0917 - a table of data reads best one statement a line
"""Labelled SQL: what each statement writes, from where, by hand. The truth against which lineage is measured.

Columns are written `column: sources`, sources separated by blanks, all kinds together; `-` is a column without a
source. `low` marks statements of which a part cannot be known from the text: their labels hold what can.
"""

from __future__ import annotations

from dataclasses import dataclass

SCHEMA = {
    "bronze.orders": dict.fromkeys(
        ("id", "customer_id", "amount", "currency", "ordered_at", "items", "meta"), "text"
    ),
    "bronze.customers": dict.fromkeys(("id", "name", "country", "tier", "email"), "text"),
    "bronze.rates": dict.fromkeys(("currency", "day", "rate"), "text"),
    "silver.orders": dict.fromkeys(("id", "customer_id", "amount", "month"), "text"),
    "silver.customers": dict.fromkeys(("id", "name", "country"), "text"),
    "gold.revenue": dict.fromkeys(("month", "revenue", "customers"), "text"),
    "gold.top": dict.fromkeys(("id", "score"), "text"),
}


@dataclass(frozen=True)
class Written:
    """One write of a statement."""

    target: str | None
    reads: str
    columns: str = ""
    influences: str | None = None  # None: not labelled


@dataclass(frozen=True)
class Statement:
    name: str
    sql: str
    writes: tuple[Written, ...]
    low: bool = False
    dialect: str = "postgres"
    default_schema: str | None = None


def one(
    name: str,
    sql: str,
    target: str | None,
    reads: str,
    columns: str = "",
    influences: str | None = None,
    *,
    low: bool = False,
    dialect: str = "postgres",
    default_schema: str | None = None,
) -> Statement:
    return Statement(name, sql, (Written(target, reads, columns, influences),), low, dialect, default_schema)


# fmt: off
STATEMENTS: tuple[Statement, ...] = (
    # -- insert … select
    one("insert with a column list",
        "insert into silver.orders (id, amount) select id, amount from bronze.orders",
        "silver.orders", "bronze.orders", "id: bronze.orders.id; amount: bronze.orders.amount", ""),
    one("insert without a column list takes the target's order",
        "insert into silver.customers select id, upper(name), country from bronze.customers",
        "silver.customers", "bronze.customers",
        "id: bronze.customers.id; name: bronze.customers.name; country: bronze.customers.country", ""),
    one("insert with reordered columns maps by position",
        "insert into silver.customers (country, id) select country, id from bronze.customers",
        "silver.customers", "bronze.customers", "country: bronze.customers.country; id: bronze.customers.id"),
    one("insert into a table that is not known keeps the names of the outputs",
        "insert into elsewhere.t select id as key, name from bronze.customers",
        "elsewhere.t", "bronze.customers", "key: bronze.customers.id; name: bronze.customers.name"),
    one("insert of literals has no sources",
        "insert into gold.top (id, score) values (1, 2), (3, 4)", "gold.top", "", "id: -; score: -", ""),
    one("insert of values with a subquery reads its table",
        "insert into gold.top (id, score) values ((select max(id) from bronze.orders), 1)",
        "gold.top", "bronze.orders", "id: bronze.orders.id; score: -"),
    one("two outputs of one name are told apart by position",
        "insert into gold.top (id, score) select o.id, c.id from bronze.orders o, bronze.customers c",
        "gold.top", "bronze.orders bronze.customers", "id: bronze.orders.id; score: bronze.customers.id"),
    one("insert default values",
        "insert into gold.top default values", "gold.top", ""),
    one("insert of a whole table",
        "insert into silver.customers table silver.customers_old", "silver.customers", "silver.customers_old",
        low=True),
    # -- aggregates, grouping, windows
    one("aggregate with grouping",
        """insert into gold.revenue (month, revenue, customers)
           select month, sum(amount), count(distinct customer_id) from silver.orders group by month""",
        "gold.revenue", "silver.orders",
        "month: silver.orders.month; revenue: silver.orders.amount; customers: silver.orders.customer_id",
        "silver.orders.month"),
    one("group by and order by position",
        """insert into gold.revenue (month, revenue)
           select date_trunc('month', ordered_at), sum(amount) from bronze.orders group by 1 order by 2""",
        "gold.revenue", "bronze.orders", "month: bronze.orders.ordered_at; revenue: bronze.orders.amount",
        "bronze.orders.ordered_at bronze.orders.amount"),
    one("count star rests on no column",
        "create table n as select count(*) as n from bronze.orders", "n", "bronze.orders", "n: -", ""),
    one("having steers",
        "create table n as select currency, count(*) c from bronze.orders group by currency having max(amount) > 3",
        "n", "bronze.orders", "currency: bronze.orders.currency; c: -",
        "bronze.orders.currency bronze.orders.amount"),
    one("filter clause",
        "create table n as select sum(amount) filter (where currency = 'EUR') as eur from bronze.orders",
        "n", "bronze.orders", "eur: bronze.orders.amount bronze.orders.currency", ""),
    one("ordered aggregate",
        "create table n as select array_agg(id order by ordered_at) as ids from bronze.orders",
        "n", "bronze.orders", "ids: bronze.orders.id bronze.orders.ordered_at", ""),
    one("row number rests on its window",
        """create table n as select id, row_number() over (partition by customer_id order by ordered_at desc) rn
           from bronze.orders""",
        "n", "bronze.orders", "id: bronze.orders.id; rn: bronze.orders.customer_id bronze.orders.ordered_at", ""),
    one("running sum",
        "create table n as select sum(amount) over (order by ordered_at) total from bronze.orders",
        "n", "bronze.orders", "total: bronze.orders.amount bronze.orders.ordered_at"),
    one("lag hands a value on",
        "create table n as select lag(amount, 1, 0) over (order by id) previous from bronze.orders",
        "n", "bronze.orders", "previous: bronze.orders.amount bronze.orders.id"),
    one("named window",
        "create table n as select rank() over w r from bronze.orders window w as (order by amount)",
        "n", "bronze.orders", "r: bronze.orders.amount"),
    one("distinct on",
        """create table n as select distinct on (customer_id) id, amount from bronze.orders
           order by customer_id, ordered_at desc""",
        "n", "bronze.orders", "id: bronze.orders.id; amount: bronze.orders.amount",
        "bronze.orders.customer_id bronze.orders.ordered_at"),
    one("grouping sets",
        "create table n as select country, tier, count(*) c from bronze.customers group by rollup (country, tier)",
        "n", "bronze.customers", "country: bronze.customers.country; tier: bronze.customers.tier; c: -",
        "bronze.customers.country bronze.customers.tier"),
    # -- expressions
    one("case: the condition steers, the branches give",
        "create table n as select case when tier = 'gold' then name else country end as label from bronze.customers",
        "n", "bronze.customers", "label: bronze.customers.tier bronze.customers.name bronze.customers.country", ""),
    one("simple case",
        "create table n as select case country when 'DE' then 1 else 0 end as german from bronze.customers",
        "n", "bronze.customers", "german: bronze.customers.country"),
    one("coalesce and cast",
        "create table n as select coalesce(name, email)::varchar as who from bronze.customers",
        "n", "bronze.customers", "who: bronze.customers.name bronze.customers.email"),
    one("json path",
        "create table n as select meta ->> 'channel' as channel from bronze.orders",
        "n", "bronze.orders", "channel: bronze.orders.meta"),
    one("arithmetic over two tables",
        """create table n as select o.amount * r.rate as eur from bronze.orders o
           join bronze.rates r on r.currency = o.currency and r.day = o.ordered_at""",
        "n", "bronze.orders bronze.rates", "eur: bronze.orders.amount bronze.rates.rate",
        "bronze.orders.currency bronze.rates.currency bronze.rates.day bronze.orders.ordered_at"),
    one("a whole row",
        "create table n as select row_to_json(c) as doc from bronze.customers c",
        "n", "bronze.customers",
        "doc: bronze.customers.id bronze.customers.name bronze.customers.country bronze.customers.tier "
        "bronze.customers.email"),
    one("constants and now()",
        "create table n as select 1 as one, now() as loaded_at, id from bronze.orders",
        "n", "bronze.orders", "one: -; loaded_at: -; id: bronze.orders.id"),
    # -- joins
    one("using joins both sides",
        """create table n as select o.id, c.name from bronze.orders o
           join (select id as customer_id, name from bronze.customers) c using (customer_id)""",
        "n", "bronze.orders bronze.customers", "id: bronze.orders.id; name: bronze.customers.name",
        "bronze.orders.customer_id bronze.customers.id"),
    one("left join with a filter",
        """create table n as select o.id, c.name from bronze.orders o left join bronze.customers c
           on c.id = o.customer_id where o.amount > 0 and c.country is not null""",
        "n", "bronze.orders bronze.customers", "id: bronze.orders.id; name: bronze.customers.name",
        "bronze.orders.customer_id bronze.customers.id bronze.orders.amount bronze.customers.country"),
    one("self join",
        """create table n as select a.id, b.amount as later from bronze.orders a
           join bronze.orders b on b.customer_id = a.customer_id""",
        "n", "bronze.orders", "id: bronze.orders.id; later: bronze.orders.amount", "bronze.orders.customer_id"),
    one("full join with coalesce",
        """create table n as select coalesce(a.id, b.id) id from silver.customers a
           full join bronze.customers b on a.id = b.id""",
        "n", "silver.customers bronze.customers", "id: silver.customers.id bronze.customers.id"),
    one("lateral subquery",
        """create materialized view gold.last as select c.name, l.amount from bronze.customers c
           cross join lateral (select amount from bronze.orders o where o.customer_id = c.id
                               order by ordered_at desc limit 1) l""",
        "gold.last", "bronze.customers bronze.orders",
        "name: bronze.customers.name; amount: bronze.orders.amount",
        "bronze.orders.customer_id bronze.customers.id bronze.orders.ordered_at"),
    one("lateral with two columns of one source",
        """create table n as select c.id, x.first_at, x.total from bronze.customers c left join lateral
           (select min(ordered_at) as first_at, sum(amount) as total from bronze.orders o
            where o.customer_id = c.id) x on true""",
        "n", "bronze.customers bronze.orders",
        "id: bronze.customers.id; first_at: bronze.orders.ordered_at; total: bronze.orders.amount"),
    one("unnest",
        "create table n as select o.id, i.item from bronze.orders o cross join unnest(o.items) as i(item)",
        "n", "bronze.orders", "id: bronze.orders.id; item: bronze.orders.items"),
    one("generated rows have no source",
        "create table n as select d::date as day from generate_series(1, 10) as g(d)", "n", "", "day: -"),
    one("star over one table",
        "create table n as select * from silver.customers", "n", "silver.customers",
        "id: silver.customers.id; name: silver.customers.name; country: silver.customers.country"),
    one("star of one side",
        "create table n as select c.*, o.amount from silver.customers c join bronze.orders o on o.customer_id = c.id",
        "n", "silver.customers bronze.orders",
        "id: silver.customers.id; name: silver.customers.name; country: silver.customers.country; "
        "amount: bronze.orders.amount"),
    one("tables named in FROM with commas",
        "create table n as select o.id, c.name from bronze.orders o, bronze.customers c where o.customer_id = c.id",
        "n", "bronze.orders bronze.customers", "id: bronze.orders.id; name: bronze.customers.name",
        "bronze.orders.customer_id bronze.customers.id"),
    # -- subqueries
    one("scalar subquery",
        """create table n as select o.id, (select max(rate) from bronze.rates r where r.currency = o.currency) m
           from bronze.orders o""",
        "n", "bronze.orders bronze.rates", "id: bronze.orders.id; m: bronze.rates.rate",
        "bronze.rates.currency bronze.orders.currency"),
    one("exists and in steer",
        """create table n as select name from bronze.customers c where exists
           (select 1 from bronze.orders o where o.customer_id = c.id) and country in (select currency from bronze.rates)""",
        "n", "bronze.customers bronze.orders bronze.rates", "name: bronze.customers.name",
        "bronze.orders.customer_id bronze.customers.id bronze.customers.country bronze.rates.currency"),
    one("derived tables two deep",
        "create table n as select x.k from (select y.k from (select id as k from bronze.orders) y) x",
        "n", "bronze.orders", "k: bronze.orders.id"),
    # -- CTEs
    one("cte of the name of the table that it reads",
        "create table n as with orders as (select id from bronze.orders) select id from orders",
        "n", "bronze.orders", "id: bronze.orders.id"),
    one("cte that shadows a bare table",
        "create table n as with orders as (select id from orders) select id from orders",
        "public.n", "public.orders", "id: public.orders.id", default_schema="public"),
    one("chained ctes",
        """create table n as with a as (select id, amount * 2 as d from bronze.orders),
           b as (select id, d + 1 as e from a) select e from b where id > 3""",
        "n", "bronze.orders", "e: bronze.orders.amount", "bronze.orders.id"),
    one("cte in front of an insert",
        """with x as (select id, name from bronze.customers) insert into silver.customers (id, name)
           select id, name from x""",
        "silver.customers", "bronze.customers", "id: bronze.customers.id; name: bronze.customers.name"),
    one("a cte that nobody uses is not read",
        "create table n as with unused as (select * from bronze.rates) select id from bronze.orders",
        "n", "bronze.orders", "id: bronze.orders.id"),
    one("nested cte and union",
        """insert into gold.top (id, score) with both_ as (
             with inner_ as (select id, amount from bronze.orders) select id, amount from inner_
             union all select id, tier from bronze.customers) select id, max(amount) from both_ group by id""",
        "gold.top", "bronze.orders bronze.customers",
        "id: bronze.orders.id bronze.customers.id; score: bronze.orders.amount bronze.customers.tier",
        "bronze.orders.id bronze.customers.id"),
    one("recursive cte",
        """create table n as with recursive tree as (
             select id, customer_id, amount as path from bronze.orders where customer_id is null
             union all select o.id, o.customer_id, t.path || o.currency from bronze.orders o
             join tree t on t.id = o.customer_id) select id, path from tree""",
        "n", "bronze.orders", "id: bronze.orders.id; path: bronze.orders.amount bronze.orders.currency",
        "bronze.orders.customer_id bronze.orders.id"),
    one("recursive cte whose columns change places",
        """create table n as with recursive r (a, b) as (
             select id, amount from bronze.orders union all select b, a from r where a < 10) select a from r""",
        "n", "bronze.orders", "a: bronze.orders.id bronze.orders.amount"),
    one("recursive cte whose columns go round in a circle",
        """create table n as with recursive r (a, b, c) as (
             select id, amount, currency from bronze.orders union all select b, c, a from r) select a from r""",
        "n", "bronze.orders", "a: bronze.orders.id bronze.orders.amount bronze.orders.currency"),
    # -- set operations
    one("union maps by position",
        "create table n as select id as k, name from bronze.customers union select customer_id, currency from bronze.orders",
        "n", "bronze.customers bronze.orders",
        "k: bronze.customers.id bronze.orders.customer_id; name: bronze.customers.name bronze.orders.currency"),
    one("three branches",
        """create table n as select id from bronze.orders union all select id from bronze.customers
           union all select currency from bronze.rates""",
        "n", "bronze.orders bronze.customers bronze.rates",
        "id: bronze.orders.id bronze.customers.id bronze.rates.currency"),
    one("except: the right side only steers",
        "create table n as select id from bronze.customers except select customer_id from bronze.orders",
        "n", "bronze.customers bronze.orders", "id: bronze.customers.id", "bronze.orders.customer_id"),
    one("intersect: the right side only steers",
        "create table n as select id from bronze.customers intersect select customer_id from bronze.orders",
        "n", "bronze.customers bronze.orders", "id: bronze.customers.id", "bronze.orders.customer_id"),
    # -- views, tables, temp tables
    one("view with column names",
        "create view gold.v (a, b) as select id, name from bronze.customers", "gold.v", "bronze.customers",
        "a: bronze.customers.id; b: bronze.customers.name"),
    one("materialized view",
        "create materialized view gold.mv as select country, count(*) n from bronze.customers group by country",
        "gold.mv", "bronze.customers", "country: bronze.customers.country; n: -"),
    one("select into",
        "select id, name into silver.copy from bronze.customers", "silver.copy", "bronze.customers",
        "id: bronze.customers.id; name: bronze.customers.name"),
    one("a temp table is folded away",
        """create temp table t as select id, amount * 2 as d from bronze.orders where currency = 'EUR';
           insert into gold.top (id, score) select id, sum(d) from t group by id;
           drop table t""",
        "gold.top", "bronze.orders", "id: bronze.orders.id; score: bronze.orders.amount",
        "bronze.orders.id bronze.orders.currency"),
    one("a temp table that is filled twice",
        """create temp table t (id text); insert into t select id from bronze.orders;
           insert into t select id from bronze.customers; insert into gold.top (id) select id from t""",
        "gold.top", "bronze.orders bronze.customers", "id: bronze.orders.id bronze.customers.id"),
    one("a temp table that is made anew forgets",
        """create temp table t as select id from bronze.orders; drop table t;
           create temp table t as select id from bronze.customers; insert into gold.top (id) select id from t""",
        "gold.top", "bronze.customers", "id: bronze.customers.id"),
    one("a temp table that is renamed and updated",
        """create temp table t as select id, amount from bronze.orders; alter table t rename to u;
           update u set amount = r.rate from bronze.rates r; insert into gold.top (id, score) select id, amount from u""",
        "gold.top", "bronze.orders bronze.rates",
        "id: bronze.orders.id; score: bronze.orders.amount bronze.rates.rate"),
    one("a chain of temp tables",
        """create temp table a as select id from bronze.orders; create temp table b as select id as k from a;
           create table silver.z as select k from b""",
        "silver.z", "bronze.orders", "k: bronze.orders.id"),
    one("a table made in the script is known to what follows",
        """create table silver.made (x text, y text); insert into silver.made select id, name from bronze.customers""",
        "silver.made", "bronze.customers", "x: bronze.customers.id; y: bronze.customers.name"),
    one("renaming hands the table on",
        "alter table silver.customers rename to clients", "silver.clients", "silver.customers",
        "id: silver.customers.id; name: silver.customers.name; country: silver.customers.country"),
    Statement("two writes in one script",
        """create table silver.a as select id from bronze.orders; create table gold.b as select id from silver.a""",
        (Written("silver.a", "bronze.orders", "id: bronze.orders.id"),
         Written("gold.b", "silver.a", "id: silver.a.id"))),
    # -- update, delete, merge, upsert
    one("update in place",
        "update silver.orders set amount = amount * 1.19 where month = '1'", "silver.orders", "silver.orders",
        "amount: silver.orders.amount", "silver.orders.month"),
    one("update from a table",
        "update silver.orders o set amount = r.rate from bronze.rates r where r.day = o.month",
        "silver.orders", "silver.orders bronze.rates", "amount: bronze.rates.rate",
        "bronze.rates.day silver.orders.month"),
    one("update from a subquery",
        """update silver.customers c set name = x.n from (select id, upper(name) as n from bronze.customers) x
           where x.id = c.id""",
        "silver.customers", "silver.customers bronze.customers", "name: bronze.customers.name",
        "bronze.customers.id silver.customers.id"),
    one("update of several columns at once",
        "update silver.customers set (name, country) = (select name, country from bronze.customers limit 1)",
        "silver.customers", "silver.customers bronze.customers",
        "name: bronze.customers.name; country: bronze.customers.country"),
    one("update with a cte",
        """with r as (select day, rate from bronze.rates) update silver.orders o set amount = r.rate from r
           where r.day = o.month""",
        "silver.orders", "silver.orders bronze.rates", "amount: bronze.rates.rate"),
    one("delete is an edge to itself without columns",
        "delete from silver.orders where amount < 0", "silver.orders", "silver.orders", "", "silver.orders.amount"),
    one("delete using",
        "delete from silver.orders o using bronze.customers c where c.id = o.customer_id and c.tier = 'x'",
        "silver.orders", "silver.orders bronze.customers", "",
        "bronze.customers.id silver.orders.customer_id bronze.customers.tier"),
    one("truncate", "truncate silver.orders", "silver.orders", ""),
    one("merge",
        """merge into silver.customers t using bronze.customers s on s.id = t.id
           when matched and s.tier <> 'x' then update set name = coalesce(s.name, t.name)
           when not matched then insert (id, name) values (s.id, s.email)""",
        "silver.customers", "silver.customers bronze.customers",
        "name: bronze.customers.name silver.customers.name bronze.customers.email; id: bronze.customers.id",
        "bronze.customers.id silver.customers.id bronze.customers.tier"),
    one("merge from a query",
        """merge into gold.top t using (select customer_id, sum(amount) s from bronze.orders group by 1) o
           on o.customer_id = t.id when matched then update set score = o.s
           when not matched then insert (id, score) values (o.customer_id, o.s)""",
        "gold.top", "gold.top bronze.orders", "id: bronze.orders.customer_id; score: bronze.orders.amount"),
    Statement("upsert: inserted, then resting on excluded and on the old row",
        """insert into gold.top (id, score) select id, amount from bronze.orders
           on conflict (id) do update set score = gold.top.score + excluded.score""",
        (Written("gold.top", "bronze.orders", "id: bronze.orders.id; score: bronze.orders.amount"),
         Written("gold.top", "bronze.orders gold.top", "score: bronze.orders.amount gold.top.score"))),
    one("on conflict do nothing",
        "insert into gold.top (id) select id from bronze.orders on conflict do nothing",
        "gold.top", "bronze.orders", "id: bronze.orders.id"),
    Statement("a data-modifying cte moves rows",
        """with gone as (delete from bronze.orders where amount < 0 returning id, amount)
           insert into gold.top (id, score) select id, amount from gone""",
        (Written("bronze.orders", "bronze.orders", "", "bronze.orders.amount"),
         Written("gold.top", "bronze.orders", "id: bronze.orders.id; score: bronze.orders.amount"))),
    # -- names
    one("quoted names keep their case",
        'create table "Gold"."Big" as select "Id" as "K" from "Bronze"."Orders"', "Gold.Big", "Bronze.Orders",
        "K: Bronze.Orders.Id"),
    one("unquoted names fold to lower case",
        "CREATE TABLE Silver.X AS SELECT ID FROM BRONZE.ORDERS", "silver.x", "bronze.orders", "id: bronze.orders.id"),
    one("bare names go into the default schema",
        "create table n as select id from orders", "public.n", "public.orders", "id: public.orders.id",
        default_schema="public"),
    one("columns qualified by schema and table",
        "create table n as select bronze.orders.id from bronze.orders", "n", "bronze.orders", "id: bronze.orders.id"),
    # -- what the text cannot tell
    one("a star over a table that is not known",
        "create table n as select * from far.away", "n", "far.away", low=True),
    one("a column of two unknown tables is not guessed",
        "create table n as select a.x, y from far.a a join far.b b on a.id = b.id", "n", "far.a far.b",
        "x: far.a.x; y: -", low=True),
    one("a function that may read anything",
        "create table n as select * from secret_report(1) as r(x)", "n", "", "x: -", low=True),
    one("a call", "call refresh_everything()", None, "", low=True),
    one("nonsense", "selec * form where", None, "", low=True),
    # -- other dialects
    one("lateral view of spark",
        "create table n as select id, item from bronze.orders lateral view explode(items) t as item",
        "n", "bronze.orders", "id: bronze.orders.id; item: bronze.orders.items", dialect="spark"),
    one("semi join of spark",
        "create table n as select name from bronze.customers c left semi join bronze.orders o on o.customer_id = c.id",
        "n", "bronze.customers bronze.orders", "name: bronze.customers.name",
        "bronze.orders.customer_id bronze.customers.id", dialect="spark"),
    one("insert overwrite of spark",
        "insert overwrite table gold.top select id, amount from bronze.orders", "gold.top", "bronze.orders",
        "id: bronze.orders.id; score: bronze.orders.amount", dialect="spark"),
    one("qualify and alias reuse of duckdb",
        """create table n as select id, amount * 2 as d from bronze.orders
           qualify row_number() over (partition by customer_id order by ordered_at) = 1""",
        "n", "bronze.orders", "id: bronze.orders.id; d: bronze.orders.amount",
        "bronze.orders.customer_id bronze.orders.ordered_at", dialect="duckdb"),
    one("union by name of duckdb",
        "create table n as select id, name from bronze.customers union all by name select name, id from silver.customers",
        "n", "bronze.customers silver.customers",
        "id: bronze.customers.id silver.customers.id; name: bronze.customers.name silver.customers.name",
        dialect="duckdb"),
    one("lambda of duckdb",
        "create table n as select list_transform(items, x -> x || currency) as t from bronze.orders",
        "n", "bronze.orders", "t: bronze.orders.items bronze.orders.currency", dialect="duckdb"),
)
# fmt: on

#: Statements through which no data flows.
QUIET = (
    "create table silver.plain (a int, b text)",
    "create index on silver.orders (id)",
    "alter table silver.orders add column x int",
    "grant select on silver.orders to viewer",
    "comment on table silver.orders is 'x'",
    "set search_path = silver",
    "begin",
    "commit",
    "vacuum silver.orders",
    "create function f() returns int language sql as $$ select 1; select 2 $$",
    "drop table silver.orders",
    "refresh materialized view gold.mv",
    "analyze silver.orders",
)
