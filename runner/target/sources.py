"""Which source a target is: `odoo://` is an Odoo by its API, `postgres://` a database."""

from __future__ import annotations

from runner.model.reading import Reading
from runner.odoo import site as sites
from runner.target.directory import Directory
from runner.target.odoo_source import OdooSource
from runner.target.postgres_source import PostgresSource
from runner.target.source import Source, unavailable


class Sources:
    """Every target of this runner, to be read from."""

    def __init__(self, targets: Directory) -> None:
        self._targets = targets

    def find(self, reading: Reading) -> Source:
        """The source that a reading names. Raises Permanent(EXECUTOR_UNAVAILABLE) for a target that this
        runner lacks, Permanent(INPUT_UNAVAILABLE) for one that is of another kind."""
        is_odoo = self._targets.is_odoo(reading.target)
        if is_odoo != (reading.kind == "odoo"):
            there = "an Odoo" if is_odoo else "a database"
            raise unavailable(reading, f"the target {reading.target} is {there}")
        if is_odoo:
            return OdooSource(sites.of_url(self._targets.url(reading.target)))
        return PostgresSource(self._targets.find(reading.target))
