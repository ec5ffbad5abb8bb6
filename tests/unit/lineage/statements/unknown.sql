--- a star over a table that is not known  [low]
create table n as select * from far.away;
--> n <- far.away

--- a column of two unknown tables is not guessed  [low]
create table n as select a.x, y from far.a a join far.b b on a.id = b.id;
--> n <- far.a far.b
-->     x <- far.a.x
-->     y <-

--- a function that may read anything  [low]
create table n as select * from secret_report(1) as r(x);
--> n <-
-->     x <-

--- a call  [low]
call refresh_everything();
--> (query) <-

--- nonsense  [low]
selec * form where;
--> (query) <-

--- a join of two stars of which one is not known  [low]
create table n as select c.*, x.* from silver.customers c join far.away x on x.id = c.id;
--> n <- silver.customers far.away

--- dynamic SQL  [low]
execute prepared_load (1, 2);
--> (query) <-

--- a block of code  [low]
do $$ begin insert into gold.top (id) select id from silver.customers; end $$;
--> (query) <-

--- one side is known, so the rest is the other's
create table n as select c.name, x.amount from silver.customers c join far.away x on x.id = c.id;
--> n <- silver.customers far.away
-->     name <- silver.customers.name
-->     amount <- far.away.amount

--- copy from a file  [low]
copy bronze.orders (id, amount) from '/data/orders.csv';
--> bronze.orders <- file:/data/orders.csv
-->     id <-
-->     amount <-

--- a function in FROM beside a table  [low]
create table n as select c.name, r.score from silver.customers c cross join lateral ops.rate(c.id) as r (score);
--> n <- silver.customers
-->     name <- silver.customers.name
-->     score <- silver.customers.id

--- a select that calls a function without a table may do anything  [low]
select ops.reload_everything();
--> (query) <-
-->     reload_everything <-
