"""Athena: Trino SQL over Glue tables of JSON lines on S3, run by DuckDB; partition projection and parameters included.

Stock ministack hands the text to DuckDB as it is and knows neither ``?`` parameters nor projected partitions. Hooks:
``athena._start_query_execution`` (parameters) and ``athena._run_duckdb`` (the query). The objects are read with the
account's own rights: what the caller's role may read is covered by assertions on the template. Each object is read once,
however many queries look at it; what a query would scan on AWS is not counted.

Of partition projection the types ``enum``, ``date``, ``integer`` and ``injected`` are known; dates are compared as text, which
their format must allow (``yyyy/MM/dd/HH`` does).

A line that is no JSON object fails the query, or is a row of nulls with the serde's ``ignore.malformed.json``; a value that does not
fit its column likewise, with ``use.null.for.invalid.data`` (Athena user guide, "OpenX JSON SerDe"; that such a line is a row of nulls
is in Trino's ``OpenXJsonDeserializer``).
"""

from __future__ import annotations

import asyncio
import contextvars
import datetime as dt
import functools
import glob
import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import sqlglot
from ministack.core import responses
from ministack.services import athena, glue
from sqlglot import exp

from embedded_aws.core import sessions
from embedded_aws.sagemaker.service_output import split_s3_uri

_PLACEHOLDER = re.compile(r"\$\{(\w+)\}")
_TOKEN = re.compile(r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|\?", re.DOTALL)
"""Comments, literals, quoted names, and the question marks that are none of these."""
_WILDCARDS = {"date": r"[0-9/\-]+", "enum": r"[^/]+", "injected": r"[^/]+", "integer": r"[0-9]+"}
_SCALAR = "CREATE MACRO json_extract_scalar(j, p) AS CASE WHEN json_type(j, p) NOT IN ('OBJECT', 'ARRAY') THEN j ->> p END"
"""As in Trino, the value is null for an object or a list. DuckDB's ``->>`` would give its text."""
_TYPES = {"bigint": "BIGINT", "int": "INTEGER", "double": "DOUBLE", "boolean": "BOOLEAN"}


def install() -> None:
    start, run = athena._start_query_execution, athena._run_duckdb

    def start_with_parameters(data: dict[str, Any]) -> Any:
        try:
            query = bind(data["QueryString"], data.get("ExecutionParameters") or [])
        except ValueError as error:
            return responses.error_response_json("InvalidRequestException", str(error), 400)
        return start({**data, "QueryString": query})

    async def run_projected(query: str, database: str, catalog: str | None = None) -> Any:
        tables = _projected_tables(query, database)
        if not tables:
            return await run(query, database, catalog)
        context = contextvars.copy_context()
        return await asyncio.to_thread(context.run, _run, query, tables)

    athena._start_query_execution, athena._run_duckdb = start_with_parameters, run_projected


def bind(query: str, values: list[str]) -> str:
    """Put the execution parameters (SQL literals, as Athena takes them) in place of the question marks.

    Raises:
        ValueError: their number differs from that of the question marks.
    """
    holes = _TOKEN.findall(query).count("?")
    if holes != len(values):
        raise ValueError(f"Incorrect number of parameters: expected {holes} but found {len(values)}")
    given = iter(values)
    return _TOKEN.sub(lambda match: next(given) if match[0] == "?" else match[0], query)


def _projected_tables(query: str, database: str) -> dict[str, dict[str, Any]]:
    """Glue tables of the query whose partitions are projected, by name."""
    try:
        tree = sqlglot.parse_one(query, read="athena")
    except sqlglot.errors.ParseError:
        return {}
    found = {}
    for reference in tree.find_all(exp.Table):
        table = glue._tables.get(f"{reference.db or database}/{reference.name}")
        if table and (table.get("Parameters") or {}).get("projection.enabled") == "true":
            found[reference.name] = table
    return found


def _run(query: str, tables: dict[str, dict[str, Any]]) -> dict[str, Any]:
    folder = Path(tempfile.mkdtemp(prefix="athena-"))
    connection = duckdb.connect(":memory:")
    try:
        for name, table in tables.items():
            data = folder / f"{name}.jsonl"
            with data.open("w", encoding="utf-8") as stream:
                stream.writelines(json.dumps(row) + "\n" for row in rows_of(table))
            form = f"format='newline_delimited', ignore_errors={_serde(table, 'use.null.for.invalid.data')}, columns={_columns(table)}"
            # a view cannot be made with bound parameters, and a path is a pattern
            path = glob.escape(str(data)).replace("'", "''")
            connection.execute(f"CREATE VIEW {name} AS SELECT * FROM read_json('{path}', {form})")  # noqa: S608  (Glue's names, our file)
        connection.execute(_SCALAR)
        result = connection.execute(in_duckdb(query))
        names = [column[0] for column in result.description]
        types = [athena._DUCKDB_TYPE_MAP.get(str(column[1]).upper().split("(")[0], "varchar") for column in result.description]
        return {"columns": names, "column_types": types, "rows": [list(row) for row in result.fetchall()]}
    finally:
        connection.close()
        shutil.rmtree(folder, ignore_errors=True)


def in_duckdb(query: str) -> str:
    """Athena's SQL as DuckDB's."""

    def scalar(node: exp.Expression) -> exp.Expression:
        if isinstance(node, exp.JSONExtractScalar):
            return exp.Anonymous(
                this="json_extract_scalar", expressions=[node.this, exp.Literal.string(node.expression.sql("duckdb").strip("'"))]
            )
        return node

    translated: str = sqlglot.parse_one(query, read="athena").transform(scalar).sql("duckdb")
    return translated


def _serde(table: dict[str, Any], name: str) -> bool:
    """Whether one of the JSON serde's switches is on."""
    parameters = table["StorageDescriptor"].get("SerdeInfo", {}).get("Parameters") or {}
    return str(parameters.get(name, "false")).lower() == "true"


def rows_of(table: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The table's JSON lines, keys in lower case as the JSON serde reads them, with their partition columns.

    Raises:
        ValueError: a line is no JSON object, and the table does not ignore that; the text names the line's S3 object.
    """
    ignored = _serde(table, "ignore.malformed.json")
    parameters = table["Parameters"]
    template = parameters["storage.location.template"]
    kinds = {key["Name"]: parameters[f"projection.{key['Name']}.type"] for key in table["PartitionKeys"]}
    pieces = _PLACEHOLDER.split(template)
    pattern = "".join(re.escape(p) if i % 2 == 0 else f"(?P<{p}>{_WILDCARDS[kinds[p]]})" for i, p in enumerate(pieces))
    location = re.compile(pattern.rstrip("/") + r"/[^/]+")
    bucket, prefix = split_s3_uri(pieces[0])
    pages = sessions.root_session().client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    for item in (item for page in pages for item in page.get("Contents", [])):
        place = location.fullmatch(f"s3://{bucket}/{item['Key']}")
        if place is not None and all(_is_projected(parameters, name, value) for name, value in place.groupdict().items()):
            for row in _lines(bucket, item["Key"], item["ETag"]):
                if isinstance(row, _Malformed) and not ignored:
                    raise ValueError(f"HIVE_CURSOR_ERROR: Row is not a valid JSON Object - {row.reason} (s3://{bucket}/{item['Key']})")
                yield {**({} if isinstance(row, _Malformed) else row), **place.groupdict()}


def _is_projected(parameters: dict[str, str], name: str, value: str) -> bool:
    """Whether Athena looks for this partition at all: folders outside the projection are invisible to it."""
    kind = parameters[f"projection.{name}.type"]
    if kind == "enum":
        return value in parameters[f"projection.{name}.values"].split(",")
    if kind not in ("date", "integer"):
        return True
    least, most = parameters[f"projection.{name}.range"].split(",")
    if kind == "integer":
        return int(least) <= int(value) <= int(most)
    now = dt.datetime.now(dt.UTC).strftime(_strftime(parameters[f"projection.{name}.format"]))
    return least <= value <= (now if most == "NOW" else most)


def _strftime(java_format: str) -> str:
    for java, python in (("yyyy", "%Y"), ("MM", "%m"), ("dd", "%d"), ("HH", "%H"), ("mm", "%M")):
        java_format = java_format.replace(java, python)
    return java_format


@dataclass(frozen=True)
class _Malformed:
    """A line that is no JSON object."""

    reason: str


@functools.lru_cache(maxsize=20_000)
def _lines(bucket: str, key: str, _etag: str) -> tuple[dict[str, Any] | _Malformed, ...]:
    """One object's rows; an object with the same ETag has the same content. Lines end at a line feed and at nothing else."""
    body = sessions.root_session().client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    return tuple(_row(line) for line in body.split(b"\n") if line.strip())


def _row(line: bytes) -> dict[str, Any] | _Malformed:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        return _Malformed(str(error))
    return _lower(row) if isinstance(row, dict) else _Malformed(f"it is {type(row).__name__}, not an object")


def _lower(value: Any) -> Any:
    if isinstance(value, dict):
        return {key.lower(): _lower(item) for key, item in value.items()}
    return [_lower(item) for item in value] if isinstance(value, list) else value


def _columns(table: dict[str, Any]) -> str:
    columns = {c["Name"]: _duckdb_type(c["Type"]) for c in [*table["StorageDescriptor"]["Columns"], *table["PartitionKeys"]]}
    return "{" + ", ".join(f"'{name}': '{kind}'" for name, kind in columns.items()) + "}"


def _duckdb_type(kind: str) -> str:
    """A Hive type as DuckDB's: ``struct<a:string>`` -> ``STRUCT("a" VARCHAR)``."""
    kind = kind.strip()
    if kind.startswith("struct<"):
        fields = [field.split(":", 1) for field in _split(kind[len("struct<") : -1])]
        return "STRUCT(" + ", ".join(f'"{name}" {_duckdb_type(inner)}' for name, inner in fields) + ")"
    if kind.startswith("array<"):
        return _duckdb_type(kind[len("array<") : -1]) + "[]"
    return _TYPES.get(kind, "VARCHAR")


def _split(fields: str) -> list[str]:
    """Split at commas outside angle brackets."""
    parts, depth, current = [], 0, ""
    for character in fields:
        depth += (character == "<") - (character == ">")
        if character == "," and depth == 0:
            parts.append(current)
            current = ""
        else:
            current += character
    return [*parts, current]
