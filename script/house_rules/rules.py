"""The other rules; each opens with the bug it prevents.

A rule errs on the strict side: where it cannot tell, it reports, and the code is written more
plainly.
"""

import ast
from collections.abc import Iterator
from typing import Final

from script.house_rules.module import Function, Hit, Module, type_positions

# Importing one of these is enough to be able to talk to the network.
NETWORK_MODULES: Final = (
    "aiohttp",
    "ftplib",
    "http.client",
    "httpcore",
    "requests",
    "smtplib",
    "urllib.request",
    "urllib3",
    "websocket",
    "websockets",
)
CLIENT_MAKERS: Final = frozenset(
    {
        f"{library}.{name}"
        for library in ("httpx", "httpx2")
        for name in (
            *("Client", "AsyncClient", "HTTPTransport", "AsyncHTTPTransport"),
            *("get", "post", "put", "patch", "delete", "head", "options", "query"),
            *("request", "stream", "websocket"),
        )
    }
    | {"socket.create_connection", "asyncio.open_connection"}
)
# These build a client of their own unless they are handed one, and so bypass the egress seal.
CLIENT_TAKERS: Final = {
    "ChatOpenAI": frozenset({"http_client", "http_async_client"}),
    "OpenAI": frozenset({"http_client"}),
    "AsyncOpenAI": frozenset({"http_client"}),
}

GUARD_ERRORS: Final = frozenset(
    {
        "RequestError",
        "InvalidRequestError",
        "UnauthenticatedError",
        "DeniedError",
        "NotFoundError",
        "TooLargeError",
        "HTTPException",
    }
)

CODE_LOADERS: Final = ("pickle", "_pickle", "cloudpickle", "copyreg", "dill", "joblib", "marshal")
CODE_RUNNERS: Final = frozenset({"eval", "exec", "compile", "__import__"})
UNSAFE_CALLS: Final = frozenset(
    {"os.popen", "os.system", "torch.load", "yaml.load", "yaml.unsafe_load", "yaml.full_load"}
)
UNSAFE_FLAGS: Final = frozenset({"shell", "allow_pickle", "trust_remote_code"})

NEGATIVE_WORDS: Final = ("must_not", "MatchExcept", "except_")

SECRET_NAMES: Final = frozenset(
    {
        *("answer", "completion", "passage", "plaintext", "prompt", "question", "quote"),
        *("raw_value", "sentence", "snippet", "surface", "text"),
    }
)
LOG_METHODS: Final = frozenset(
    {"debug", "info", "warning", "error", "critical", "exception", "log", "msg", "bind"}
)
VAGUE_NAMES: Final = frozenset({"base", "common", "helpers", "manager", "services", "utils"})
LONGEST_FUNCTION: Final = 60


def network_clients(module: Module) -> Iterator[Hit]:
    """Bug: a client made outside egress.py never hears of the allowed networks, and text leaves."""
    if module.within("ragplatform/egress"):
        return
    for line, name in module.imports():
        for banned in NETWORK_MODULES:
            if name == banned or name.startswith(f"{banned}."):
                yield line, f"{banned} may be used only in ragplatform/egress.py"
    spoken_of = type_positions(module.tree)
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Attribute | ast.Name) or id(node) in spoken_of:
            continue
        if module.dotted(node) in CLIENT_MAKERS:
            yield node.lineno, f"{module.dotted(node)} may be used only in ragplatform/egress.py"
    for call, called in module.calls():
        wanted = CLIENT_TAKERS.get(called.rpartition(".")[2])
        if wanted and not wanted & {keyword.arg for keyword in call.keywords}:
            yield call.lineno, f"{called} makes its own client: hand it one from egress"


def _own_nodes(function: Function) -> Iterator[ast.AST]:
    """Yield the nodes of a function's body, without those of functions nested in it."""
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            waiting.extend(ast.iter_child_nodes(node))


def guards_in_generators(module: Module) -> Iterator[Hit]:
    """Bug: a guard inside a generator refuses only after FastAPI has sent status 200."""
    for function in module.functions():
        nodes = list(_own_nodes(function))
        if not any(isinstance(node, ast.Yield | ast.YieldFrom) for node in nodes):
            continue
        for node in nodes:
            if isinstance(node, ast.Raise) and node.exc is not None:
                raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
                name = module.dotted(raised).rpartition(".")[2]
                if name in GUARD_ERRORS:
                    yield node.lineno, f"{name} is raised in a generator: guard before it starts"


def printing(module: Module) -> Iterator[Hit]:
    """Bug: a forgotten print puts text of a patient into the service's log."""
    # The auditors' verifier is a program of its own: it prints to whoever runs it.
    if module.path.endswith(("__main__.py", "audit/verify_audit.py")):
        return
    for call, called in module.calls():
        if called == "print":
            yield call.lineno, "print is for command lines: log ids and counts instead"


def code_from_data(module: Module) -> Iterator[Hit]:
    """Bug: data that can run as code turns a hostile document or model file into a foothold."""
    for line, name in module.imports():
        if name.partition(".")[0] in CODE_LOADERS:
            yield line, f"{name.partition('.')[0]} runs code from data"
    for call, called in module.calls():
        if called in CODE_RUNNERS or called in UNSAFE_CALLS:
            yield call.lineno, f"{called} runs code from data"
        for flag in call.keywords:
            off = isinstance(flag.value, ast.Constant) and flag.value.value is False
            if flag.arg in UNSAFE_FLAGS and not off:
                yield call.lineno, f"{flag.arg} must stay off"


def broad_except(module: Module) -> Iterator[Hit]:
    """Bug: a handler for everything swallows the failed check, and the request goes on.

    Translating into an error of our own is not swallowing: a handler may catch everything when
    its last statement raises and nothing in it leaves by another way.
    """
    if module.within("ragplatform/api", "ingest/refusals"):
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ExceptHandler) and _catches_all(node.type) and not _raises(node):
            yield node.lineno, "everything is caught and not raised again"
    for call, called in module.calls():
        if called == "contextlib.suppress" and any(map(_catches_all, call.args)):
            yield call.lineno, "everything is suppressed"


def _catches_all(kind: ast.expr | None) -> bool:
    """Return whether an except clause takes Exception, BaseException or anything at all."""
    if kind is None:
        return True
    if isinstance(kind, ast.Tuple):
        return any(_catches_all(each) for each in kind.elts)
    return isinstance(kind, ast.Name) and kind.id in {"Exception", "BaseException"}


def _raises(handler: ast.ExceptHandler) -> bool:
    """Return whether the handler can end in no other way than by raising."""
    ways_out = ast.Return | ast.Continue | ast.Break
    leaves = any(isinstance(node, ways_out) for node in ast.walk(handler))
    return isinstance(handler.body[-1], ast.Raise) and not leaves


def negative_filters(module: Module) -> Iterator[Hit]:
    """Bug: a must_not whose condition never matches excludes nothing, so the filter fails open.

    Qdrant Edge 0.9.0 never matches booleans. Filters say what is allowed. There are two exceptions.
    One is a list of keyword conditions that the adapter's own ``_any_of`` makes, which the contract
    suite compares with an oracle on every engine. The other is a ``MatchExcept`` that a plan's
    ``left_out`` chooses: it is false of what lacks the field, and what it finds is looked at once
    more (docs/decisions/0046-classes-by-number.md).
    """
    planned = set[ast.AST]()
    for node in ast.walk(module.tree):
        word: object = None
        match node:
            case ast.IfExp(
                test=ast.Attribute(attr="left_out"),
                body=ast.Call(func=ast.Attribute(attr="MatchExcept") as chosen),
            ):
                planned.add(chosen)
            case ast.Attribute() if node in planned:
                continue
            case ast.keyword(
                arg="must_not", value=ast.ListComp(elt=ast.Call(func=ast.Name(id="_any_of")))
            ):
                continue
            case ast.Attribute(attr=word) | ast.Name(id=word) | ast.Constant(value=word):
                yield from _negation(node.lineno, word)
            case ast.keyword(arg=word, value=value):
                yield from _negation(value.lineno, word)


def _negation(line: int, word: object) -> Iterator[Hit]:
    """Yield a hit when the word negates a condition."""
    if word in NEGATIVE_WORDS:
        yield line, "a filter says what is allowed, never what is not"


def text_in_messages(module: Module) -> Iterator[Hit]:
    """Bug: an error message or log line with the question in it outlives every redaction.

    Told by the variable's name, so it catches the slip, not the intent; ``len(text)`` passes. The
    texts of egress and config are addresses and settings.
    """
    if module.within("ragplatform/egress", "ragplatform/config"):
        return
    for node in ast.walk(module.tree):
        match node:
            case ast.Raise(exc=ast.Call() as call):
                pass
            case ast.Call() as call if _is_log_call(call):
                pass
            case _:
                continue
        for value in (*call.args, *(keyword.value for keyword in call.keywords)):
            if name := _leaked(value):
                yield call.lineno, f"'{name}' may hold document or question text: say its length"


def _is_log_call(call: ast.Call) -> bool:
    """Return whether the call writes a log line: ``log.info(...)``, ``self._log.bind(...)``."""
    if not (isinstance(call.func, ast.Attribute) and call.func.attr in LOG_METHODS):
        return False
    owner = ast.unparse(call.func.value).rpartition(".")[2].strip("_").lower()
    return owner in {"log", "logger", "logging"}


def _leaked(value: ast.expr) -> str:
    """Return the telling name that a message shows as it is, or ""."""
    shown: list[ast.expr] = []
    match value:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name if name in SECRET_NAMES else ""
        case ast.JoinedStr(values=parts) | ast.Tuple(elts=parts):
            shown = parts
        case ast.FormattedValue(value=inner) | ast.Subscript(value=inner):
            shown = [inner]
        case ast.BinOp(left=left, op=ast.Mod() | ast.Add(), right=right):
            shown = [left, right]
        case ast.Call(func=ast.Attribute(attr="format"), args=args):
            shown = args
    return next(filter(None, map(_leaked, shown)), "")


def vague_names(module: Module) -> Iterator[Hit]:
    """Bug: a module called utils collects what nobody owns, and its import breaks the layers."""
    for part in module.path.removesuffix(".py").split("/"):
        if part.strip("_") in VAGUE_NAMES:
            yield 1, f"'{part}' names no thing: say what the module hides"


def long_functions(module: Module) -> Iterator[Hit]:
    """Bug: a check skipped on line 200 of a function is seen by no reviewer."""
    for function in module.functions():
        length = (function.end_lineno or function.lineno) - function.lineno + 1
        if length > LONGEST_FUNCTION:
            yield function.lineno, f"{function.name} has {length} lines, {LONGEST_FUNCTION} at most"
