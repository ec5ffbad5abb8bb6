"""The development gateway: the parts of Supabase's HTTP surface that the local stack needs.

`python -m dev.gateway` serves on 127.0.0.1, told by `GATEWAY_*` (see `settings`):

    /rest/v1/…       as PostgREST: RPC, tables and views, profiles, Prefer, its errors   rest, rpc, query …
    /storage/v1/…    as Storage: objects, signed URLs, buckets                           storage/
    /functions/v1/…  passed on to the functions' server, streaming                       functions, upstream
    /auth/v1/.well-known/jwks.json, /auth/v1/health, /health                             app

A request goes one way: app → identity (key, token) → rest or storage (which statement) → transaction
(settings, pre-request, statement, in one burst) → pool, session (libpq in pipeline mode). JSON is made by
Postgres and passed on as it is. What the database offers is kept by `catalog`, read again on `NOTIFY pgrst`.

Not spoken, and said so where it is asked for: embedding of related tables, aggregates, PUT of a single row,
`Location` after an insert, the OpenAPI root; resumable uploads, image transformation; sign-in, Realtime.
Different from hosted: safeupdate guards requests but not the statements inside functions; `..` in object
keys is refused. It knows nothing of the product's rooms and is a tool for development only.
"""
