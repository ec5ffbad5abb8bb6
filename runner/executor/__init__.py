"""How an attempt is carried out: attempt in, Outcome out. Executors never see the database."""
