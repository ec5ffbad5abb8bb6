--- case: the condition steers, the branches give
create table n as select case when tier = 'gold' then name else country end as label from bronze.customers;
--> n <- bronze.customers
-->     label <- bronze.customers.tier bronze.customers.name bronze.customers.country
-->     (rows) <-

--- simple case
create table n as select case country when 'DE' then 1 else 0 end as german from bronze.customers;
--> n <- bronze.customers
-->     german <- bronze.customers.country

--- coalesce and cast
create table n as select coalesce(name, email)::varchar as who from bronze.customers;
--> n <- bronze.customers
-->     who <- bronze.customers.name bronze.customers.email

--- json path
create table n as select meta ->> 'channel' as channel from bronze.orders;
--> n <- bronze.orders
-->     channel <- bronze.orders.meta

--- arithmetic over two tables
create table n as select o.amount * r.rate as eur from bronze.orders o
    join bronze.rates r on r.currency = o.currency and r.day = o.ordered_at;
--> n <- bronze.orders bronze.rates
-->     eur <- bronze.orders.amount bronze.rates.rate
-->     (rows) <- bronze.orders.currency bronze.rates.currency bronze.rates.day bronze.orders.ordered_at

--- a whole row
create table n as select row_to_json(c) as doc from bronze.customers c;
--> n <- bronze.customers
-->     doc <- bronze.customers.id bronze.customers.name bronze.customers.country bronze.customers.tier bronze.customers.email

--- constants and now()
create table n as select 1 as one, now() as loaded_at, id from bronze.orders;
--> n <- bronze.orders
-->     one <-
-->     loaded_at <-
-->     id <- bronze.orders.id

--- greatest, least and nullif
create table n as select greatest(price, 0) as a, least(price, id) as b, nullif(name, category) as c from silver.products;
--> n <- silver.products
-->     a <- silver.products.price
-->     b <- silver.products.price silver.products.id
-->     c <- silver.products.name silver.products.category

--- text put together
create table n as select name || ' <' || email || '>' as address, concat_ws('/', id, tier) as code from bronze.customers;
--> n <- bronze.customers
-->     address <- bronze.customers.name bronze.customers.email
-->     code <- bronze.customers.id bronze.customers.tier

--- extract and interval arithmetic
create table n as select extract(year from invoice_date) as year, invoice_date + interval '30 days' as due from odoo.account_move;
--> n <- odoo.account_move
-->     year <- odoo.account_move.invoice_date
-->     due <- odoo.account_move.invoice_date

--- an array and one of its elements
create table n as select array[name, email] as both_, (array[name, email])[1] as one from odoo.res_partner;
--> n <- odoo.res_partner
-->     both_ <- odoo.res_partner.name odoo.res_partner.email
-->     one <- odoo.res_partner.name odoo.res_partner.email

--- a row built of columns
create table n as select row(id, name) as r, jsonb_build_object('id', id, 'to', email) as doc from odoo.res_partner;
--> n <- odoo.res_partner
-->     r <- odoo.res_partner.id odoo.res_partner.name
-->     doc <- odoo.res_partner.id odoo.res_partner.email

--- deep json paths
create table n as select payload #>> '{user,name}' as who, (payload -> 'items' -> 0 ->> 'price')::numeric as price from bronze.events;
--> n <- bronze.events
-->     who <- bronze.events.payload
-->     price <- bronze.events.payload

--- nested cases
create table n as
select case when price > 100 then case category when 'book' then name else 'dear' end when quantity is null then 'none' end as label
from silver.products left join (select product_id, quantity from silver.order_items) i on i.product_id = silver.products.id;
--> n <- silver.products silver.order_items
-->     label <- silver.products.price silver.products.category silver.products.name silver.order_items.quantity
-->     (rows) <- silver.order_items.product_id silver.products.id

--- comparisons as values
create table n as select id, amount > 100 as is_big, currency in ('EUR', 'CHF') as is_near, meta is null as bare, currency like 'U%' as is_u from bronze.orders;
--> n <- bronze.orders
-->     id <- bronze.orders.id
-->     is_big <- bronze.orders.amount
-->     is_near <- bronze.orders.currency
-->     bare <- bronze.orders.meta
-->     is_u <- bronze.orders.currency

--- between columns
create table n as select bronze.events.id, at between valid_from and valid_to as inside from bronze.events, silver.history where bronze.events.session_id = silver.history.id;
--> n <- bronze.events silver.history
-->     id <- bronze.events.id
-->     inside <- bronze.events.at silver.history.valid_from silver.history.valid_to
-->     (rows) <- bronze.events.session_id silver.history.id

--- a cast in the standard's words, and a collation
create table n as select cast(amount as numeric(10, 2)) as amount, currency collate "C" as currency from bronze.orders;
--> n <- bronze.orders
-->     amount <- bronze.orders.amount
-->     currency <- bronze.orders.currency

--- a time zone
create table n as select at at time zone 'UTC' as utc from bronze.events;
--> n <- bronze.events
-->     utc <- bronze.events.at

--- functions of one's own keep what goes into them
create table n as select id, ops.score_of(amount, currency) as score from bronze.orders;
--> n <- bronze.orders
-->     id <- bronze.orders.id
-->     score <- bronze.orders.amount bronze.orders.currency

--- regular expressions
create table n as select (regexp_match(email, '@(.*)$'))[1] as host, substring(name from 1 for 3) as short, name ~ '^A' as is_a from bronze.customers;
--> n <- bronze.customers
-->     host <- bronze.customers.email
-->     short <- bronze.customers.name
-->     is_a <- bronze.customers.name
