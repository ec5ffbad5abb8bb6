--- cte of the name of the table that it reads
create table n as with orders as (select id from bronze.orders) select id from orders;
--> n <- bronze.orders
-->     id <- bronze.orders.id

--- cte that shadows a bare table  [default=public]
create table n as with orders as (select id from orders) select id from orders;
--> public.n <- public.orders
-->     id <- public.orders.id

--- chained ctes
create table n as with a as (select id, amount * 2 as d from bronze.orders),
    b as (select id, d + 1 as e from a) select e from b where id > 3;
--> n <- bronze.orders
-->     e <- bronze.orders.amount
-->     (rows) <- bronze.orders.id

--- cte in front of an insert
with x as (select id, name from bronze.customers) insert into silver.customers (id, name)
    select id, name from x;
--> silver.customers <- bronze.customers
-->     id <- bronze.customers.id
-->     name <- bronze.customers.name

--- a cte that nobody uses is not read
create table n as with unused as (select * from bronze.rates) select id from bronze.orders;
--> n <- bronze.orders
-->     id <- bronze.orders.id

--- nested cte and union
insert into gold.top (id, score) with both_ as (
    with inner_ as (select id, amount from bronze.orders) select id, amount from inner_
    union all select id, tier from bronze.customers) select id, max(amount) from both_ group by id;
--> gold.top <- bronze.orders bronze.customers
-->     id <- bronze.orders.id bronze.customers.id
-->     score <- bronze.orders.amount bronze.customers.tier
-->     (rows) <- bronze.orders.id bronze.customers.id

--- recursive cte
create table n as with recursive tree as (
    select id, customer_id, amount as path from bronze.orders where customer_id is null
    union all select o.id, o.customer_id, t.path || o.currency from bronze.orders o
    join tree t on t.id = o.customer_id) select id, path from tree;
--> n <- bronze.orders
-->     id <- bronze.orders.id
-->     path <- bronze.orders.amount bronze.orders.currency
-->     (rows) <- bronze.orders.customer_id bronze.orders.id

--- recursive cte whose columns change places
create table n as with recursive r (a, b) as (
    select id, amount from bronze.orders union all select b, a from r where a < 10) select a from r;
--> n <- bronze.orders
-->     a <- bronze.orders.id bronze.orders.amount

--- recursive cte whose columns go round in a circle
create table n as with recursive r (a, b, c) as (
    select id, amount, currency from bronze.orders union all select b, c, a from r) select a from r;
--> n <- bronze.orders
-->     a <- bronze.orders.id bronze.orders.amount bronze.orders.currency

--- a cte with names of its own
create table n as with c (k, label) as (select id, name from silver.customers) select k, upper(label) as label from c;
--> n <- silver.customers
-->     k <- silver.customers.id
-->     label <- silver.customers.name

--- a cte used twice
create table n as
with m as (select month, sum(amount) as total from silver.orders group by month)
select a.month, a.total - b.total as growth from m a join m b on b.month = a.month - 1;
--> n <- silver.orders
-->     month <- silver.orders.month
-->     growth <- silver.orders.amount
-->     (rows) <- silver.orders.month

--- a materialized cte
create table n as with x as materialized (select id, price from silver.products where price > 0), y as not materialized (select id from x) select y.id from y;
--> n <- silver.products
-->     id <- silver.products.id
-->     (rows) <- silver.products.price

--- a star through two ctes
create table n as with a as (select * from gold.top), b as (select *, score * 2 as twice from a) select * from b;
--> n <- gold.top
-->     id <- gold.top.id
-->     score <- gold.top.score
-->     twice <- gold.top.score

--- a cte inside a subquery
create table n as select (with x as (select max(rate) as r from bronze.rates) select r from x) as top, id from gold.top;
--> n <- gold.top bronze.rates
-->     top <- bronze.rates.rate
-->     id <- gold.top.id

--- an inner cte hides an outer one of the same name
create table n as
with x as (select id from silver.customers)
select y.id from (with x as (select id from silver.products) select id from x) y;
--> n <- silver.products
-->     id <- silver.products.id

--- a cte over a union of ctes
create table n as
with de as (select id, name from silver.customers where country = 'DE'), odoo as (select id, name from odoo.res_partner),
     everyone as (select * from de union all select * from odoo)
select name, count(*) as c from everyone group by name;
--> n <- silver.customers odoo.res_partner
-->     name <- silver.customers.name odoo.res_partner.name
-->     c <-
-->     (rows) <- silver.customers.country silver.customers.name odoo.res_partner.name

--- a recursive cte that counts and gathers a path
create table n as
with recursive up (id, parent_id, depth, path) as (
    select id, parent_id, 0, array[id] from odoo.res_partner where parent_id is null
    union all
    select p.id, p.parent_id, u.depth + 1, u.path || p.id from odoo.res_partner p join up u on u.id = p.parent_id where u.depth < 10
)
select id, depth, path from up;
--> n <- odoo.res_partner
-->     id <- odoo.res_partner.id
-->     depth <-
-->     path <- odoo.res_partner.id
-->     (rows) <- odoo.res_partner.parent_id odoo.res_partner.id

--- numbers from a recursive cte
create table n as with recursive n10 (i) as (select 1 union all select i + 1 from n10 where i < 10) select i, c.name from n10 join silver.customers c on c.id = i;
--> n <- silver.customers
-->     i <-
-->     name <- silver.customers.name
-->     (rows) <- silver.customers.id

--- two ctes write and a third reads what they returned
with moved as (delete from bronze.events where kind = 'old' returning id, at),
     kept as (insert into gold.top (id, score) select id, 1 from moved returning id)
insert into silver.history (id) select id from kept;
--> bronze.events <- bronze.events
-->     (rows) <- bronze.events.kind
--> gold.top <- bronze.events
-->     id <- bronze.events.id
-->     score <-
--> silver.history <- gold.top
-->     id <- gold.top.id

--- an update inside a cte returns new values
with raised as (update silver.products set price = price * 1.1 where category = 'book' returning id, price)
insert into gold.top (id, score) select id, price from raised;
--> silver.products <- silver.products
-->     price <- silver.products.price
-->     (rows) <- silver.products.category
--> gold.top <- silver.products
-->     id <- silver.products.id
-->     score <- silver.products.price

--- a cte that writes beside a query that reads
with gone as (delete from gold.top where score < 0)
select id, name from silver.customers;
--> gold.top <- gold.top
-->     (rows) <- gold.top.score
--> (query) <- silver.customers
-->     id <- silver.customers.id
-->     name <- silver.customers.name

--- a cte in a view, filtered outside
create view gold.v as with x as (select id, amount, month from silver.orders) select id, amount from x where month = '1';
--> gold.v <- silver.orders
-->     id <- silver.orders.id
-->     amount <- silver.orders.amount
-->     (rows) <- silver.orders.month

--- five ctes, each on the one before
create table n as
with a as (select id, payload, at from bronze.events where kind = 'sale'),
     b as (select id, payload ->> 'sku' as sku, at from a),
     c as (select b.sku, b.at, p.price from b join silver.products p on p.name = b.sku),
     d as (select sku, date_trunc('day', at) as day, sum(price) as revenue from c group by 1, 2),
     e as (select day, revenue, lag(revenue) over (partition by sku order by day) as before from d)
select day, revenue - before as growth from e;
--> n <- bronze.events silver.products
-->     day <- bronze.events.at
-->     growth <- silver.products.price bronze.events.payload bronze.events.at
-->     (rows) <- bronze.events.kind silver.products.name bronze.events.payload bronze.events.at
