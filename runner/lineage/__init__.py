"""Capture of lineage: what flowed from where, read off the thing that really ran.

    flow         the words: one `Flow` per write, its columns, its doubts; the `Ledger` that folds hops away
    sql          SQL text -> flows, by sqlglot (loaded only when a statement is traced); it is made of
                 script (statement by statement), wording (what sqlglot cannot read),
                 rewrite (write -> SELECT), columns and clauses (SELECT -> origins)
    spark_plan   Spark's analysed plan -> flows, from the plan's own JSON
    openlineage  flows -> OpenLineage events; the rules for names
    sanitiser    events that come out of a sandbox -> events fit to be recorded

The package is imported by the runner and, as a copy, by the harness inside the sandbox. So it imports
nothing of the runner but itself, and nothing heavy at the top of a module.
"""
