"""The rules that let only one package make each of ``Scope``, ``Cleared`` and ``Receipt``."""

import ast
from collections.abc import Iterator
from typing import Final

from script.house_rules.module import Hit, Module, type_positions

# The class, and the package that alone may make it.
SEALED: Final = {
    "Scope": "ragplatform/policy",
    "Cleared": "ragplatform/privacy",
    "Receipt": "ragplatform/audit",
}
OUR_ROOTS: Final = ("ragplatform", "ingest", "")
_OWN: Final = ("self", "cls")


def _sealed_name(module: Module, node: ast.AST) -> str | None:
    """Return which sealed class an expression names, if one."""
    root, _, _ = (dotted := module.dotted(node)).partition(".")
    last = dotted.rpartition(".")[2]
    ours = root in OUR_ROOTS or "." not in dotted
    return last if last in SEALED and ours else None


def sealed_types(module: Module) -> Iterator[Hit]:
    """Bug: a Scope, Cleared or Receipt made elsewhere skips policy, masking or the audit log.

    Outside its home such a class may be imported, stand in an annotation and be asked for with
    isinstance; any other mention could make one (a call, an alias, ``partial``, a subclass).
    """
    spoken_of = type_positions(module.tree)
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Name | ast.Attribute) or id(node) in spoken_of:
            continue
        name = _sealed_name(module, node)
        if name and not module.within(SEALED[name]):
            yield node.lineno, f"{name} may be made only under {SEALED[name]}/"


def _mentions_sealed(module: Module, node: ast.AST, typed: dict[str, str]) -> str | None:
    """Return which sealed class an expression seems to hold, by its annotation or its words."""
    for inner in ast.walk(node):
        word = inner.id if isinstance(inner, ast.Name) else getattr(inner, "attr", "")
        for name, home in SEALED.items():
            if not module.within(home) and (typed.get(word) == name or name.lower() in word):
                return name
    return None


def _annotated(module: Module) -> dict[str, str]:
    """Return the names whose annotation speaks of a sealed class, and of which."""
    typed: dict[str, str] = {}
    for node in ast.walk(module.tree):
        match node:
            case ast.arg(arg=name, annotation=ast.expr() as annotation):
                pass
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation):
                pass
            case _:
                continue
        kinds = (_sealed_name(module, inner) for inner in ast.walk(annotation))
        typed[name] = next(filter(None, kinds), "")
    return typed


def sealed_copies(module: Module) -> Iterator[Hit]:
    """Bug: ``replace(scope, filter=wider)`` widens a scope that policy has narrowed.

    Nor may one be rebuilt by ``type(x)(...)``, ``__new__``, ``getattr`` or ``__setattr__``.
    """
    typed = _annotated(module)
    for call, called in module.calls():
        if called in {"dataclasses.replace", "copy.replace"} and call.args:
            if name := _mentions_sealed(module, call.args[0], typed):
                yield call.lineno, f"a copy of a {name} may be made only under {SEALED[name]}/"
        elif called == "getattr" and len(call.args) > 1:
            asked = call.args[1]
            if isinstance(asked, ast.Constant) and asked.value in SEALED:
                yield call.lineno, f"{asked.value} is fetched by its name"
        elif message := _back_door(call, called):
            yield call.lineno, message


def _back_door(call: ast.Call, called: str) -> str:
    """Return what is wrong with a call that makes or alters an object behind its class."""
    own = bool(call.args) and isinstance(call.args[0], ast.Name) and call.args[0].id in _OWN
    match call.func:
        case ast.Call(func=ast.Name(id="type"), args=[ast.Name(id=name)]) if name not in _OWN:
            return "type(x)(...) makes an object without naming its class"
        case ast.Attribute(attr="__class__", value=owner):
            if not (isinstance(owner, ast.Name) and owner.id in _OWN):
                return "x.__class__(...) makes an object without naming its class"
        case ast.Attribute(attr="__replace__"):
            return "__replace__ copies an object without naming its class"
    if called == "object.__new__" and not own:
        return "object.__new__ makes an object without its checks"
    if called == "object.__setattr__" and not own:
        return "object.__setattr__ alters a frozen object"
    return ""
