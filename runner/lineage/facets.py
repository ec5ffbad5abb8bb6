"""Are the facets of a stored event what OpenLineage says they are? Told by the official client's own classes.

`faults(event)` gives (path, message) for each known facet that its class would not take: a field that is
missing, one of another type, a word that is none of an enumeration, a time or a UUID that is none. Facets
that nobody knows, and fields that a facet has besides, are nobody's fault. An event is never refused for one:
it is stored when it is looked at.

The client (and attrs with it) is imported when the first event is looked at.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Any, Literal, Union

#: Of one event: enough to see what is wrong with its maker.
MAX_FAULTS = 50
MAX_SAID = 200

# Where facets stand -> the name of each -> module and class of openlineage.client.generated
_KNOWN: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "run": {
        "environmentVariables": ("environment_variables_run", "EnvironmentVariablesRunFacet"),
        "errorMessage": ("error_message_run", "ErrorMessageRunFacet"),
        "executionParameters": ("execution_parameters_run", "ExecutionParametersRunFacet"),
        "externalQuery": ("external_query_run", "ExternalQueryRunFacet"),
        "extractionError": ("extraction_error_run", "ExtractionErrorRunFacet"),
        "jobDependencies": ("job_dependencies_run", "JobDependenciesRunFacet"),
        "nominalTime": ("nominal_time_run", "NominalTimeRunFacet"),
        "parent": ("parent_run", "ParentRunFacet"),
        "processing_engine": ("processing_engine_run", "ProcessingEngineRunFacet"),
        "tags": ("tags_run", "TagsRunFacet"),
        "test": ("test_run", "TestRunFacet"),
    },
    "job": {
        "documentation": ("documentation_job", "DocumentationJobFacet"),
        "jobType": ("job_type_job", "JobTypeJobFacet"),
        "lineage": ("lineage", "LineageJobFacet"),
        "ownership": ("ownership_job", "OwnershipJobFacet"),
        "sourceCode": ("source_code_job", "SourceCodeJobFacet"),
        "sourceCodeLocation": ("source_code_location_job", "SourceCodeLocationJobFacet"),
        "sql": ("sql_job", "SQLJobFacet"),
        "tags": ("tags_job", "TagsJobFacet"),
    },
    "dataset": {
        "catalog": ("catalog_dataset", "CatalogDatasetFacet"),
        "columnLineage": ("column_lineage_dataset", "ColumnLineageDatasetFacet"),
        "dataQualityAssertions": ("data_quality_assertions_dataset", "DataQualityAssertionsDatasetFacet"),
        "dataQualityMetrics": ("data_quality_metrics_dataset", "DataQualityMetricsDatasetFacet"),
        "dataSource": ("datasource_dataset", "DatasourceDatasetFacet"),
        "datasetType": ("dataset_type_dataset", "DatasetTypeDatasetFacet"),
        "documentation": ("documentation_dataset", "DocumentationDatasetFacet"),
        "hierarchy": ("hierarchy_dataset", "HierarchyDatasetFacet"),
        "lifecycleStateChange": ("lifecycle_state_change_dataset", "LifecycleStateChangeDatasetFacet"),
        "lineage": ("lineage", "LineageDatasetFacet"),
        "ownership": ("ownership_dataset", "OwnershipDatasetFacet"),
        "schema": ("schema_dataset", "SchemaDatasetFacet"),
        "storage": ("storage_dataset", "StorageDatasetFacet"),
        "symlinks": ("symlinks_dataset", "SymlinksDatasetFacet"),
        "tags": ("tags_dataset", "TagsDatasetFacet"),
        "version": ("dataset_version_dataset", "DatasetVersionDatasetFacet"),
    },
    "input": {
        "dataQualityAssertions": ("data_quality_assertions_dataset", "DataQualityAssertionsDatasetFacet"),
        "dataQualityMetrics": ("data_quality_metrics_input_dataset", "DataQualityMetricsInputDatasetFacet"),
        "inputStatistics": ("input_statistics_input_dataset", "InputStatisticsInputDatasetFacet"),
        "subset": ("base_subset_dataset", "InputSubsetInputDatasetFacet"),
    },
    "output": {
        "outputStatistics": ("output_statistics_output_dataset", "OutputStatisticsOutputDatasetFacet"),
        "subset": ("base_subset_dataset", "OutputSubsetOutputDatasetFacet"),
    },
}


@dataclass(frozen=True)
class Fault:
    path: str
    message: str


def faults(event: Mapping[str, Any]) -> tuple[Fault, ...]:
    """What is wrong with the known facets of an event, by path; never raises on its content."""
    found: list[Fault] = []
    for path, place, facets in _places(event):
        for name, facet in facets.items():
            here = f"{path}.{name}"
            if isinstance(facet, dict) and facet.get("_deleted") is True:
                continue
            if name in _KNOWN[place]:
                found.extend(_unfit(facet, _class(*_KNOWN[place][name]), here))
            elif not isinstance(facet, dict):
                found.append(Fault(here, "a facet is an object"))
            if len(found) >= MAX_FAULTS:
                return tuple(found[:MAX_FAULTS])
    return tuple(found)


def _places(event: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for key in ("run", "job", "dataset"):
        yield from _facets(event.get(key), f"$.{key}", key)
    for key, special in (("inputs", "input"), ("outputs", "output")):
        items = event.get(key)
        for number, each in enumerate(items if isinstance(items, list) else []):
            yield from _facets(each, f"$.{key}[{number}]", "dataset")
            yield from _facets(each, f"$.{key}[{number}]", special, f"{special}Facets")


def _facets(
    holder: object, path: str, place: str, key: str = "facets"
) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    facets = holder.get(key) if isinstance(holder, dict) else None
    if isinstance(facets, dict):
        yield f"{path}.{key}", place, facets


@cache
def _class(module: str, name: str) -> type:
    from importlib import import_module  # noqa: PLC0415 - with the client, when it is needed

    found: type = getattr(import_module(f"openlineage.client.generated.{module}"), name)
    return found


@cache
def _fields(kind: type) -> tuple[tuple[str, Any, bool], ...]:
    """The fields of a class of the client: name, type, whether one must be there."""
    import attr  # noqa: PLC0415

    hints = typing.get_type_hints(kind)
    return tuple(
        (field.name, hints.get(field.name, Any), field.default is attr.NOTHING)
        for field in attr.fields(kind)
        if field.init
    )


# -- does a value fit a type?


def _unfit(value: object, hint: Any, path: str) -> list[Fault]:  # noqa: PLR0911 - one arm per form of type
    origin, inside = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return []
    if origin in (Union, types.UnionType):
        return _unfit_any(value, inside, path)
    if origin is Literal:
        return (
            []
            if value in inside
            else [Fault(path, f"is {_said(value)}, not {' or '.join(map(str, inside))}")]
        )
    if origin is list:
        if not isinstance(value, list):
            return [Fault(path, f"is {_kind(value)}, not an array")]
        return [f for n, each in enumerate(value) for f in _unfit(each, inside[0], f"{path}[{n}]")]
    if origin is dict or hint is dict:
        if not isinstance(value, dict):
            return [Fault(path, f"is {_kind(value)}, not an object")]
        return (
            [f for key, each in value.items() for f in _unfit(each, inside[1], f"{path}.{key}")]
            if inside
            else []
        )
    if isinstance(hint, type) and hasattr(hint, "__attrs_attrs__"):
        return _unfit_class(value, hint, path)
    if isinstance(hint, type) and issubclass(hint, Enum):
        words = [str(member.value) for member in hint]
        return [] if value in words else [Fault(path, f"is {_said(value)}, not one of {', '.join(words)}")]
    return _unfit_plain(value, hint, path)


def _unfit_any(value: object, hints: tuple[Any, ...], path: str) -> list[Fault]:
    tried = [_unfit(value, hint, path) for hint in hints if hint is not type(None)]
    if (value is None and type(None) in hints) or [] in tried:
        return []
    return min(tried, key=len)  # of several forms, the one that it comes nearest to


def _unfit_class(value: object, kind: type, path: str) -> list[Fault]:
    if not isinstance(value, dict):
        return [Fault(path, f"is {_kind(value)}, not an object")]
    found: list[Fault] = []
    for name, hint, needed in _fields(kind):
        if name in value and not (value[name] is None and not needed):
            found.extend(_unfit(value[name], hint, f"{path}.{name}"))
        elif needed:
            found.append(Fault(f"{path}.{name}", "is required"))
    return found or _refused(value, kind, path)


def _refused(value: Mapping[str, Any], kind: type, path: str) -> list[Fault]:
    """What the class itself has to say: it looks at times, URIs and UUIDs."""
    arguments = {name.lstrip("_"): value[name] for name, _, _ in _fields(kind) if name in value}
    try:
        kind(**arguments)
    except (ValueError, TypeError, AttributeError) as error:
        return [Fault(path, str(error)[:MAX_SAID] or type(error).__name__)]
    return []


_PLAIN: Mapping[Any, tuple[tuple[type, ...], str]] = {
    str: ((str,), "a text"),
    int: ((int,), "a whole number"),
    float: ((int, float), "a number"),
    bool: ((bool,), "true or false"),
}


def _unfit_plain(value: object, hint: Any, path: str) -> list[Fault]:
    if hint not in _PLAIN:
        return []
    allowed, word = _PLAIN[hint]
    fits = isinstance(value, allowed) and (hint is bool or not isinstance(value, bool))
    return [] if fits else [Fault(path, f"is {_kind(value)}, not {word}")]


def _kind(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "a text"
        case list():
            return "an array"
        case _:
            return "an object"


def _said(value: object) -> str:
    return repr(value)[:MAX_SAID]
