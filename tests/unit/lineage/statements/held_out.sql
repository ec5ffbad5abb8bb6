--- customer lifetime value
insert into gold.customer_stats (customer_id, orders, total, last_at)
select c.id, count(o.id), coalesce(sum(o.amount), 0), max(o.ordered_at)
from bronze.customers as c
left join bronze.orders as o on o.customer_id = c.id and o.currency = 'EUR'
where c.email is not null
group by c.id;
--> gold.customer_stats <- bronze.customers bronze.orders
-->     customer_id <- bronze.customers.id
-->     orders <- bronze.orders.id
-->     total <- bronze.orders.amount
-->     last_at <- bronze.orders.ordered_at
-->     (rows) <- bronze.orders.customer_id bronze.customers.id bronze.orders.currency bronze.customers.email

--- sessions by a gap in time
create table gold.sessions as
with marked as (
    select id, session_id, at, case when at - lag(at) over (partition by session_id order by at) > interval '30 minutes' then 1 else 0 end as is_new
    from bronze.events
), numbered as (
    select id, session_id, at, sum(is_new) over (partition by session_id order by at) as part from marked
)
select session_id, part, min(at) as began, max(at) - min(at) as lasted, count(*) as events from numbered group by session_id, part;
--> gold.sessions <- bronze.events
-->     session_id <- bronze.events.session_id
-->     part <- bronze.events.at bronze.events.session_id
-->     began <- bronze.events.at
-->     lasted <- bronze.events.at
-->     events <-
-->     (rows) <- bronze.events.session_id bronze.events.at

--- amounts in one currency, by the newest rate not after the order
create table silver.converted as
select o.id, o.amount * r.rate as eur
from bronze.orders o
left join lateral (
    select x.rate from bronze.rates x where x.currency = o.currency and x.day <= o.ordered_at order by x.day desc fetch first 1 row only
) r on true;
--> silver.converted <- bronze.orders bronze.rates
-->     id <- bronze.orders.id
-->     eur <- bronze.orders.amount bronze.rates.rate
-->     (rows) <- bronze.rates.currency bronze.orders.currency bronze.rates.day bronze.orders.ordered_at

--- a new version of each changed customer
insert into silver.history (id, name, valid_from, is_current)
select c.id, c.name, now(), true from bronze.customers c
left join silver.history h on h.id = c.id and h.is_current
where h.id is null or (h.name) is distinct from (c.name);
--> silver.history <- bronze.customers silver.history
-->     id <- bronze.customers.id
-->     name <- bronze.customers.name
-->     valid_from <-
-->     is_current <-
-->     (rows) <- silver.history.id bronze.customers.id silver.history.is_current silver.history.name bronze.customers.name

--- duplicates removed by ctid
delete from bronze.events a using bronze.events b where a.ctid < b.ctid and a.id = b.id;
--> bronze.events <- bronze.events
-->     (rows) <- bronze.events.ctid bronze.events.id

--- duplicates removed by a numbered cte
with d as (select id, row_number() over (partition by name order by id) as n from silver.products)
delete from silver.products where id in (select id from d where n > 1);
--> silver.products <- silver.products
-->     (rows) <- silver.products.id silver.products.name

--- an archive that moves rows
with moved as (delete from bronze.orders where ordered_at < '2020-01-01' returning *)
insert into silver.orders (id, customer_id, amount) select id, customer_id, amount from moved;
--> bronze.orders <- bronze.orders
-->     (rows) <- bronze.orders.ordered_at
--> silver.orders <- bronze.orders
-->     id <- bronze.orders.id
-->     customer_id <- bronze.orders.customer_id
-->     amount <- bronze.orders.amount

--- invoices of the month, by country
create materialized view gold.invoices as
select date_trunc('month', m.invoice_date)::date as month, coalesce(k.name, 'unknown') as country, sum(m.amount_total) as total, count(distinct m.partner_id) as partners
from odoo.account_move m
join odoo.res_partner p on m.partner_id = p.id
left join odoo.res_country k on k.id = coalesce(p.country_id, 0)
where m.state in ('posted', 'paid')
group by 1, 2
with no data;
--> gold.invoices <- odoo.account_move odoo.res_partner odoo.res_country
-->     month <- odoo.account_move.invoice_date
-->     country <- odoo.res_country.name
-->     total <- odoo.account_move.amount_total
-->     partners <- odoo.account_move.partner_id
-->     (rows) <- odoo.account_move.partner_id odoo.res_partner.id odoo.res_country.id odoo.res_partner.country_id odoo.account_move.state odoo.account_move.invoice_date odoo.res_country.name

--- the top three of each category
create view gold.best as
select * from (
    select p.id, p.name, p.category, dense_rank() over (partition by p.category order by sum(i.quantity) desc) as place
    from silver.products p join silver.order_items i on i.product_id = p.id
    group by p.id, p.name, p.category
) ranked where place <= 3;
--> gold.best <- silver.products silver.order_items
-->     id <- silver.products.id
-->     name <- silver.products.name
-->     category <- silver.products.category
-->     place <- silver.products.category silver.order_items.quantity
-->     (rows) <- silver.order_items.product_id silver.products.id silver.products.name silver.products.category silver.order_items.quantity

--- the parent's name, or one's own
select coalesce(parent.name, p.name) as label into gold.labels from odoo.res_partner p left outer join odoo.res_partner parent on parent.id = p.parent_id;
--> gold.labels <- odoo.res_partner
-->     label <- odoo.res_partner.name
-->     (rows) <- odoo.res_partner.id odoo.res_partner.parent_id

--- a document of an order with its lines
create table gold.documents as
select o.id, jsonb_build_object('customer', c.name, 'lines', (
    select jsonb_agg(jsonb_build_object('sku', p.name, 'n', i.quantity) order by i.id) from silver.order_items i join silver.products p on p.id = i.product_id where i.order_id = o.id
)) as doc
from silver.orders o join silver.customers c on c.id = o.customer_id;
--> gold.documents <- silver.orders silver.customers silver.order_items silver.products
-->     id <- silver.orders.id
-->     doc <- silver.customers.name silver.products.name silver.order_items.quantity silver.order_items.id
-->     (rows) <- silver.customers.id silver.orders.customer_id silver.products.id silver.order_items.product_id silver.order_items.order_id silver.orders.id

--- a calendar filled up
insert into gold.revenue (month, revenue)
select g.month, coalesce(sum(o.amount), 0)
from generate_series(date '2024-01-01', date '2024-12-01', interval '1 month') as g (month)
left join silver.orders o on o.month = g.month
group by g.month;
--> gold.revenue <- silver.orders
-->     month <-
-->     revenue <- silver.orders.amount
-->     (rows) <- silver.orders.month

--- update of totals from an aggregate
update gold.revenue r set revenue = x.total, customers = x.n
from (select month, sum(amount) as total, count(distinct customer_id) as n from silver.orders group by month) as x
where r.month = x.month and r.revenue is distinct from x.total;
--> gold.revenue <- gold.revenue silver.orders
-->     revenue <- silver.orders.amount
-->     customers <- silver.orders.customer_id
-->     (rows) <- silver.orders.month gold.revenue.month gold.revenue.revenue silver.orders.amount

--- update by a subquery of two columns
update gold.customer_stats as s
set (orders, total) = (select count(*), sum(o.amount) from silver.orders o where o.customer_id = s.customer_id);
--> gold.customer_stats <- gold.customer_stats silver.orders
-->     orders <-
-->     total <- silver.orders.amount
-->     (rows) <- silver.orders.customer_id gold.customer_stats.customer_id

--- update where exists
update silver.products set price = 0 where exists (select from silver.order_items i where i.product_id = silver.products.id and i.quantity < 0);
--> silver.products <- silver.products silver.order_items
-->     price <-
-->     (rows) <- silver.order_items.product_id silver.products.id silver.order_items.quantity

--- merge with three kinds of ends
merge into silver.products as t
using (select distinct on (name) id, name, price from silver.order_items join lateral (select 'x' as name) n on true order by name, id desc) as s
on t.id = s.id
when matched and t.price is distinct from s.price then update set price = s.price, name = initcap(s.name)
when not matched then insert (id, name, price, category) values (s.id, s.name, s.price, 'new');
--> silver.products <- silver.products silver.order_items
-->     price <- silver.order_items.price
-->     name <-
-->     id <- silver.order_items.id
-->     category <-
-->     (rows) <- silver.order_items.id silver.products.id silver.products.price silver.order_items.price

--- an upsert that keeps the greater one
insert into gold.top as t (id, score) values (7, 3)
on conflict (id) do update set score = greatest(t.score, excluded.score) where t.score < excluded.score;
--> gold.top <-
-->     id <-
-->     score <-
--> gold.top <- gold.top
-->     score <- gold.top.score
-->     (rows) <- gold.top.score

--- upsert from a cte
with s as (select customer_id, sum(amount) as total from silver.orders group by 1)
insert into gold.customer_stats (customer_id, total) select customer_id, total from s
on conflict (customer_id) do update set total = gold.customer_stats.total + excluded.total, orders = gold.customer_stats.orders + 1;
--> gold.customer_stats <- silver.orders
-->     customer_id <- silver.orders.customer_id
-->     total <- silver.orders.amount
-->     (rows) <- silver.orders.customer_id
--> gold.customer_stats <- gold.customer_stats silver.orders
-->     total <- gold.customer_stats.total silver.orders.amount
-->     orders <- gold.customer_stats.orders

--- a staging table, cleaned, checked, loaded
create temp table stage (id int, customer_id int, amount numeric);
insert into stage select id, customer_id, amount::numeric from bronze.orders where currency = 'EUR';
delete from stage where amount is null;
update stage set amount = round(amount, 2);
insert into silver.orders (id, customer_id, amount) select id, customer_id, amount from stage;
drop table stage;
--> silver.orders <- bronze.orders
-->     id <- bronze.orders.id
-->     customer_id <- bronze.orders.customer_id
-->     amount <- bronze.orders.amount

--- two temporary tables joined
create temp table a as select id, name from silver.customers where country = 'FR';
create temp table b as select customer_id, sum(amount) as s from silver.orders group by customer_id;
create table gold.french as select a.name, b.s from a join b on b.customer_id = a.id;
--> gold.french <- silver.customers silver.orders
-->     name <- silver.customers.name
-->     s <- silver.orders.amount
-->     (rows) <- silver.customers.country silver.orders.customer_id silver.customers.id

--- a table swapped by three renames
create table silver.orders_new as select id, amount from silver.orders where amount > 0;
alter table silver.orders rename to orders_old;
alter table silver.orders_new rename to orders;
--> silver.orders_new <- silver.orders
-->     id <- silver.orders.id
-->     amount <- silver.orders.amount
-->     (rows) <- silver.orders.amount
--> silver.orders_old <- silver.orders
-->     id <- silver.orders.id
-->     customer_id <- silver.orders.customer_id
-->     amount <- silver.orders.amount
-->     month <- silver.orders.month
--> silver.orders <- silver.orders_new
-->     id <- silver.orders_new.id
-->     amount <- silver.orders_new.amount

--- a view of a union of two shops
create or replace view silver.all_orders as
select 'a' as shop, id, amount from bronze.orders
union all
select 'b', id, amount from silver.orders where month is not null;
--> silver.all_orders <- bronze.orders silver.orders
-->     shop <-
-->     id <- bronze.orders.id silver.orders.id
-->     amount <- bronze.orders.amount silver.orders.amount
-->     (rows) <- silver.orders.month

--- who is in one and not in the other, both ways
create table gold.differences as
(select id, name from silver.customers except select id, name from odoo.res_partner)
union all
(select id, name from odoo.res_partner except select id, name from silver.customers);
--> gold.differences <- silver.customers odoo.res_partner
-->     id <- silver.customers.id odoo.res_partner.id
-->     name <- silver.customers.name odoo.res_partner.name
-->     (rows) <- odoo.res_partner.id odoo.res_partner.name silver.customers.id silver.customers.name

--- a tree of partners with their root
create table gold.roots as
with recursive r as (
    select p.id, p.id as root, p.name as root_name, 1 as level from odoo.res_partner p where p.parent_id is null
    union
    select c.id, r.root, r.root_name, r.level + 1 from r, odoo.res_partner c where c.parent_id = r.id
)
select distinct id, root_name, max(level) over (partition by root) as deepest from r;
--> gold.roots <- odoo.res_partner
-->     id <- odoo.res_partner.id
-->     root_name <- odoo.res_partner.name
-->     deepest <- odoo.res_partner.id
-->     (rows) <- odoo.res_partner.parent_id odoo.res_partner.id

--- events taken apart
insert into silver.order_items (order_id, product_id, quantity)
select (e.payload ->> 'order')::int, (l.line ->> 'product')::int, (l.line ->> 'n')::numeric
from bronze.events e cross join lateral jsonb_array_elements(e.payload -> 'lines') as l (line)
where e.kind = 'order' and jsonb_typeof(e.payload -> 'lines') = 'array';
--> silver.order_items <- bronze.events
-->     order_id <- bronze.events.payload
-->     product_id <- bronze.events.payload
-->     quantity <- bronze.events.payload
-->     (rows) <- bronze.events.kind bronze.events.payload

--- json to columns
create table silver.users as
select u.name, u.age from bronze.events e, jsonb_to_record(e.payload) as u (name text, age int);
--> silver.users <- bronze.events
-->     name <- bronze.events.payload
-->     age <- bronze.events.payload

--- columns to rows
create table gold.long as
select o.id, x.key, x.value from silver.orders o cross join lateral (values ('amount', o.amount), ('customer', o.customer_id)) x (key, value) where x.value is not null;
--> gold.long <- silver.orders
-->     id <- silver.orders.id
-->     key <-
-->     value <- silver.orders.amount silver.orders.customer_id
-->     (rows) <- silver.orders.amount silver.orders.customer_id

--- rows to columns
create table gold.wide as
select customer_id, max(amount) filter (where month = '1') as jan, max(amount) filter (where month = '2') as feb from silver.orders group by customer_id;
--> gold.wide <- silver.orders
-->     customer_id <- silver.orders.customer_id
-->     jan <- silver.orders.amount silver.orders.month
-->     feb <- silver.orders.amount silver.orders.month
-->     (rows) <- silver.orders.customer_id

--- a moving average, and its difference
create view gold.trend as
select day, currency, rate, avg(rate) over w as week, rate - avg(rate) over w as off
from bronze.rates window w as (partition by currency order by day rows 6 preceding);
--> gold.trend <- bronze.rates
-->     day <- bronze.rates.day
-->     currency <- bronze.rates.currency
-->     rate <- bronze.rates.rate
-->     week <- bronze.rates.rate bronze.rates.currency bronze.rates.day
-->     off <- bronze.rates.rate bronze.rates.currency bronze.rates.day
-->     (rows) <-

--- quantiles, with a condition on an aggregate
create table gold.spread as
select p.category, percentile_disc(0.9) within group (order by i.price) as p90, stddev(i.price) as sd
from silver.order_items i inner join silver.products p on i.product_id = p.id
group by p.category having count(*) > 10 and max(i.quantity) > 1;
--> gold.spread <- silver.order_items silver.products
-->     category <- silver.products.category
-->     p90 <- silver.order_items.price
-->     sd <- silver.order_items.price
-->     (rows) <- silver.order_items.product_id silver.products.id silver.products.category silver.order_items.quantity

--- a subquery in the list of FROM that refers to a cte
create table n as
with big as (select customer_id from silver.orders where amount > 1000)
select c.name from silver.customers c where c.id in (select customer_id from big) and c.country <> all (array['XX', 'YY']);
--> n <- silver.customers silver.orders
-->     name <- silver.customers.name
-->     (rows) <- silver.customers.id silver.orders.customer_id silver.orders.amount silver.customers.country

--- star of a cte that renames
create table n as with x (a, b, c) as (select * from silver.customers) select x.*, length(b) as n from x where c = 'DE';
--> n <- silver.customers
-->     a <- silver.customers.id
-->     b <- silver.customers.name
-->     c <- silver.customers.country
-->     n <- silver.customers.name
-->     (rows) <- silver.customers.country

--- using over three tables, one of them right
create table n as
select id, c.name, t.score, p.price from silver.customers c join gold.top t using (id) right join silver.products p using (id);
--> n <- silver.customers gold.top silver.products
-->     id <- silver.products.id
-->     name <- silver.customers.name
-->     score <- gold.top.score
-->     price <- silver.products.price
-->     (rows) <- silver.customers.id gold.top.id silver.products.id

--- a view with check option and its column names
create view silver.german (key, label) with (security_barrier = true) as
select id, name from silver.customers where country = 'DE' with cascaded check option;
--> silver.german <- silver.customers
-->     key <- silver.customers.id
-->     label <- silver.customers.name
-->     (rows) <- silver.customers.country

--- whole rows kept as json
insert into bronze.events (id, kind, payload) select p.id, 'partner', to_jsonb(p) from odoo.res_partner p;
--> bronze.events <- odoo.res_partner
-->     id <- odoo.res_partner.id
-->     kind <-
-->     payload <- odoo.res_partner.id odoo.res_partner.name odoo.res_partner.email odoo.res_partner.country_id odoo.res_partner.parent_id

--- a boolean of two tables
create table n as select c.id, c.email = p.email or c.name = p.name as same from bronze.customers c cross join odoo.res_partner p;
--> n <- bronze.customers odoo.res_partner
-->     id <- bronze.customers.id
-->     same <- bronze.customers.email odoo.res_partner.email bronze.customers.name odoo.res_partner.name
-->     (rows) <-

--- set of functions that keep time
update bronze.events set payload = jsonb_set(payload, '{seen}', to_jsonb(clock_timestamp())), at = date_bin('5 minutes', at, timestamp '2001-01-01') where kind like any (array['a%', 'b%']);
--> bronze.events <- bronze.events
-->     payload <- bronze.events.payload
-->     at <- bronze.events.at
-->     (rows) <- bronze.events.kind

--- insert of nothing but ids, in order, with an offset
insert into gold.top (id) select distinct customer_id from silver.orders order by customer_id desc nulls last offset 5 limit 10 on conflict do nothing;
--> gold.top <- silver.orders
-->     id <- silver.orders.customer_id
-->     (rows) <- silver.orders.customer_id

--- a copy out of a table, some columns
copy silver.products (name, price) to '/tmp/products.csv' with csv header;
--> file:/tmp/products.csv <- silver.products
-->     name <- silver.products.name
-->     price <- silver.products.price

--- a join with a function of a table of its own  [low]
create table n as select c.id, s.risk from silver.customers c, risk.scores_for(c.id, c.country) as s (risk);
--> n <- silver.customers
-->     id <- silver.customers.id
-->     risk <- silver.customers.id silver.customers.country

--- a job of spark in sql  [dialect=spark]
create or replace temp view recent as select id, customer_id, amount, to_date(ordered_at) as day from bronze.orders where ordered_at >= date_sub(current_date(), 7);
insert overwrite table gold.revenue select day, sum(amount), count(distinct customer_id) from recent group by day;
--> gold.revenue <- bronze.orders
-->     month <- bronze.orders.ordered_at
-->     revenue <- bronze.orders.amount
-->     customers <- bronze.orders.customer_id
-->     (rows) <- bronze.orders.ordered_at

--- a job of duckdb in sql  [dialect=duckdb]
create or replace table n as
select customer_id, arg_max(amount, ordered_at) as newest, list(currency order by ordered_at) as currencies from bronze.orders where try_cast(amount as double) > 0 group by customer_id;
--> n <- bronze.orders
-->     customer_id <- bronze.orders.customer_id
-->     newest <- bronze.orders.amount bronze.orders.ordered_at
-->     currencies <- bronze.orders.currency bronze.orders.ordered_at
-->     (rows) <- bronze.orders.amount bronze.orders.customer_id

--- orders that are late, by a join of inequality
create table gold.late as
select o.id, o.ordered_at - c.since as late_by
from bronze.orders o
join (select customer_id, min(ordered_at) as since from bronze.orders where amount > 0 group by customer_id) c
  on c.customer_id = o.customer_id and o.ordered_at > c.since
order by late_by desc limit 100;
--> gold.late <- bronze.orders
-->     id <- bronze.orders.id
-->     late_by <- bronze.orders.ordered_at
-->     (rows) <- bronze.orders.amount bronze.orders.customer_id bronze.orders.ordered_at

--- customers without orders, by not exists
insert into gold.top (id, score)
select c.id, 0 from silver.customers c
where not exists (select 1 from silver.orders o where o.customer_id = c.id and o.amount > 10)
  and c.country = any (select code from odoo.res_country where name like 'A%');
--> gold.top <- silver.customers silver.orders odoo.res_country
-->     id <- silver.customers.id
-->     score <-
-->     (rows) <- silver.orders.customer_id silver.customers.id silver.orders.amount silver.customers.country odoo.res_country.code odoo.res_country.name

--- using and natural joins
create view gold.joined as
select id, o.amount, h.name from silver.orders o join silver.history h using (id) natural join (select id, category from silver.products where price > 1) p;
--> gold.joined <- silver.orders silver.history silver.products
-->     id <- silver.orders.id
-->     amount <- silver.orders.amount
-->     name <- silver.history.name
-->     (rows) <- silver.orders.id silver.history.id silver.products.id silver.products.price

--- grouping sets
create table gold.cube as
select country, tier, count(*) filter (where email is not null) as reachable
from bronze.customers group by grouping sets ((country), (country, tier), ());
--> gold.cube <- bronze.customers
-->     country <- bronze.customers.country
-->     tier <- bronze.customers.tier
-->     reachable <- bronze.customers.email
-->     (rows) <- bronze.customers.country bronze.customers.tier

--- the running share of a total
create table gold.share as
select id, sum(amount) over (order by ordered_at rows unbounded preceding) / nullif(sum(amount) over (), 0) as share
from bronze.orders where currency in ('EUR', 'USD');
--> gold.share <- bronze.orders
-->     id <- bronze.orders.id
-->     share <- bronze.orders.amount bronze.orders.ordered_at
-->     (rows) <- bronze.orders.currency

--- delete by a subquery with an aggregate
delete from silver.orders o where o.amount < (select avg(x.amount) from silver.orders x where x.month = o.month) and o.customer_id not in (select id from silver.customers where country is null);
--> silver.orders <- silver.orders silver.customers
-->     (rows) <- silver.orders.amount silver.orders.month silver.orders.customer_id silver.customers.id silver.customers.country

--- intersect of three
create table gold.common as
select email from bronze.customers intersect select email from odoo.res_partner where parent_id is null intersect all select name from silver.customers;
--> gold.common <- bronze.customers odoo.res_partner silver.customers
-->     email <- bronze.customers.email
-->     (rows) <- odoo.res_partner.parent_id odoo.res_partner.email silver.customers.name

--- a scalar subquery in the list
insert into gold.customer_stats (customer_id, last_at, segment)
select c.id, (select max(o.ordered_at) from bronze.orders o where o.customer_id = c.id), case when c.tier = 'gold' then 'A' when exists (select from bronze.events e where e.session_id = c.email) then 'B' else 'C' end
from bronze.customers c;
--> gold.customer_stats <- bronze.customers bronze.orders bronze.events
-->     customer_id <- bronze.customers.id
-->     last_at <- bronze.orders.ordered_at
-->     segment <- bronze.customers.tier
-->     (rows) <- bronze.orders.customer_id bronze.customers.id bronze.events.session_id bronze.customers.email

--- a chain of ctes that shadows a table
with orders as (select * from silver.orders where amount > 5),
     totals as (select customer_id, sum(amount) as s from orders group by 1 having sum(amount) > 100)
insert into gold.top select t.customer_id, t.s from totals t join orders o on o.customer_id = t.customer_id;
--> gold.top <- silver.orders
-->     id <- silver.orders.customer_id
-->     score <- silver.orders.amount
-->     (rows) <- silver.orders.amount silver.orders.customer_id

--- unnest with ordinality
create table silver.tags as
select p.id, t.tag, t.n from silver.products p, unnest(string_to_array(p.name, ',')) with ordinality as t (tag, n) where t.n <= 3;
--> silver.tags <- silver.products
-->     id <- silver.products.id
-->     tag <- silver.products.name
-->     n <-
-->     (rows) <-

--- first of each group by distinct on
create materialized view gold.firsts as
select distinct on (customer_id) customer_id, id, amount from bronze.orders order by customer_id, ordered_at desc;
--> gold.firsts <- bronze.orders
-->     customer_id <- bronze.orders.customer_id
-->     id <- bronze.orders.id
-->     amount <- bronze.orders.amount
-->     (rows) <- bronze.orders.customer_id bronze.orders.ordered_at

--- a full join that keeps both
create table gold.both as
select coalesce(a.id, b.id) as id, a.name as ours, b.name as theirs
from silver.customers a full outer join odoo.res_partner b on lower(a.name) = lower(b.name) and b.email is not null;
--> gold.both <- silver.customers odoo.res_partner
-->     id <- silver.customers.id odoo.res_partner.id
-->     ours <- silver.customers.name
-->     theirs <- odoo.res_partner.name
-->     (rows) <- silver.customers.name odoo.res_partner.name odoo.res_partner.email

--- an update from two tables
update silver.order_items i set price = p.price * r.rate
from silver.products p cross join bronze.rates r
where p.id = i.product_id and r.currency = 'EUR' and r.day = (select max(day) from bronze.rates);
--> silver.order_items <- silver.order_items silver.products bronze.rates
-->     price <- silver.products.price bronze.rates.rate
-->     (rows) <- silver.products.id silver.order_items.product_id bronze.rates.currency bronze.rates.day

--- insert returning into another
with fresh as (insert into silver.customers (id, name) select id, name from bronze.customers where tier = 'x' returning id, name)
insert into gold.top (id, score) select id, length(name) from fresh;
--> silver.customers <- bronze.customers
-->     id <- bronze.customers.id
-->     name <- bronze.customers.name
-->     (rows) <- bronze.customers.tier
--> gold.top <- silver.customers
-->     id <- silver.customers.id
-->     score <- silver.customers.name

--- merge that deletes
merge into silver.products t using odoo.res_country s on s.id = t.id and s.code <> 'XX'
when matched and t.category = s.code then delete
when matched then update set name = s.name
when not matched and s.name is not null then insert (id, name) values (s.id, s.name);
--> silver.products <- silver.products odoo.res_country
-->     name <- odoo.res_country.name
-->     id <- odoo.res_country.id
-->     (rows) <- odoo.res_country.id silver.products.id odoo.res_country.code silver.products.category odoo.res_country.name

--- recursive walk with a stop
create table gold.reach as
with recursive up (id, parent_id, n) as (
    select id, parent_id, 0 from odoo.res_partner where email = 'a'
    union all
    select p.id, p.parent_id, up.n + 1 from odoo.res_partner p join up on p.id = up.parent_id where up.n < 5
)
select id, max(n) as far from up group by id having count(*) > 1;
--> gold.reach <- odoo.res_partner
-->     id <- odoo.res_partner.id
-->     far <-
-->     (rows) <- odoo.res_partner.email odoo.res_partner.id odoo.res_partner.parent_id

--- quantified comparison with all
create view gold.best_price as
select p.id, p.price from silver.products p where p.price >= all (select q.price from silver.products q where q.category = p.category);
--> gold.best_price <- silver.products
-->     id <- silver.products.id
-->     price <- silver.products.price
-->     (rows) <- silver.products.price silver.products.category

--- row values compared
insert into silver.history (id, name)
select c.id, c.name from bronze.customers c where (c.id, c.name) not in (select h.id, h.name from silver.history h where h.is_current);
--> silver.history <- bronze.customers silver.history
-->     id <- bronze.customers.id
-->     name <- bronze.customers.name
-->     (rows) <- bronze.customers.id bronze.customers.name silver.history.id silver.history.name silver.history.is_current

--- a window filtered outside
create table gold.latest as
select id, kind from (select e.*, row_number() over (partition by kind order by at desc) as rn from bronze.events e where payload is not null) x where rn = 1;
--> gold.latest <- bronze.events
-->     id <- bronze.events.id
-->     kind <- bronze.events.kind
-->     (rows) <- bronze.events.payload bronze.events.kind bronze.events.at

--- qualify in Spark  [dialect=spark]
create table gold.q as select id, name from silver.customers qualify row_number() over (partition by country order by id) = 1;
--> gold.q <- silver.customers
-->     id <- silver.customers.id
-->     name <- silver.customers.name
-->     (rows) <- silver.customers.country silver.customers.id

--- explode in Spark  [dialect=spark]
insert overwrite table silver.order_items select o.id, o.id, item, 1, o.amount from bronze.orders o lateral view explode(o.items) t as item where o.currency = 'EUR';
--> silver.order_items <- bronze.orders
-->     id <- bronze.orders.id
-->     order_id <- bronze.orders.id
-->     product_id <- bronze.orders.items
-->     quantity <-
-->     price <- bronze.orders.amount
-->     (rows) <- bronze.orders.currency

--- left semi and anti join in Spark  [dialect=spark]
create table gold.active as
select c.id, c.name from bronze.customers c left semi join bronze.orders o on o.customer_id = c.id left anti join bronze.events e on e.session_id = c.email and e.kind = 'bot';
--> gold.active <- bronze.customers bronze.orders bronze.events
-->     id <- bronze.customers.id
-->     name <- bronze.customers.name
-->     (rows) <- bronze.orders.customer_id bronze.customers.id bronze.events.session_id bronze.customers.email bronze.events.kind

--- string aggregation with an order
create table gold.lists as
select customer_id, string_agg(currency, ',' order by ordered_at) as currencies, array_agg(distinct id) filter (where amount > 0) as ids from bronze.orders group by customer_id;
--> gold.lists <- bronze.orders
-->     customer_id <- bronze.orders.customer_id
-->     currencies <- bronze.orders.currency bronze.orders.ordered_at
-->     ids <- bronze.orders.id bronze.orders.amount
-->     (rows) <- bronze.orders.customer_id

--- a union filtered as a whole
insert into gold.revenue (month, revenue)
select u.month, sum(u.amount) from (select month, amount from silver.orders union all select to_char(ordered_at, 'YYYY-MM'), amount from bronze.orders) u
where u.amount > 0 group by u.month;
--> gold.revenue <- silver.orders bronze.orders
-->     month <- silver.orders.month bronze.orders.ordered_at
-->     revenue <- silver.orders.amount bronze.orders.amount
-->     (rows) <- silver.orders.amount bronze.orders.amount silver.orders.month bronze.orders.ordered_at

--- a lateral top one with a filter on it
create table gold.pairs as
select c.id, l.id as order_id from silver.customers c
cross join lateral (select o.id from silver.orders o where o.customer_id = c.id order by o.amount desc nulls last limit 1) l
where c.country <> 'XX';
--> gold.pairs <- silver.customers silver.orders
-->     id <- silver.customers.id
-->     order_id <- silver.orders.id
-->     (rows) <- silver.orders.customer_id silver.customers.id silver.orders.amount silver.customers.country

--- a truth table of booleans
create table gold.flags as
select m.id, (m.state = 'posted' and m.amount_total > 0) is true as good, m.partner_id in (select id from odoo.res_partner where country_id is not null) as known
from odoo.account_move m where m.invoice_date between date '2024-01-01' and (select max(valid_to) from silver.history);
--> gold.flags <- odoo.account_move odoo.res_partner silver.history
-->     id <- odoo.account_move.id
-->     good <- odoo.account_move.state odoo.account_move.amount_total
-->     known <- odoo.account_move.partner_id odoo.res_partner.id
-->     (rows) <- odoo.account_move.invoice_date silver.history.valid_to odoo.res_partner.country_id

--- group by an expression, ordered by another
create table gold.weeks as
select date_trunc('week', ordered_at) as week, sum(amount) as total from bronze.orders o
where exists (select from bronze.rates r where r.currency = o.currency and r.day = o.ordered_at::date)
group by date_trunc('week', ordered_at) order by sum(amount) desc, count(distinct customer_id) fetch first 10 rows with ties;
--> gold.weeks <- bronze.orders bronze.rates
-->     week <- bronze.orders.ordered_at
-->     total <- bronze.orders.amount
-->     (rows) <- bronze.rates.currency bronze.orders.currency bronze.rates.day bronze.orders.ordered_at bronze.orders.amount bronze.orders.customer_id

--- a query that writes nothing
select c.name, s.total from gold.customer_stats s join silver.customers c on c.id = s.customer_id where s.segment = 'A' order by s.total;
--> (query) <- gold.customer_stats silver.customers
-->     name <- silver.customers.name
-->     total <- gold.customer_stats.total
-->     (rows) <- silver.customers.id gold.customer_stats.customer_id gold.customer_stats.segment gold.customer_stats.total
