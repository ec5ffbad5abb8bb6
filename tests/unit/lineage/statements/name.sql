--- quoted names keep their case
create table "Gold"."Big" as select "Id" as "K" from "Bronze"."Orders";
--> Gold.Big <- Bronze.Orders
-->     K <- Bronze.Orders.Id

--- unquoted names fold to lower case
CREATE TABLE Silver.X AS SELECT ID FROM BRONZE.ORDERS;
--> silver.x <- bronze.orders
-->     id <- bronze.orders.id

--- bare names go into the default schema  [default=public]
create table n as select id from orders;
--> public.n <- public.orders
-->     id <- public.orders.id

--- columns qualified by schema and table
create table n as select bronze.orders.id from bronze.orders;
--> n <- bronze.orders
-->     id <- bronze.orders.id

--- names with dots, blanks and quotes inside
create table "my schema"."a ""quoted"" name" as select "First Name" as "Name" from "Odd.Schema"."T able";
--> my schema.a "quoted" name <- Odd.Schema.T\ able
-->     Name <- Odd.Schema.T\ able.First\ Name

--- names in other scripts
create table silver.größe as select id as größe, name as "名前" from silver.customers;
--> silver.größe <- silver.customers
-->     größe <- silver.customers.id
-->     名前 <- silver.customers.name

--- an alias of the name of another table
create table n as select customers.amount from silver.orders as customers;
--> n <- silver.orders
-->     amount <- silver.orders.amount

--- an alias of the name of a column
create table n as select name.name from silver.customers as name;
--> n <- silver.customers
-->     name <- silver.customers.name

--- database, schema and table
create table n as select id from warehouse.silver.customers;
--> n <- warehouse.silver.customers
-->     id <- warehouse.silver.customers.id

--- a keyword as a name
create table n as select "order"."select" as "from" from silver."order";
--> n <- silver.order
-->     from <- silver.order.select

--- a column of the name of a function, and a table of the name of a type
create table n as select "count", date from silver.text as t;
--> n <- silver.text
-->     count <- silver.text.count
-->     date <- silver.text.date

--- system columns
create table n as select ctid as place, tableoid as kind, id from silver.customers;
--> n <- silver.customers
-->     place <- silver.customers.ctid
-->     kind <- silver.customers.tableoid
-->     id <- silver.customers.id
