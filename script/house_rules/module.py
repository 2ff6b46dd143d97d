"""A parsed file, as the rules see it: what its names mean, what it calls, imports and defines."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
Hit: TypeAlias = tuple[int, str]


@dataclass(frozen=True, slots=True)
class Module:
    """A parsed file: its path from the root of the repository, its tree, what its names mean."""

    path: str
    tree: ast.Module
    names: dict[str, str]

    def within(self, *places: str) -> bool:
        """Return whether the file is one of the places, or lies in one of them."""
        stem = self.path.removesuffix(".py")
        return any(stem == place or self.path.startswith(f"{place}/") for place in places)

    def dotted(self, node: ast.AST) -> str:
        """Return the full dotted name of an expression, or "" when it is not a plain name."""
        if isinstance(node, ast.Name):
            return self.names.get(node.id, node.id)
        if isinstance(node, ast.Attribute):
            owner = self.dotted(node.value)
            return f"{owner}.{node.attr}" if owner else ""
        return ""

    def calls(self) -> Iterator[tuple[ast.Call, str]]:
        """Yield every call with the full name of what is called."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Call):
                yield node, self.dotted(node.func)

    def imports(self) -> Iterator[tuple[int, str]]:
        """Yield the line and the full name of everything imported, at any depth of the file."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from ((node.lineno, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                origin = "." * node.level + (node.module or "")
                yield from ((node.lineno, f"{origin}.{alias.name}") for alias in node.names)

    def functions(self) -> Iterator[Function]:
        """Yield every function, nested ones and methods included."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node


def _meanings(tree: ast.Module) -> dict[str, str]:
    """Return what each imported or plainly re-assigned name of the file stands for."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                root = alias.name.partition(".")[0]
                names[alias.asname or root] = alias.name if alias.asname else root
        elif isinstance(node, ast.ImportFrom):
            origin = "." * node.level + (node.module or "")
            for alias in node.names:
                names[alias.asname or alias.name] = f"{origin}.{alias.name}"
    # A second pass follows `Maker = httpx2.Client`, wherever in the file it stands.
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Name | ast.Attribute):
            meaning = Module("", tree, names).dotted(node.value)
            for target in node.targets:
                if isinstance(target, ast.Name) and meaning.partition(".")[0] in names.values():
                    names.setdefault(target.id, meaning)
    return names


def parse(source: str, path: str) -> Module:
    """Return the file as a module. Raises ``SyntaxError`` when it cannot be parsed."""
    tree = ast.parse(source, filename=path)
    return Module(path, tree, _meanings(tree))


def type_positions(tree: ast.Module) -> set[int]:
    """Return the ids of all nodes that stand where a class is only spoken of, never made."""
    roots: list[ast.AST | None] = []
    for node in ast.walk(tree):
        match node:
            case ast.arg(annotation=annotation):
                roots.append(annotation)
            case ast.FunctionDef(returns=returns) | ast.AsyncFunctionDef(returns=returns):
                roots.append(returns)
            case ast.AnnAssign(annotation=annotation, value=value):
                roots.append(annotation)
                if ast.unparse(annotation).endswith("TypeAlias"):
                    roots.append(value)
            case ast.Call(func=ast.Name(id="isinstance" | "issubclass"), args=[_, kind]):
                roots.append(kind)
            case ast.MatchClass(cls=cls):
                roots.append(cls)
            case ast.Subscript(slice=inside):
                roots.append(inside)
    return {id(inner) for root in roots if root is not None for inner in ast.walk(root)}
