--- aggregate with grouping
insert into gold.revenue (month, revenue, customers)
    select month, sum(amount), count(distinct customer_id) from silver.orders group by month;
--> gold.revenue <- silver.orders
-->     month <- silver.orders.month
-->     revenue <- silver.orders.amount
-->     customers <- silver.orders.customer_id
-->     (rows) <- silver.orders.month

--- group by and order by position
insert into gold.revenue (month, revenue)
    select date_trunc('month', ordered_at), sum(amount) from bronze.orders group by 1 order by 2;
--> gold.revenue <- bronze.orders
-->     month <- bronze.orders.ordered_at
-->     revenue <- bronze.orders.amount
-->     (rows) <- bronze.orders.ordered_at bronze.orders.amount

--- count star rests on no column
create table n as select count(*) as n from bronze.orders;
--> n <- bronze.orders
-->     n <-
-->     (rows) <-

--- having steers
create table n as select currency, count(*) c from bronze.orders group by currency having max(amount) > 3;
--> n <- bronze.orders
-->     currency <- bronze.orders.currency
-->     c <-
-->     (rows) <- bronze.orders.currency bronze.orders.amount

--- filter clause
create table n as select sum(amount) filter (where currency = 'EUR') as eur from bronze.orders;
--> n <- bronze.orders
-->     eur <- bronze.orders.amount bronze.orders.currency
-->     (rows) <-

--- ordered aggregate
create table n as select array_agg(id order by ordered_at) as ids from bronze.orders;
--> n <- bronze.orders
-->     ids <- bronze.orders.id bronze.orders.ordered_at
-->     (rows) <-

--- row number rests on its window
create table n as select id, row_number() over (partition by customer_id order by ordered_at desc) rn
    from bronze.orders;
--> n <- bronze.orders
-->     id <- bronze.orders.id
-->     rn <- bronze.orders.customer_id bronze.orders.ordered_at
-->     (rows) <-

--- running sum
create table n as select sum(amount) over (order by ordered_at) total from bronze.orders;
--> n <- bronze.orders
-->     total <- bronze.orders.amount bronze.orders.ordered_at

--- lag hands a value on
create table n as select lag(amount, 1, 0) over (order by id) previous from bronze.orders;
--> n <- bronze.orders
-->     previous <- bronze.orders.amount bronze.orders.id

--- named window
create table n as select rank() over w r from bronze.orders window w as (order by amount);
--> n <- bronze.orders
-->     r <- bronze.orders.amount

--- distinct on
create table n as select distinct on (customer_id) id, amount from bronze.orders
    order by customer_id, ordered_at desc;
--> n <- bronze.orders
-->     id <- bronze.orders.id
-->     amount <- bronze.orders.amount
-->     (rows) <- bronze.orders.customer_id bronze.orders.ordered_at

--- grouping sets
create table n as select country, tier, count(*) c from bronze.customers group by rollup (country, tier);
--> n <- bronze.customers
-->     country <- bronze.customers.country
-->     tier <- bronze.customers.tier
-->     c <-
-->     (rows) <- bronze.customers.country bronze.customers.tier

--- the average of a difference
create table n as select month, avg(amount - id) as gap from silver.orders group by month;
--> n <- silver.orders
-->     month <- silver.orders.month
-->     gap <- silver.orders.amount silver.orders.id
-->     (rows) <- silver.orders.month

--- an aggregate of aggregates
create table n as select max(s) as best from (select sum(price * quantity) as s from silver.order_items group by order_id) x;
--> n <- silver.order_items
-->     best <- silver.order_items.price silver.order_items.quantity
-->     (rows) <- silver.order_items.order_id

--- group by an alias
create table n as select date_trunc('day', at) as day, count(*) as c from bronze.events group by day;
--> n <- bronze.events
-->     day <- bronze.events.at
-->     c <-
-->     (rows) <- bronze.events.at

--- group by an expression
create table n as select lower(kind) as kind, min(at) as first_at from bronze.events group by lower(kind);
--> n <- bronze.events
-->     kind <- bronze.events.kind
-->     first_at <- bronze.events.at
-->     (rows) <- bronze.events.kind

--- a percentile within a group
create table n as select category, percentile_cont(0.5) within group (order by price) as median from silver.products group by category;
--> n <- silver.products
-->     category <- silver.products.category
-->     median <- silver.products.price
-->     (rows) <- silver.products.category

--- the most frequent value
create table n as select mode() within group (order by kind) as usual from bronze.events;
--> n <- bronze.events
-->     usual <- bronze.events.kind

--- a string of names in order
create table n as select country, string_agg(name, ', ' order by id) as names from silver.customers group by country;
--> n <- silver.customers
-->     country <- silver.customers.country
-->     names <- silver.customers.name silver.customers.id
-->     (rows) <- silver.customers.country

--- a json object built of rows
create table n as select jsonb_object_agg(id, name) as by_id from silver.customers;
--> n <- silver.customers
-->     by_id <- silver.customers.id silver.customers.name

--- bool_and over a comparison
create table n as select order_id, bool_and(quantity > 0) as sane from silver.order_items group by order_id;
--> n <- silver.order_items
-->     order_id <- silver.order_items.order_id
-->     sane <- silver.order_items.quantity
-->     (rows) <- silver.order_items.order_id

--- a sum of cases pivots
create table n as
select customer_id, sum(case when currency = 'EUR' then amount else 0 end) as eur, sum(case when currency = 'USD' then amount end) as usd
from bronze.orders group by customer_id;
--> n <- bronze.orders
-->     customer_id <- bronze.orders.customer_id
-->     eur <- bronze.orders.currency bronze.orders.amount
-->     usd <- bronze.orders.currency bronze.orders.amount
-->     (rows) <- bronze.orders.customer_id

--- a share of the total
create table n as select id, price / sum(price) over (partition by category) as share from silver.products;
--> n <- silver.products
-->     id <- silver.products.id
-->     share <- silver.products.price silver.products.category
-->     (rows) <-

--- an aggregate inside a window function
create table n as select category, rank() over (order by sum(price) desc) as place from silver.products group by category;
--> n <- silver.products
-->     category <- silver.products.category
-->     place <- silver.products.price
-->     (rows) <- silver.products.category

--- first and last of a frame
create table n as
select session_id, first_value(kind) over w as began, last_value(kind) over w as ended
from bronze.events window w as (partition by session_id order by at rows between unbounded preceding and unbounded following);
--> n <- bronze.events
-->     session_id <- bronze.events.session_id
-->     began <- bronze.events.kind bronze.events.session_id bronze.events.at
-->     ended <- bronze.events.kind bronze.events.session_id bronze.events.at
-->     (rows) <-

--- a window that builds on another
create table n as select sum(amount) over w2 as running from silver.orders window w1 as (partition by customer_id), w2 as (w1 order by month);
--> n <- silver.orders
-->     running <- silver.orders.amount silver.orders.customer_id silver.orders.month

--- the gap to the event before
create table n as select id, at - lag(at) over (partition by session_id order by at) as gap from bronze.events;
--> n <- bronze.events
-->     id <- bronze.events.id
-->     gap <- bronze.events.at bronze.events.session_id

--- ntile and a frame in days
create table n as
select day, ntile(4) over (order by rate) as quarter, avg(rate) over (partition by currency order by day range between interval '7 days' preceding and current row) as week
from bronze.rates;
--> n <- bronze.rates
-->     day <- bronze.rates.day
-->     quarter <- bronze.rates.rate
-->     week <- bronze.rates.rate bronze.rates.currency bronze.rates.day

--- the newest row of each key, by row_number
create table n as
select id, kind from (select id, kind, row_number() over (partition by session_id order by at desc) as rn from bronze.events) x where rn = 1;
--> n <- bronze.events
-->     id <- bronze.events.id
-->     kind <- bronze.events.kind
-->     (rows) <- bronze.events.session_id bronze.events.at

--- cube, with grouping()
create table n as select country, tier, grouping(country) as is_total, count(*) as c from bronze.customers group by cube (country, tier);
--> n <- bronze.customers
-->     country <- bronze.customers.country
-->     tier <- bronze.customers.tier
-->     is_total <- bronze.customers.country
-->     c <-
-->     (rows) <- bronze.customers.country bronze.customers.tier

--- distinct inside an aggregate with a filter
create table n as select count(distinct customer_id) filter (where amount > 100) as big from silver.orders;
--> n <- silver.orders
-->     big <- silver.orders.customer_id silver.orders.amount

--- a sum over a join
create table n as
select p.category, sum(i.quantity * i.price) as turnover from silver.order_items i join silver.products p on p.id = i.product_id group by p.category;
--> n <- silver.order_items silver.products
-->     category <- silver.products.category
-->     turnover <- silver.order_items.quantity silver.order_items.price
-->     (rows) <- silver.products.id silver.order_items.product_id silver.products.category
