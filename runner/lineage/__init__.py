"""Capture of lineage: what flowed from where, read off the thing that really ran.

    flow        the words: one `Flow` per write, its columns, its doubts; the `Ledger` that folds away
    temporary hops sql         SQL text -> flows, by sqlglot (imported only when a statement is traced)
    columns     the walk through the scopes of one query; `sql` is its only caller spark_plan  Spark's
    analysed plan -> flows, from the plan's own JSON openlineage flows -> OpenLineage events; and the
    sanitiser for events that come out of a sandbox

The package is imported by the runner and, bound read-only, by the harness inside the sandbox. So it imports
nothing of the runner but itself, and nothing heavy at the top of a module.
"""
