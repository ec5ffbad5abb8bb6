--- view with column names
create view gold.v (a, b) as select id, name from bronze.customers;
--> gold.v <- bronze.customers
-->     a <- bronze.customers.id
-->     b <- bronze.customers.name

--- materialized view
create materialized view gold.mv as select country, count(*) n from bronze.customers group by country;
--> gold.mv <- bronze.customers
-->     country <- bronze.customers.country
-->     n <-

--- select into
select id, name into silver.copy from bronze.customers;
--> silver.copy <- bronze.customers
-->     id <- bronze.customers.id
-->     name <- bronze.customers.name

--- a temp table is folded away
create temp table t as select id, amount * 2 as d from bronze.orders where currency = 'EUR';
    insert into gold.top (id, score) select id, sum(d) from t group by id;
    drop table t;
--> gold.top <- bronze.orders
-->     id <- bronze.orders.id
-->     score <- bronze.orders.amount
-->     (rows) <- bronze.orders.id bronze.orders.currency

--- a temp table that is filled twice
create temp table t (id text); insert into t select id from bronze.orders;
    insert into t select id from bronze.customers; insert into gold.top (id) select id from t;
--> gold.top <- bronze.orders bronze.customers
-->     id <- bronze.orders.id bronze.customers.id

--- a temp table that is made anew forgets
create temp table t as select id from bronze.orders; drop table t;
    create temp table t as select id from bronze.customers; insert into gold.top (id) select id from t;
--> gold.top <- bronze.customers
-->     id <- bronze.customers.id

--- a temp table that is renamed and updated
create temp table t as select id, amount from bronze.orders; alter table t rename to u;
    update u set amount = r.rate from bronze.rates r; insert into gold.top (id, score) select id, amount from u;
--> gold.top <- bronze.orders bronze.rates
-->     id <- bronze.orders.id
-->     score <- bronze.orders.amount bronze.rates.rate

--- a chain of temp tables
create temp table a as select id from bronze.orders; create temp table b as select id as k from a;
    create table silver.z as select k from b;
--> silver.z <- bronze.orders
-->     k <- bronze.orders.id

--- a table made in the script is known to what follows
create table silver.made (x text, y text); insert into silver.made select id, name from bronze.customers;
--> silver.made <- bronze.customers
-->     x <- bronze.customers.id
-->     y <- bronze.customers.name

--- renaming hands the table on
alter table silver.customers rename to clients;
--> silver.clients <- silver.customers
-->     id <- silver.customers.id
-->     name <- silver.customers.name
-->     country <- silver.customers.country

--- two writes in one script
create table silver.a as select id from bronze.orders; create table gold.b as select id from silver.a;
--> silver.a <- bronze.orders
-->     id <- bronze.orders.id
--> gold.b <- silver.a
-->     id <- silver.a.id

--- create table if not exists as, with names
create table if not exists silver.c2 (a, b) as select id, name from silver.customers with no data;
--> silver.c2 <- silver.customers
-->     a <- silver.customers.id
-->     b <- silver.customers.name

--- unlogged, with storage parameters
create unlogged table silver.u with (fillfactor = 70) as select id from gold.top;
--> silver.u <- gold.top
-->     id <- gold.top.id

--- create or replace view, with options
create or replace view gold.safe with (security_invoker = on) as select id, country from silver.customers where country is not null;
--> gold.safe <- silver.customers
-->     id <- silver.customers.id
-->     country <- silver.customers.country
-->     (rows) <- silver.customers.country

--- a view over a view
create view silver.v1 as select id, name from bronze.customers; create view gold.v2 as select upper(name) as label from silver.v1;
--> silver.v1 <- bronze.customers
-->     id <- bronze.customers.id
-->     name <- bronze.customers.name
--> gold.v2 <- silver.v1
-->     label <- silver.v1.name

--- a recursive view
create recursive view gold.tree (id, parent_id) as
select id, parent_id from odoo.res_partner where parent_id is null
union all select p.id, p.parent_id from odoo.res_partner p join tree t on t.id = p.parent_id;
--> gold.tree <- odoo.res_partner
-->     id <- odoo.res_partner.id
-->     parent_id <- odoo.res_partner.parent_id

--- a temp table on commit drop
create temporary table t on commit drop as select customer_id, sum(amount) as total from silver.orders group by customer_id;
insert into gold.customer_stats (customer_id, total) select customer_id, total from t;
--> gold.customer_stats <- silver.orders
-->     customer_id <- silver.orders.customer_id
-->     total <- silver.orders.amount
-->     (rows) <- silver.orders.customer_id

--- a temp table in pg_temp
create table pg_temp.t as select id, name from silver.customers; insert into gold.top (id) select id from pg_temp.t;
--> gold.top <- silver.customers
-->     id <- silver.customers.id

--- a temp table that gains a column
create temp table t as select id from silver.products; alter table t add column price numeric;
update t set price = p.price from silver.products p where p.id = t.id; insert into gold.top (id, score) select id, price from t;
--> gold.top <- silver.products
-->     id <- silver.products.id
-->     score <- silver.products.price

--- a temp table that is emptied and filled anew
create temp table t as select id from silver.products; truncate t; insert into t select id from silver.customers; insert into gold.top (id) select id from t;
--> gold.top <- silver.customers
-->     id <- silver.customers.id

--- select into temp
select id, price into temp t from silver.products where price > 0; create table gold.t2 as select id from t;
--> gold.t2 <- silver.products
-->     id <- silver.products.id
-->     (rows) <- silver.products.price

--- a temp view is a hop as well
create temp view tv as select id, amount from silver.orders where month = '1'; insert into gold.top (id, score) select id, amount from tv;
--> gold.top <- silver.orders
-->     id <- silver.orders.id
-->     score <- silver.orders.amount
-->     (rows) <- silver.orders.month

--- staging, swap by rename
create table gold.top_new as select id, price as score from silver.products; drop table gold.top; alter table gold.top_new rename to top;
--> gold.top_new <- silver.products
-->     id <- silver.products.id
-->     score <- silver.products.price
--> gold.top <- gold.top_new
-->     id <- gold.top_new.id
-->     score <- gold.top_new.score

--- a table moves to another schema
create table staging.x as select id from silver.customers; alter table staging.x set schema silver;
--> staging.x <- silver.customers
-->     id <- silver.customers.id
--> silver.x <- staging.x
-->     id <- staging.x.id

--- a column is renamed between two statements
create table silver.y as select id, name from bronze.customers; alter table silver.y rename column name to label; create table gold.z as select label from silver.y;
--> silver.y <- bronze.customers
-->     id <- bronze.customers.id
-->     name <- bronze.customers.name
--> gold.z <- silver.y
-->     label <- silver.y.label

--- create table like, then fill
create table silver.copy_of (like silver.customers including all); insert into silver.copy_of select * from silver.customers;
--> silver.copy_of <- silver.customers
-->     id <- silver.customers.id
-->     name <- silver.customers.name
-->     country <- silver.customers.country

--- a transaction around a load
begin; delete from gold.top; insert into gold.top (id, score) select id, price from silver.products; analyze gold.top; commit;
--> gold.top <- gold.top
--> gold.top <- silver.products
-->     id <- silver.products.id
-->     score <- silver.products.price

--- comments and strings with semicolons
/* first; step */ create table silver.q as select id, ';' as sep from silver.customers; -- done; really
create table gold.q as select id from silver.q;
--> silver.q <- silver.customers
-->     id <- silver.customers.id
-->     sep <-
--> gold.q <- silver.q
-->     id <- silver.q.id

--- three layers in one script
create table silver.clean as select id, lower(email) as email from bronze.customers where email is not null;
create table silver.joined as select c.id, o.amount from silver.clean c join bronze.orders o on o.customer_id = c.id;
create materialized view gold.sum as select id, sum(amount) as total from silver.joined group by id;
--> silver.clean <- bronze.customers
-->     id <- bronze.customers.id
-->     email <- bronze.customers.email
-->     (rows) <- bronze.customers.email
--> silver.joined <- silver.clean bronze.orders
-->     id <- silver.clean.id
-->     amount <- bronze.orders.amount
-->     (rows) <- bronze.orders.customer_id silver.clean.id
--> gold.sum <- silver.joined
-->     id <- silver.joined.id
-->     total <- silver.joined.amount
-->     (rows) <- silver.joined.id
