-- What the statements are about. A table that is not here is not known.
create table bronze.orders (id, customer_id, amount, currency, ordered_at, items, meta);
create table bronze.customers (id, name, country, tier, email);
create table bronze.rates (currency, day, rate);
create table bronze.events (id, kind, payload, at, session_id);
create table silver.orders (id, customer_id, amount, month);
create table silver.customers (id, name, country);
create table silver.order_items (id, order_id, product_id, quantity, price);
create table silver.products (id, name, category, price);
create table silver.history (id, name, valid_from, valid_to, is_current);
create table gold.revenue (month, revenue, customers);
create table gold.top (id, score);
create table gold.customer_stats (customer_id, orders, total, last_at, segment);
create table odoo.account_move (id, name, partner_id, amount_total, state, invoice_date);
create table odoo.res_partner (id, name, email, country_id, parent_id);
create table odoo.res_country (id, code, name);
