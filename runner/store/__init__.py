"""The only room that speaks SQL to our own database (the other place for psycopg is `target`)."""
