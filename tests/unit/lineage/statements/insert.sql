--- insert with a column list
insert into silver.orders (id, amount) select id, amount from bronze.orders;
--> silver.orders <- bronze.orders
-->     id <- bronze.orders.id
-->     amount <- bronze.orders.amount
-->     (rows) <-

--- insert without a column list takes the target's order
insert into silver.customers select id, upper(name), country from bronze.customers;
--> silver.customers <- bronze.customers
-->     id <- bronze.customers.id
-->     name <- bronze.customers.name
-->     country <- bronze.customers.country
-->     (rows) <-

--- insert with reordered columns maps by position
insert into silver.customers (country, id) select country, id from bronze.customers;
--> silver.customers <- bronze.customers
-->     country <- bronze.customers.country
-->     id <- bronze.customers.id

--- insert into a table that is not known keeps the names of the outputs
insert into elsewhere.t select id as key, name from bronze.customers;
--> elsewhere.t <- bronze.customers
-->     key <- bronze.customers.id
-->     name <- bronze.customers.name

--- insert of literals has no sources
insert into gold.top (id, score) values (1, 2), (3, 4);
--> gold.top <-
-->     id <-
-->     score <-
-->     (rows) <-

--- insert of values with a subquery reads its table
insert into gold.top (id, score) values ((select max(id) from bronze.orders), 1);
--> gold.top <- bronze.orders
-->     id <- bronze.orders.id
-->     score <-

--- two outputs of one name are told apart by position
insert into gold.top (id, score) select o.id, c.id from bronze.orders o, bronze.customers c;
--> gold.top <- bronze.orders bronze.customers
-->     id <- bronze.orders.id
-->     score <- bronze.customers.id

--- insert default values
insert into gold.top default values;
--> gold.top <-

--- insert of a whole table  [low]
insert into silver.customers table silver.customers_old;
--> silver.customers <- silver.customers_old

--- insert with an alias for the target
insert into gold.top as g (id, score) select p.id, p.price from silver.products as p where p.category = 'book';
--> gold.top <- silver.products
-->     id <- silver.products.id
-->     score <- silver.products.price
-->     (rows) <- silver.products.category

--- insert with fewer values than the table has columns takes the first ones
insert into silver.orders select id, customer_id from bronze.orders;
--> silver.orders <- bronze.orders
-->     id <- bronze.orders.id
-->     customer_id <- bronze.orders.customer_id
-->     (rows) <-

--- insert of a star goes by the target's order
insert into silver.customers select * from (select id, name, country from bronze.customers) c;
--> silver.customers <- bronze.customers
-->     id <- bronze.customers.id
-->     name <- bronze.customers.name
-->     country <- bronze.customers.country

--- insert returning writes only what it writes
insert into silver.customers (id, name) select id, name from odoo.res_partner returning id, upper(name);
--> silver.customers <- odoo.res_partner
-->     id <- odoo.res_partner.id
-->     name <- odoo.res_partner.name
-->     (rows) <-

--- insert with a query in parentheses
insert into gold.top (id, score) (select id, price from silver.products);
--> gold.top <- silver.products
-->     id <- silver.products.id
-->     score <- silver.products.price

--- insert overriding an identity
insert into gold.top (id, score) overriding system value select id, quantity from silver.order_items;
--> gold.top <- silver.order_items
-->     id <- silver.order_items.id
-->     score <- silver.order_items.quantity

--- insert with a default among the values
insert into gold.top (id, score) values (default, (select sum(amount) from silver.orders where month = '1'));
--> gold.top <- silver.orders
-->     id <-
-->     score <- silver.orders.amount
-->     (rows) <- silver.orders.month

--- several rows of values, one of them from a table
insert into gold.top (id, score) values (1, 2), ((select min(id) from silver.products), (select max(price) from silver.products));
--> gold.top <- silver.products
-->     id <- silver.products.id
-->     score <- silver.products.price

--- insert into a table from itself
insert into silver.orders (id, customer_id, amount, month) select id, customer_id, -amount, month from silver.orders where amount > 0;
--> silver.orders <- silver.orders
-->     id <- silver.orders.id
-->     customer_id <- silver.orders.customer_id
-->     amount <- silver.orders.amount
-->     month <- silver.orders.month
-->     (rows) <- silver.orders.amount

--- insert from rows that are written out
insert into gold.top (id, score) select v.k, p.price from (values (1, 'a'), (2, 'b')) as v (k, label) join silver.products p on p.name = v.label;
--> gold.top <- silver.products
-->     id <-
-->     score <- silver.products.price
-->     (rows) <- silver.products.name

--- copy out of a query
copy (select id, name from silver.customers where country = 'DE') to '/tmp/customers.csv' with (format csv);
--> file:/tmp/customers.csv <- silver.customers
-->     id <- silver.customers.id
-->     name <- silver.customers.name
-->     (rows) <- silver.customers.country
