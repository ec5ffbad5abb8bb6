"""The development gateway: the parts of Supabase's HTTP surface that the local stack needs.

It speaks PostgREST (`/rest/v1`), Storage (`/storage/v1`) and the functions proxy (`/functions/v1`)
on 127.0.0.1 and knows nothing of the product's rooms. It is a tool for development only.
"""
