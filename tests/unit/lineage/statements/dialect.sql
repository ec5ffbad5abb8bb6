--- lateral view of spark  [dialect=spark]
create table n as select id, item from bronze.orders lateral view explode(items) t as item;
--> n <- bronze.orders
-->     id <- bronze.orders.id
-->     item <- bronze.orders.items

--- semi join of spark  [dialect=spark]
create table n as select name from bronze.customers c left semi join bronze.orders o on o.customer_id = c.id;
--> n <- bronze.customers bronze.orders
-->     name <- bronze.customers.name
-->     (rows) <- bronze.orders.customer_id bronze.customers.id

--- insert overwrite of spark  [dialect=spark]
insert overwrite table gold.top select id, amount from bronze.orders;
--> gold.top <- bronze.orders
-->     id <- bronze.orders.id
-->     score <- bronze.orders.amount

--- qualify and alias reuse of duckdb  [dialect=duckdb]
create table n as select id, amount * 2 as d from bronze.orders
    qualify row_number() over (partition by customer_id order by ordered_at) = 1;
--> n <- bronze.orders
-->     id <- bronze.orders.id
-->     d <- bronze.orders.amount
-->     (rows) <- bronze.orders.customer_id bronze.orders.ordered_at

--- union by name of duckdb  [dialect=duckdb]
create table n as select id, name from bronze.customers union all by name select name, id from silver.customers;
--> n <- bronze.customers silver.customers
-->     id <- bronze.customers.id silver.customers.id
-->     name <- bronze.customers.name silver.customers.name

--- lambda of duckdb  [dialect=duckdb]
create table n as select list_transform(items, x -> x || currency) as t from bronze.orders;
--> n <- bronze.orders
-->     t <- bronze.orders.items bronze.orders.currency

--- pivot of duckdb by hand  [dialect=duckdb]
create table n as select customer_id, sum(amount) filter (currency = 'EUR') as eur from bronze.orders group by all;
--> n <- bronze.orders
-->     customer_id <- bronze.orders.customer_id
-->     eur <- bronze.orders.amount bronze.orders.currency

--- star with exclude and replace of duckdb  [dialect=duckdb]
create table n as select * exclude (country) replace (upper(name) as name) from silver.customers;
--> n <- silver.customers
-->     id <- silver.customers.id
-->     name <- silver.customers.name

--- from first of duckdb  [dialect=duckdb]
create table n as from silver.customers select id, name where country = 'DE';
--> n <- silver.customers
-->     id <- silver.customers.id
-->     name <- silver.customers.name
-->     (rows) <- silver.customers.country

--- unnest in the select list of duckdb  [dialect=duckdb]
create table n as select id, unnest(items) as item from bronze.orders;
--> n <- bronze.orders
-->     id <- bronze.orders.id
-->     item <- bronze.orders.items

--- merge with stars of spark  [dialect=spark]
merge into silver.customers t using odoo.res_country s on t.id = s.id when matched then update set * when not matched then insert *;
--> silver.customers <- silver.customers odoo.res_country
-->     id <- odoo.res_country.id
-->     code <- odoo.res_country.code
-->     name <- odoo.res_country.name
-->     (rows) <- silver.customers.id odoo.res_country.id

--- backticks and a struct of spark  [dialect=spark]
create table n as select `id`, struct(name, country).name as nm, get_json_object(meta, '$.a') as a from silver.customers join bronze.orders using (id);
--> n <- silver.customers bronze.orders
-->     id <- silver.customers.id
-->     nm <- silver.customers.name
-->     a <- bronze.orders.meta
-->     (rows) <- silver.customers.id bronze.orders.id

--- anti join of spark  [dialect=spark]
insert into gold.top select p.id, p.price from silver.products p left anti join silver.order_items i on i.product_id = p.id;
--> gold.top <- silver.products silver.order_items
-->     id <- silver.products.id
-->     score <- silver.products.price
-->     (rows) <- silver.order_items.product_id silver.products.id

--- cluster and window of spark  [dialect=spark]
create table n using parquet as select id, sum(amount) over (partition by customer_id order by month) as s from silver.orders;
--> n <- silver.orders
-->     id <- silver.orders.id
-->     s <- silver.orders.amount silver.orders.customer_id silver.orders.month
