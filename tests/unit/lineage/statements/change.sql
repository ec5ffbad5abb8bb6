--- update in place
update silver.orders set amount = amount * 1.19 where month = '1';
--> silver.orders <- silver.orders
-->     amount <- silver.orders.amount
-->     (rows) <- silver.orders.month

--- update from a table
update silver.orders o set amount = r.rate from bronze.rates r where r.day = o.month;
--> silver.orders <- silver.orders bronze.rates
-->     amount <- bronze.rates.rate
-->     (rows) <- bronze.rates.day silver.orders.month

--- update from a subquery
update silver.customers c set name = x.n from (select id, upper(name) as n from bronze.customers) x
    where x.id = c.id;
--> silver.customers <- silver.customers bronze.customers
-->     name <- bronze.customers.name
-->     (rows) <- bronze.customers.id silver.customers.id

--- update of several columns at once
update silver.customers set (name, country) = (select name, country from bronze.customers limit 1);
--> silver.customers <- silver.customers bronze.customers
-->     name <- bronze.customers.name
-->     country <- bronze.customers.country

--- update with a cte
with r as (select day, rate from bronze.rates) update silver.orders o set amount = r.rate from r
    where r.day = o.month;
--> silver.orders <- silver.orders bronze.rates
-->     amount <- bronze.rates.rate

--- delete is an edge to itself without columns
delete from silver.orders where amount < 0;
--> silver.orders <- silver.orders
-->     (rows) <- silver.orders.amount

--- delete using
delete from silver.orders o using bronze.customers c where c.id = o.customer_id and c.tier = 'x';
--> silver.orders <- silver.orders bronze.customers
-->     (rows) <- bronze.customers.id silver.orders.customer_id bronze.customers.tier

--- truncate
truncate silver.orders;
--> silver.orders <-

--- merge
merge into silver.customers t using bronze.customers s on s.id = t.id
    when matched and s.tier <> 'x' then update set name = coalesce(s.name, t.name)
    when not matched then insert (id, name) values (s.id, s.email);
--> silver.customers <- silver.customers bronze.customers
-->     name <- bronze.customers.name silver.customers.name bronze.customers.email
-->     id <- bronze.customers.id
-->     (rows) <- bronze.customers.id silver.customers.id bronze.customers.tier

--- merge from a query
merge into gold.top t using (select customer_id, sum(amount) s from bronze.orders group by 1) o
    on o.customer_id = t.id when matched then update set score = o.s
    when not matched then insert (id, score) values (o.customer_id, o.s);
--> gold.top <- gold.top bronze.orders
-->     id <- bronze.orders.customer_id
-->     score <- bronze.orders.amount

--- upsert: inserted, then resting on excluded and on the old row
insert into gold.top (id, score) select id, amount from bronze.orders
    on conflict (id) do update set score = gold.top.score + excluded.score;
--> gold.top <- bronze.orders
-->     id <- bronze.orders.id
-->     score <- bronze.orders.amount
--> gold.top <- bronze.orders gold.top
-->     score <- bronze.orders.amount gold.top.score

--- on conflict do nothing
insert into gold.top (id) select id from bronze.orders on conflict do nothing;
--> gold.top <- bronze.orders
-->     id <- bronze.orders.id

--- a data-modifying cte moves rows
with gone as (delete from bronze.orders where amount < 0 returning id, amount)
    insert into gold.top (id, score) select id, amount from gone;
--> bronze.orders <- bronze.orders
-->     (rows) <- bronze.orders.amount
--> gold.top <- bronze.orders
-->     id <- bronze.orders.id
-->     score <- bronze.orders.amount

--- update with a join inside FROM
update silver.order_items i set price = p.price from silver.orders o join silver.products p on p.category = o.month where o.id = i.order_id and p.id = i.product_id;
--> silver.order_items <- silver.order_items silver.orders silver.products
-->     price <- silver.products.price
-->     (rows) <- silver.products.category silver.orders.month silver.orders.id silver.order_items.order_id silver.products.id silver.order_items.product_id

--- update from two tables with a comma
update gold.customer_stats s set total = o.amount, segment = c.country from silver.orders o, silver.customers c where o.customer_id = s.customer_id and c.id = s.customer_id;
--> gold.customer_stats <- gold.customer_stats silver.orders silver.customers
-->     total <- silver.orders.amount
-->     segment <- silver.customers.country
-->     (rows) <- silver.orders.customer_id gold.customer_stats.customer_id silver.customers.id

--- update by correlated subqueries
update gold.customer_stats s set orders = (select count(*) from silver.orders o where o.customer_id = s.customer_id), total = (select sum(o.amount) from silver.orders o where o.customer_id = s.customer_id);
--> gold.customer_stats <- gold.customer_stats silver.orders
-->     orders <-
-->     total <- silver.orders.amount
-->     (rows) <- silver.orders.customer_id gold.customer_stats.customer_id

--- update of a row from a row
update silver.customers set (name, country) = (upper(name), 'DE') where id = 1;
--> silver.customers <- silver.customers
-->     name <- silver.customers.name
-->     country <-
-->     (rows) <- silver.customers.id

--- update to default and to null
update silver.orders set amount = default, month = null where id in (select id from gold.top);
--> silver.orders <- silver.orders gold.top
-->     amount <-
-->     month <-
-->     (rows) <- silver.orders.id gold.top.id

--- update returning
update silver.products set price = price + 1 returning id, price;
--> silver.products <- silver.products
-->     price <- silver.products.price

--- update with a case
update gold.customer_stats set segment = case when total > 1000 then 'gold' when orders > 10 then 'silver' else segment end;
--> gold.customer_stats <- gold.customer_stats
-->     segment <- gold.customer_stats.total gold.customer_stats.orders gold.customer_stats.segment

--- update of an element of an array, from a table
update bronze.orders o set items[1] = p.name from silver.products p where p.id = o.id;
--> bronze.orders <- bronze.orders silver.products
-->     items <- silver.products.name
-->     (rows) <- silver.products.id bronze.orders.id

--- closing the old version of a row (SCD 2)
update silver.history h set valid_to = now(), is_current = false from bronze.customers c where c.id = h.id and h.is_current and c.name <> h.name;
--> silver.history <- silver.history bronze.customers
-->     valid_to <-
-->     is_current <-
-->     (rows) <- bronze.customers.id silver.history.id silver.history.is_current bronze.customers.name silver.history.name

--- delete with a subquery
delete from gold.top where id not in (select id from silver.products where price > 0);
--> gold.top <- gold.top silver.products
-->     (rows) <- gold.top.id silver.products.id silver.products.price

--- delete using two tables
delete from silver.order_items i using silver.orders o, silver.customers c where o.id = i.order_id and c.id = o.customer_id and c.country = 'XX';
--> silver.order_items <- silver.order_items silver.orders silver.customers
-->     (rows) <- silver.orders.id silver.order_items.order_id silver.customers.id silver.orders.customer_id silver.customers.country

--- delete with a cte, returning
with old as (select id from bronze.events where at < now() - interval '1 year') delete from bronze.events e using old where old.id = e.id returning e.id;
--> bronze.events <- bronze.events
-->     (rows) <- bronze.events.at bronze.events.id

--- truncate of several tables
truncate gold.top, gold.revenue;
--> gold.top <-
--> gold.revenue <-

--- merge with delete and do nothing
merge into gold.top t using silver.products p on p.id = t.id
when matched and p.price = 0 then delete
when matched then update set score = p.price
when not matched and p.category = 'x' then do nothing
when not matched then insert (id, score) values (p.id, p.price);
--> gold.top <- gold.top silver.products
-->     score <- silver.products.price
-->     id <- silver.products.id
-->     (rows) <- silver.products.id gold.top.id silver.products.price silver.products.category

--- merge of a join, with an expression over both sides
merge into gold.customer_stats s
using (select o.customer_id, count(*) as n, sum(o.amount) as total from silver.orders o join silver.customers c on c.id = o.customer_id group by o.customer_id) x
on x.customer_id = s.customer_id
when matched then update set orders = s.orders + x.n, total = s.total + x.total
when not matched then insert (customer_id, orders, total) values (x.customer_id, x.n, x.total);
--> gold.customer_stats <- gold.customer_stats silver.orders silver.customers
-->     orders <- gold.customer_stats.orders
-->     total <- gold.customer_stats.total silver.orders.amount
-->     customer_id <- silver.orders.customer_id
-->     (rows) <- silver.customers.id silver.orders.customer_id gold.customer_stats.customer_id

--- merge with a cte in front
with fresh as (select id, name, country from bronze.customers where tier = 'a')
merge into silver.customers t using fresh f on f.id = t.id
when matched then update set name = f.name when not matched then insert values (f.id, f.name, f.country);
--> silver.customers <- silver.customers bronze.customers
-->     id <- bronze.customers.id
-->     name <- bronze.customers.name
-->     country <- bronze.customers.country
-->     (rows) <- bronze.customers.tier bronze.customers.id silver.customers.id

--- merge when the source no longer has it
merge into gold.top t using silver.products p on p.id = t.id
when not matched by source then delete when matched then update set score = p.price;
--> gold.top <- gold.top silver.products
-->     score <- silver.products.price
-->     (rows) <- silver.products.id gold.top.id

--- upsert with a condition
insert into gold.customer_stats (customer_id, total) select customer_id, sum(amount) from silver.orders group by customer_id
on conflict (customer_id) do update set total = excluded.total, segment = gold.customer_stats.segment where gold.customer_stats.total <> excluded.total;
--> gold.customer_stats <- silver.orders
-->     customer_id <- silver.orders.customer_id
-->     total <- silver.orders.amount
-->     (rows) <- silver.orders.customer_id
--> gold.customer_stats <- gold.customer_stats silver.orders
-->     total <- silver.orders.amount
-->     segment <- gold.customer_stats.segment
-->     (rows) <- gold.customer_stats.total silver.orders.amount silver.orders.customer_id

--- upsert of values rests on nothing but the old row
insert into gold.top (id, score) values (1, 2) on conflict (id) do update set score = gold.top.score + excluded.score;
--> gold.top <-
-->     id <-
-->     score <-
--> gold.top <- gold.top
-->     score <- gold.top.score

--- upsert with an alias and a named constraint
insert into silver.customers as t (id, name) select id, name from odoo.res_partner on conflict on constraint customers_pkey do update set name = coalesce(excluded.name, t.name);
--> silver.customers <- odoo.res_partner
-->     id <- odoo.res_partner.id
-->     name <- odoo.res_partner.name
--> silver.customers <- silver.customers odoo.res_partner
-->     name <- odoo.res_partner.name silver.customers.name
