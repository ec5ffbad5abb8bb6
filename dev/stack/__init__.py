"""The embedded local stack: a real Postgres, the development gateway, Deno and the runner, without Docker.

`scripts/stack` is its door for people, `dev.stack.testbed` its door for tests.
"""
