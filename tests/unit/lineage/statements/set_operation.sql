--- union maps by position
create table n as select id as k, name from bronze.customers union select customer_id, currency from bronze.orders;
--> n <- bronze.customers bronze.orders
-->     k <- bronze.customers.id bronze.orders.customer_id
-->     name <- bronze.customers.name bronze.orders.currency

--- three branches
create table n as select id from bronze.orders union all select id from bronze.customers
    union all select currency from bronze.rates;
--> n <- bronze.orders bronze.customers bronze.rates
-->     id <- bronze.orders.id bronze.customers.id bronze.rates.currency

--- except: the right side only steers
create table n as select id from bronze.customers except select customer_id from bronze.orders;
--> n <- bronze.customers bronze.orders
-->     id <- bronze.customers.id
-->     (rows) <- bronze.orders.customer_id

--- intersect: the right side only steers
create table n as select id from bronze.customers intersect select customer_id from bronze.orders;
--> n <- bronze.customers bronze.orders
-->     id <- bronze.customers.id
-->     (rows) <- bronze.orders.customer_id

--- union of a star and a list
create table n as select * from gold.top union all select id, price from silver.products;
--> n <- gold.top silver.products
-->     id <- gold.top.id silver.products.id
-->     score <- gold.top.score silver.products.price
-->     (rows) <-

--- union, ordered by a column of the result
create table n as (select id, name from silver.customers) union (select id, name from odoo.res_partner) order by name limit 10;
--> n <- silver.customers odoo.res_partner
-->     id <- silver.customers.id odoo.res_partner.id
-->     name <- silver.customers.name odoo.res_partner.name
-->     (rows) <- silver.customers.name odoo.res_partner.name

--- a constant says which branch a row came from
create table n as select 'shop' as origin, id from silver.customers union all select 'odoo', id from odoo.res_partner;
--> n <- silver.customers odoo.res_partner
-->     origin <-
-->     id <- silver.customers.id odoo.res_partner.id
-->     (rows) <-

--- union in parentheses, then except
create table n as (select id from silver.customers union select id from odoo.res_partner) except select customer_id from silver.orders;
--> n <- silver.customers odoo.res_partner silver.orders
-->     id <- silver.customers.id odoo.res_partner.id
-->     (rows) <- silver.orders.customer_id

--- intersect binds tighter than union
create table n as select id from gold.top union select id from silver.customers intersect select partner_id from odoo.account_move;
--> n <- gold.top silver.customers odoo.account_move
-->     id <- gold.top.id silver.customers.id
-->     (rows) <- odoo.account_move.partner_id

--- an insert from a union with a join in one branch
insert into gold.top (id, score)
select i.product_id, i.quantity from silver.order_items i join silver.orders o on o.id = i.order_id where o.month = '1'
union all
select id, price from silver.products;
--> gold.top <- silver.order_items silver.orders silver.products
-->     id <- silver.order_items.product_id silver.products.id
-->     score <- silver.order_items.quantity silver.products.price
-->     (rows) <- silver.orders.id silver.order_items.order_id silver.orders.month

--- a union inside a derived table, grouped outside
create table n as
select k, sum(v) as v from (select id as k, amount as v from silver.orders union all select id, price from silver.products) u group by k;
--> n <- silver.orders silver.products
-->     k <- silver.orders.id silver.products.id
-->     v <- silver.orders.amount silver.products.price
-->     (rows) <- silver.orders.id silver.products.id

--- values beside a query
create table n as select id, name from silver.customers union all values (0, 'nobody');
--> n <- silver.customers
-->     id <- silver.customers.id
-->     name <- silver.customers.name

--- except all, and a filter on the right side
create table n as select id from gold.top except all select id from silver.products where price > 10;
--> n <- gold.top silver.products
-->     id <- gold.top.id
-->     (rows) <- silver.products.id silver.products.price
