--- scalar subquery
create table n as select o.id, (select max(rate) from bronze.rates r where r.currency = o.currency) m
    from bronze.orders o;
--> n <- bronze.orders bronze.rates
-->     id <- bronze.orders.id
-->     m <- bronze.rates.rate
-->     (rows) <- bronze.rates.currency bronze.orders.currency

--- exists and in steer
create table n as select name from bronze.customers c where exists
    (select 1 from bronze.orders o where o.customer_id = c.id) and country in (select currency from bronze.rates);
--> n <- bronze.customers bronze.orders bronze.rates
-->     name <- bronze.customers.name
-->     (rows) <- bronze.orders.customer_id bronze.customers.id bronze.customers.country bronze.rates.currency

--- derived tables two deep
create table n as select x.k from (select y.k from (select id as k from bronze.orders) y) x;
--> n <- bronze.orders
-->     k <- bronze.orders.id

--- a scalar subquery that is not correlated
create table n as select id, price - (select avg(price) from silver.products) as above from silver.products;
--> n <- silver.products
-->     id <- silver.products.id
-->     above <- silver.products.price
-->     (rows) <-

--- not in, with a condition inside
create table n as select name from silver.customers where id not in (select customer_id from silver.orders where month = '1');
--> n <- silver.customers silver.orders
-->     name <- silver.customers.name
-->     (rows) <- silver.customers.id silver.orders.customer_id silver.orders.month

--- a comparison with all and with any
create table n as select id from silver.products p where price >= all (select price from silver.order_items) and id = any (select product_id from silver.order_items);
--> n <- silver.products silver.order_items
-->     id <- silver.products.id
-->     (rows) <- silver.products.price silver.order_items.price silver.products.id silver.order_items.product_id

--- an array of a subquery
create table n as select c.id, array(select o.amount from silver.orders o where o.customer_id = c.id order by o.month) as amounts from silver.customers c;
--> n <- silver.customers silver.orders
-->     id <- silver.customers.id
-->     amounts <- silver.orders.amount
-->     (rows) <- silver.orders.customer_id silver.customers.id silver.orders.month

--- exists as a value
create table n as select c.id, exists (select 1 from silver.orders o where o.customer_id = c.id) as is_active from silver.customers c;
--> n <- silver.customers silver.orders
-->     id <- silver.customers.id
-->     is_active <-
-->     (rows) <- silver.orders.customer_id silver.customers.id

--- a subquery in a subquery, correlated over two levels
create table n as
select c.id, (select max(i.price) from silver.order_items i where i.order_id in (select o.id from silver.orders o where o.customer_id = c.id)) as dearest
from silver.customers c;
--> n <- silver.customers silver.orders silver.order_items
-->     id <- silver.customers.id
-->     dearest <- silver.order_items.price
-->     (rows) <- silver.order_items.order_id silver.orders.id silver.orders.customer_id silver.customers.id

--- a subquery in a case
create table n as
select p.id, case when p.price > (select avg(x.price) from silver.products x where x.category = p.category) then 'dear' else p.name end as label from silver.products p;
--> n <- silver.products
-->     id <- silver.products.id
-->     label <- silver.products.price silver.products.name
-->     (rows) <- silver.products.category

--- a subquery in ORDER BY and in HAVING
create table n as
select customer_id, sum(amount) as total from silver.orders group by customer_id
having sum(amount) > (select min(score) from gold.top) order by (select max(rate) from bronze.rates);
--> n <- silver.orders gold.top bronze.rates
-->     customer_id <- silver.orders.customer_id
-->     total <- silver.orders.amount
-->     (rows) <- silver.orders.customer_id silver.orders.amount gold.top.score bronze.rates.rate

--- a derived table with names of its own
create table n as select x.a, x.b from (select id, name from silver.customers) as x (a, b) where x.b <> '';
--> n <- silver.customers
-->     a <- silver.customers.id
-->     b <- silver.customers.name
-->     (rows) <- silver.customers.name

--- three derived tables joined
create table n as
select a.c, b.q from (select customer_id as c, id from silver.orders) a
join (select order_id, sum(quantity) as q from silver.order_items group by order_id) b on b.order_id = a.id
join (select id from silver.customers where country = 'DE') d on d.id = a.c;
--> n <- silver.orders silver.order_items silver.customers
-->     c <- silver.orders.customer_id
-->     q <- silver.order_items.quantity
-->     (rows) <- silver.order_items.order_id silver.orders.id silver.customers.country silver.customers.id silver.orders.customer_id

--- a row compared with a subquery
create table n as select id from silver.order_items where (product_id, price) in (select id, price from silver.products);
--> n <- silver.order_items silver.products
-->     id <- silver.order_items.id
-->     (rows) <- silver.order_items.product_id silver.order_items.price silver.products.id silver.products.price
