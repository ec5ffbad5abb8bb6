"""Bulk data and other people's databases: the second and last place for psycopg."""
