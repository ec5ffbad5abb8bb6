"""Job types by name. One that is not here is not offered by this runner, and submissions say so."""

from __future__ import annotations

from runner.jobtype.base import JobType, Place

#: Every job type the database knows, with its engines. What this runner implements is `load`'s business.
ENGINES: dict[str, tuple[str, ...]] = {
    "spark_etl": ("duckdb", "spark"),
    "diagram_export": ("default",),
    "schema_migration": ("default",),
    "kb_catalog": ("default",),
    "code_validation": ("default",),
    "code_generation": (),  # its engines are the models of CONTROL_ROOM_CONTINUE_CONFIG
}


def load(name: str, place: Place) -> JobType | None:
    """The job type of this name, or None when this runner does not implement it (yet)."""
    # Imported here: a runner that only carries diagrams has no use for what Spark needs.
    match name:
        case "spark_etl":
            from runner.jobtype.spark_etl import SparkEtl  # noqa: PLC0415

            return SparkEtl(place)
        case "code_validation":
            from runner.jobtype.code_validation import CodeValidation  # noqa: PLC0415

            return CodeValidation(place)
        case "diagram_export":
            from runner.jobtype.diagram_export import DiagramExport  # noqa: PLC0415

            return DiagramExport(place)
        case "code_generation":
            from runner.jobtype.code_generation import CodeGeneration  # noqa: PLC0415

            return CodeGeneration(place)
        case "kb_catalog":
            from runner.jobtype.kb_catalog import KbCatalog  # noqa: PLC0415

            return KbCatalog(place)
        case _:
            return None
