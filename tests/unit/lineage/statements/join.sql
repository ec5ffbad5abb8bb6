--- using joins both sides
create table n as select o.id, c.name from bronze.orders o
    join (select id as customer_id, name from bronze.customers) c using (customer_id);
--> n <- bronze.orders bronze.customers
-->     id <- bronze.orders.id
-->     name <- bronze.customers.name
-->     (rows) <- bronze.orders.customer_id bronze.customers.id

--- left join with a filter
create table n as select o.id, c.name from bronze.orders o left join bronze.customers c
    on c.id = o.customer_id where o.amount > 0 and c.country is not null;
--> n <- bronze.orders bronze.customers
-->     id <- bronze.orders.id
-->     name <- bronze.customers.name
-->     (rows) <- bronze.orders.customer_id bronze.customers.id bronze.orders.amount bronze.customers.country

--- self join
create table n as select a.id, b.amount as later from bronze.orders a
    join bronze.orders b on b.customer_id = a.customer_id;
--> n <- bronze.orders
-->     id <- bronze.orders.id
-->     later <- bronze.orders.amount
-->     (rows) <- bronze.orders.customer_id

--- full join with coalesce
create table n as select coalesce(a.id, b.id) id from silver.customers a
    full join bronze.customers b on a.id = b.id;
--> n <- silver.customers bronze.customers
-->     id <- silver.customers.id bronze.customers.id

--- lateral subquery
create materialized view gold.last as select c.name, l.amount from bronze.customers c
    cross join lateral (select amount from bronze.orders o where o.customer_id = c.id
                        order by ordered_at desc limit 1) l;
--> gold.last <- bronze.customers bronze.orders
-->     name <- bronze.customers.name
-->     amount <- bronze.orders.amount
-->     (rows) <- bronze.orders.customer_id bronze.customers.id bronze.orders.ordered_at

--- lateral with two columns of one source
create table n as select c.id, x.first_at, x.total from bronze.customers c left join lateral
    (select min(ordered_at) as first_at, sum(amount) as total from bronze.orders o
     where o.customer_id = c.id) x on true;
--> n <- bronze.customers bronze.orders
-->     id <- bronze.customers.id
-->     first_at <- bronze.orders.ordered_at
-->     total <- bronze.orders.amount

--- unnest
create table n as select o.id, i.item from bronze.orders o cross join unnest(o.items) as i(item);
--> n <- bronze.orders
-->     id <- bronze.orders.id
-->     item <- bronze.orders.items

--- generated rows have no source
create table n as select d::date as day from generate_series(1, 10) as g(d);
--> n <-
-->     day <-

--- star over one table
create table n as select * from silver.customers;
--> n <- silver.customers
-->     id <- silver.customers.id
-->     name <- silver.customers.name
-->     country <- silver.customers.country

--- star of one side
create table n as select c.*, o.amount from silver.customers c join bronze.orders o on o.customer_id = c.id;
--> n <- silver.customers bronze.orders
-->     id <- silver.customers.id
-->     name <- silver.customers.name
-->     country <- silver.customers.country
-->     amount <- bronze.orders.amount

--- tables named in FROM with commas
create table n as select o.id, c.name from bronze.orders o, bronze.customers c where o.customer_id = c.id;
--> n <- bronze.orders bronze.customers
-->     id <- bronze.orders.id
-->     name <- bronze.customers.name
-->     (rows) <- bronze.orders.customer_id bronze.customers.id

--- natural join
create table n as select o.amount, r.rate from bronze.orders o natural join bronze.rates r;
--> n <- bronze.orders bronze.rates
-->     amount <- bronze.orders.amount
-->     rate <- bronze.rates.rate
-->     (rows) <- bronze.orders.currency bronze.rates.currency

--- the merged column of a join by using
create table n as select currency, amount * rate as eur from bronze.orders join bronze.rates using (currency);
--> n <- bronze.orders bronze.rates
-->     currency <- bronze.orders.currency
-->     eur <- bronze.orders.amount bronze.rates.rate
-->     (rows) <- bronze.orders.currency bronze.rates.currency

--- the merged column of a full join by using is either side's
create table n as select id, a.name as one, b.email as two from silver.customers a full join odoo.res_partner b using (id);
--> n <- silver.customers odoo.res_partner
-->     id <- silver.customers.id odoo.res_partner.id
-->     one <- silver.customers.name
-->     two <- odoo.res_partner.email
-->     (rows) <- silver.customers.id odoo.res_partner.id

--- four tables in a row
create table n as
select m.name as invoice, p.name as partner, c.code, parent.email
from odoo.account_move m
join odoo.res_partner p on p.id = m.partner_id
left join odoo.res_partner parent on parent.id = p.parent_id
left join odoo.res_country c on c.id = p.country_id
where m.state = 'posted';
--> n <- odoo.account_move odoo.res_partner odoo.res_country
-->     invoice <- odoo.account_move.name
-->     partner <- odoo.res_partner.name
-->     code <- odoo.res_country.code
-->     email <- odoo.res_partner.email
-->     (rows) <- odoo.res_partner.id odoo.account_move.partner_id odoo.res_partner.parent_id odoo.res_country.id odoo.res_partner.country_id odoo.account_move.state

--- unqualified columns of joined tables that have different ones
create table n as select quantity, category, invoice_date from silver.order_items i join silver.products p on p.id = i.product_id cross join odoo.account_move;
--> n <- silver.order_items silver.products odoo.account_move
-->     quantity <- silver.order_items.quantity
-->     category <- silver.products.category
-->     invoice_date <- odoo.account_move.invoice_date

--- joins in parentheses
create table n as
select c.name, i.quantity from silver.customers c left join (silver.orders o join silver.order_items i on i.order_id = o.id) on o.customer_id = c.id;
--> n <- silver.customers silver.orders silver.order_items
-->     name <- silver.customers.name
-->     quantity <- silver.order_items.quantity
-->     (rows) <- silver.order_items.order_id silver.orders.id silver.orders.customer_id silver.customers.id

--- a join by a range
create table n as select e.id, h.name from bronze.events e join silver.history h on h.id = e.session_id and e.at >= h.valid_from and e.at < h.valid_to;
--> n <- bronze.events silver.history
-->     id <- bronze.events.id
-->     name <- silver.history.name
-->     (rows) <- silver.history.id bronze.events.session_id bronze.events.at silver.history.valid_from silver.history.valid_to

--- lateral over a set-returning function of a column
create table n as select e.id, x.key, x.value from bronze.events e cross join lateral jsonb_each_text(e.payload) as x (key, value);
--> n <- bronze.events
-->     id <- bronze.events.id
-->     key <- bronze.events.payload
-->     value <- bronze.events.payload

--- a function in FROM sees the tables before it without the word lateral
create table n as select e.id, x as item from bronze.events e, jsonb_array_elements(e.payload -> 'items') as x;
--> n <- bronze.events
-->     id <- bronze.events.id
-->     item <- bronze.events.payload

--- unnest with a number
create table n as select o.id, u.item, u.place from bronze.orders o cross join unnest(o.items) with ordinality as u (item, place);
--> n <- bronze.orders
-->     id <- bronze.orders.id
-->     item <- bronze.orders.items
-->     place <-

--- two laterals, the second sees the first
create table n as
select c.id, latest.amount, rated.rate
from silver.customers c
cross join lateral (select o.amount, o.currency from bronze.orders o where o.customer_id = c.id order by o.ordered_at desc limit 1) latest
left join lateral (select r.rate from bronze.rates r where r.currency = latest.currency limit 1) rated on true;
--> n <- silver.customers bronze.orders bronze.rates
-->     id <- silver.customers.id
-->     amount <- bronze.orders.amount
-->     rate <- bronze.rates.rate
-->     (rows) <- bronze.orders.customer_id silver.customers.id bronze.orders.ordered_at bronze.rates.currency bronze.orders.currency

--- a lateral that joins inside
create table n as
select c.name, x.total from silver.customers c
cross join lateral (select sum(i.price * i.quantity) as total from silver.orders o join silver.order_items i on i.order_id = o.id where o.customer_id = c.id) x;
--> n <- silver.customers silver.orders silver.order_items
-->     name <- silver.customers.name
-->     total <- silver.order_items.price silver.order_items.quantity
-->     (rows) <- silver.order_items.order_id silver.orders.id silver.orders.customer_id silver.customers.id

--- a lateral computes, without a table
create table n as select o.id, x.gross from silver.orders o cross join lateral (select o.amount * 1.19 as gross) x;
--> n <- silver.orders
-->     id <- silver.orders.id
-->     gross <- silver.orders.amount

--- rows written out, by column of the outer table
create table n as select o.id, v.label, v.value from silver.orders o cross join lateral (values ('amount', o.amount), ('month', o.month)) as v (label, value);
--> n <- silver.orders
-->     id <- silver.orders.id
-->     label <-
-->     value <- silver.orders.amount silver.orders.month

--- the star of one table of a join
create table n as select c.*, t.score from silver.customers c join gold.top t on t.id = c.id;
--> n <- silver.customers gold.top
-->     id <- silver.customers.id
-->     name <- silver.customers.name
-->     country <- silver.customers.country
-->     score <- gold.top.score
-->     (rows) <- gold.top.id silver.customers.id

--- a star over a join by using has the column once
create table n as select * from gold.top join silver.customers using (id);
--> n <- gold.top silver.customers
-->     id <- gold.top.id
-->     score <- gold.top.score
-->     name <- silver.customers.name
-->     country <- silver.customers.country
-->     (rows) <- gold.top.id silver.customers.id

--- a star over a subquery
create table n as select * from (select p.*, p.price * 1.19 as gross from silver.products p) x;
--> n <- silver.products
-->     id <- silver.products.id
-->     name <- silver.products.name
-->     category <- silver.products.category
-->     price <- silver.products.price
-->     gross <- silver.products.price

--- tablesample and only
create table n as select id, kind from only bronze.events tablesample system (10);
--> n <- bronze.events
-->     id <- bronze.events.id
-->     kind <- bronze.events.kind
