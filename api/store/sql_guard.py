"""SQL allowlist for `POST /v1/sql`: reads of our own tables, checked with the engine's parser.

1. `formatQuerySingleLine` parses the text as one statement and formats it: no comments, no second
   statement. From here on only that text is checked and run.
2. `EXPLAIN AST` of it: every node kind must be on one allowlist and every function on another;
   every table must be ours or named in the query's own `WITH`. Nothing is resolved or read yet.
3. `EXPLAIN QUERY TREE` of it: the tables to which the engine itself resolves the names.

Anything unknown is refused. The settings of the run (`LIMITS`) are the second line of defence.
"""

import re
from collections.abc import Iterator, Sequence
from importlib import resources
from typing import Any, NamedTuple

import msgspec

from api.errors import ProblemError
from streamproc.contract.audit import AUDIT
from streamproc.contract.tables import TABLES, VIEWS

MAX_QUERY_CHARS = 20_000
MAX_ROWS = 10_000
MAX_QUERY_S = 20
MIB = 1024 * 1024

MAX_RESULT_BYTES = 16 * MIB
MAX_MEMORY_BYTES = 384 * MIB

# The engine evaluates constants while it resolves a query, so these limits apply then as well.
CHECK_LIMITS: dict[str, str] = {
    "readonly": "2",
    "max_execution_time": str(MAX_QUERY_S),
    "timeout_overflow_mode": "throw",
    "max_memory_usage": str(MAX_MEMORY_BYTES),
    "max_subquery_depth": "50",
    "allow_introspection_functions": "0",
}
LIMITS: dict[str, str] = {
    **CHECK_LIMITS,
    "limit": str(MAX_ROWS + 1),
    "max_result_bytes": str(MAX_RESULT_BYTES),
    "result_overflow_mode": "throw",  # `break` would return the block that exceeds the limit
    "max_block_size": "8192",
    "query_plan_remove_redundant_sorting": "0",  # it runs as a subquery, which must keep its order
}

_TABLES = frozenset((*TABLES, *VIEWS, AUDIT))
_TABLE_FUNCTIONS = frozenset({"numbers", "values", "sqlstandardvalues"})
_IN = frozenset(
    prefix + name
    for prefix in ("", "global")
    for name in ("in", "notin", "nullin", "notnullin", "inignoreset", "notinignoreset")
)
_COMBINATORS = re.compile(
    r"(if|array|map|state|merge|foreach|distinct|ordefault|ornull|resample|argmin|argmax)$"
)
_NODES = frozenset(
    {
        "ArrayJoin",
        "Asterisk",
        "ColumnsExceptTransformer",
        "ColumnsListMatcher",
        "ColumnsRegexpMatcher",
        "ColumnsTransformerList",
        "ExpressionList",
        "Function",
        "Identifier",
        "InterpolateElement",
        "Literal",
        "OrderByElement",
        "QualifiedAsterisk",
        "SampleRatio",
        "SelectIntersectExceptQuery",
        "SelectQuery",
        "SelectWithUnionQuery",
        "Subquery",
        "TableExpression",
        "TableIdentifier",
        "TableJoin",
        "TablesInSelectQuery",
        "TablesInSelectQueryElement",
        "WindowDefinition",
        "WindowListElement",
        "WithElement",
    }
)
_EXPLAINS = tuple(f"EXPLAIN {kind}" for kind in ("SYNTAX ", "AST ", "PIPELINE ", "QUERY TREE ", ""))
_QUOTED = (r"'(?:[^'\\]|\\.|'')*'", r"`(?:[^`\\]|\\.|``)*`", r"\"(?:[^\"\\]|\\.)*\"")
_TOKEN = re.compile("|".join((*_QUOTED, r"\w+", r"\S")), re.DOTALL)
_PLAIN_NAME = re.compile(r"`[^`\\\n\r\x00-\x1f()]*`")
_LINE = re.compile(
    r"^( *)(\w[\w:]*)(?: (?!\((?:alias|children) )(.*?))?"
    r"(?: \(alias .*\))?(?: \(children (\d+)\))?$",
    re.DOTALL,
)
_TREE_TABLE = re.compile(r"^\s*TABLE id: .*\btable_name: (\S+?)(?:,|$)")
_TREE_FUNCTION = re.compile(r"^\s*TABLE_FUNCTION id: .*\btable_function_name: (\w+)")


class QueryRefusedError(ProblemError):
    """The query is not allowed here; the message says why."""

    status = 422
    code = "sql_refused"
    title = "Query Refused"


class CheckedQuery(NamedTuple):
    """A query that may run under `LIMITS`, as formatted by the engine."""

    sql: str
    selects: bool = True
    """It is a SELECT, which can be a subquery of another one."""


class _Node(msgspec.Struct):
    kind: str
    text: str
    children: list["_Node"]


def check(client: Any, query: str) -> CheckedQuery:
    """Check a query and return what may run; `client` parses and resolves it, without running it.

    Raises `QueryRefusedError`, and what the client raises on text that ClickHouse cannot parse.
    """
    if len(query) > MAX_QUERY_CHARS or "\x00" in query:
        raise QueryRefusedError(
            f"A query has at most {MAX_QUERY_CHARS} characters, none of them 0."
        )
    sql = str(_lines(client, "SELECT formatQuerySingleLine({query:String})", {"query": query})[0])
    names = _own_names(sql)
    if sql == "SHOW TABLES":
        shown = ", ".join(f"'{name}'" for name in sorted(_TABLES))
        return CheckedQuery(f"SELECT arrayJoin([{shown}]) AS name")
    if not sql.startswith(("SELECT ", "WITH ", "EXPLAIN ", "DESCRIBE TABLE ", "(")):
        raise QueryRefusedError(
            "Only SELECT, WITH, EXPLAIN, DESCRIBE and SHOW TABLES may run here."
        )
    root = _tree(_lines(client, f"EXPLAIN AST {sql}"))
    if root.kind == "DescribeQuery":
        return _described(root, sql)
    inner = sql
    if root.kind == "Explain":
        prefix = next((one for one in _EXPLAINS if sql.startswith(one)), None)
        inner = sql[len(prefix) :] if prefix else ""
        if not inner.startswith(("SELECT ", "WITH ", "(")):
            raise QueryRefusedError("This kind of EXPLAIN may not run here.")
        root = _only_query(root)
    _check_node(root, None, names, is_root=True)
    _check_resolved(client, inner)
    return CheckedQuery(sql, selects=inner == sql)


def _lines(
    client: Any,
    sql: str,
    parameters: dict[str, str] | None = None,
    settings: dict[str, str] | None = None,
) -> list[str]:
    result = client.query(sql, parameters=parameters, settings=settings)
    return [str(row[0]) for row in result.result_rows]


def _own_names(sql: str) -> frozenset[str]:
    """Return the names of the query's own `WITH` subqueries.

    Raises `QueryRefusedError` on a second statement, on query parameters and on names that are
    ambiguous in the engine's printed trees.
    """
    tokens = _TOKEN.findall(sql)
    for token in tokens:
        if token in {";", "{"} or (token[0] in '`"' and not _PLAIN_NAME.fullmatch(token)):
            raise QueryRefusedError("Several statements, parameters and names in odd characters "
                                    "may not be used here.")  # fmt: skip
    return frozenset(
        tokens[at].strip("`")
        for at in range(len(tokens) - 3)
        if tokens[at + 1] == "AS"
        and tokens[at + 2] == "("
        and tokens[at + 3] in {"SELECT", "WITH", "("}
    )


def _tree(lines: Sequence[str]) -> _Node:
    """Parse the engine's printed tree; raises `QueryRefusedError` if a line is not a node."""
    root: _Node | None = None
    path: list[_Node] = []
    for line in lines:
        match = _LINE.match(line)
        depth = len(match[1]) if match else 0
        if match is None or depth > len(path) or (depth == 0) != (root is None):
            raise QueryRefusedError("The query's parse cannot be read.")
        node = _Node(match[2], match[3] or "", [])
        del path[depth:]
        if path:
            path[-1].children.append(node)
        root = root or node
        path.append(node)
    if root is None:
        raise QueryRefusedError("There is no query.")
    return root


def _only_query(explain: _Node) -> _Node:
    queries = [node for node in explain.children if not _is_format(node)]
    if len(queries) != 1 or queries[0].kind != "SelectWithUnionQuery":
        raise QueryRefusedError("EXPLAIN takes a SELECT alone here, without settings.")
    return queries[0]


def _is_format(node: _Node) -> bool:
    """Return whether this is the output format, which the driver appends to every query."""
    return node.kind == "Identifier" and node.text == "Native"


def _described(root: _Node, sql: str) -> CheckedQuery:
    inside = [node for child in root.children for node in _walk(child) if not _is_format(node)]
    kinds = [node.kind for node in inside]
    if kinds != ["TableExpression", "TableIdentifier"] or inside[1].text not in _TABLES:
        raise QueryRefusedError("DESCRIBE takes one of Framewire's tables or views.")
    return CheckedQuery(sql, selects=False)


def _walk(node: _Node) -> Iterator[_Node]:
    yield node
    for child in node.children:
        yield from _walk(child)


def _check_node(
    node: _Node, parent: _Node | None, names: frozenset[str], *, is_root: bool = False
) -> None:
    if node.kind == "Set":
        raise QueryRefusedError("SETTINGS may not be given here.")
    if node.kind not in _NODES:
        raise QueryRefusedError(f"{node.kind} may not be used here.")
    if node.kind == "SelectWithUnionQuery":
        extra = [c for c in node.children if c.kind != "ExpressionList" and not _is_format(c)]
        if extra or (not is_root and len(node.children) != 1):
            raise QueryRefusedError("INTO OUTFILE, FORMAT and SETTINGS may not be given here.")
    elif node.kind == "TableIdentifier":
        _check_table(node.text, names)
    elif node.kind == "Function":
        _check_function(node, parent, names)
    for child in node.children:
        _check_node(child, node, names)


def _check_table(name: str, names: frozenset[str]) -> None:
    if name not in _TABLES and name not in names:
        tables = ", ".join(sorted(_TABLES))
        raise QueryRefusedError(f"There is no table {name!r} here. There are {tables}.")


def _check_function(node: _Node, parent: _Node | None, names: frozenset[str]) -> None:
    name = node.text.lower()
    if parent is not None and parent.kind == "TableExpression":
        if name not in _TABLE_FUNCTIONS:
            raise QueryRefusedError(f"The table function {node.text!r} may not be used here.")
        return
    if not _is_allowed(name):
        raise QueryRefusedError(f"The function {node.text!r} may not be used here.")
    if name in _IN and node.children:
        arguments = node.children[0].children
        if len(arguments) == 2 and arguments[1].kind == "Identifier":
            _check_table(arguments[1].text, names)


def _is_allowed(name: str) -> bool:
    """Return whether the function, without aggregate combinators, is on the allowlist."""
    while name not in ALLOWED_FUNCTIONS:
        shorter = _COMBINATORS.sub("", name)
        if shorter == name:
            return False
        name = shorter
    return True


def _check_resolved(client: Any, sql: str) -> None:
    """Check the tables to which the engine's analyser resolves the query's names.

    At this point it can read only our tables.
    """
    database = _lines(client, "SELECT currentDatabase()")[0]
    allowed = {f"{database}.{name}" for name in _TABLES} | {"system.one"}  # SELECT without FROM
    for line in _lines(client, f"EXPLAIN QUERY TREE {sql}", settings=CHECK_LIMITS):
        for entry in line.split("\n"):
            stripped = entry.lstrip()
            if stripped.startswith("TABLE id:"):
                found = _TREE_TABLE.match(entry)
                if found is None or found[1] not in allowed:
                    raise QueryRefusedError(
                        "A name in the query resolves to a table that may not be read here."
                    )
            elif stripped.startswith("TABLE_FUNCTION id:"):
                found = _TREE_FUNCTION.match(entry)
                if found is None or found[1].lower() not in _TABLE_FUNCTIONS:
                    raise QueryRefusedError("A name in the query means a table function.")


def _allowed_functions() -> frozenset[str]:
    text = resources.files("api.store").joinpath("sql_functions.txt").read_text()
    return frozenset(
        name for line in text.splitlines() if not line.startswith("#") for name in line.split()
    )


ALLOWED_FUNCTIONS = _allowed_functions()
