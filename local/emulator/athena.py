"""Athena: Trino SQL over Glue tables of JSON lines on S3, run by DuckDB; partition projection and parameters included.

Stock ministack hands the text to DuckDB as it is and knows neither ``?`` parameters nor projected partitions. Hooks:
``athena._start_query_execution`` (parameters) and ``athena._run_duckdb`` (the query). The objects are read with the
account's own rights: what the caller's role may read is covered by assertions on the template.
"""

from __future__ import annotations

import asyncio
import contextvars
import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import sqlglot
from ministack.services import athena, glue
from sqlglot import exp

from local.emulator import sessions
from local.emulator.sagemaker.service_output import split_s3_uri

_PLACEHOLDER = re.compile(r"\$\{(\w+)\}")
_HOLE = re.compile(r"\?(?=(?:[^']*'[^']*')*[^']*$)")
"""A question mark outside of string literals."""
_WILDCARDS = {"date": r"[0-9/\-]+", "enum": r"[^/]+", "injected": r"[^/]+", "integer": r"[0-9]+"}
_TYPES = {"bigint": "BIGINT", "int": "INTEGER", "double": "DOUBLE", "boolean": "BOOLEAN"}


def install() -> None:
    start, run = athena._start_query_execution, athena._run_duckdb

    def start_with_parameters(data: dict[str, Any]) -> Any:
        values = data.get("ExecutionParameters")
        return start({**data, "QueryString": bind(data["QueryString"], values)} if values else data)

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
    parts = _HOLE.split("\n".join(line.split("--")[0] for line in query.splitlines()))
    if len(parts) - 1 != len(values):
        raise ValueError(f"the query has {len(parts) - 1} parameters, but {len(values)} values are given")
    return "".join(part + value for part, value in zip(parts, [*values, ""], strict=True))


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
            connection.execute(
                f"CREATE VIEW {name} AS SELECT * FROM read_json('{data}', format='newline_delimited', columns={_columns(table)})"  # noqa: S608
            )
        result = connection.execute(sqlglot.transpile(query, read="athena", write="duckdb")[0])
        names = [column[0] for column in result.description]
        types = [athena._DUCKDB_TYPE_MAP.get(str(column[1]).upper().split("(")[0], "varchar") for column in result.description]
        return {"columns": names, "column_types": types, "rows": [list(row) for row in result.fetchall()]}
    finally:
        connection.close()
        shutil.rmtree(folder, ignore_errors=True)


def rows_of(table: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The table's JSON lines, keys in lower case as the JSON serde reads them, with their partition columns."""
    parameters = table["Parameters"]
    template = parameters["storage.location.template"]
    kinds = {key["Name"]: parameters[f"projection.{key['Name']}.type"] for key in table["PartitionKeys"]}
    pieces = _PLACEHOLDER.split(template)
    pattern = "".join(re.escape(p) if i % 2 == 0 else f"(?P<{p}>{_WILDCARDS[kinds[p]]})" for i, p in enumerate(pieces))
    location = re.compile(pattern.rstrip("/") + r"/[^/]+")
    bucket, prefix = split_s3_uri(pieces[0])
    s3 = sessions.root_session().client("s3")
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for item in page.get("Contents", []):
            place = location.fullmatch(f"s3://{bucket}/{item['Key']}")
            if place is None:
                continue
            body = s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read().decode()
            for line in body.splitlines():
                if line.strip():
                    yield {**_lower(json.loads(line)), **place.groupdict()}


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
