"""Which code a piece of work runs: a digest for each definition that it can reach, found without running it.

A definition is a top-level function, class or constant of the package. It reaches what it names: in its own module,
through imports, and through re-exports of a package, one name at a time, so that a change of one model's formula
leaves the work with other models as it was. What a registry holds is looked up by a word at run time, so definitions
of a registry (`MODELS`, `BASELINES`) do not reach its members: work with a model names the model's module beside its
own function. Comments, docstrings and layout are no part of a digest. A constant that names a file of the package,
such as "strategies.toml", reaches that file's bytes.

Methods that are called on an object whose class no reached definition names are not seen; annotations name them.
"""

import ast
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path

PACKAGE = "clvmodels"
REGISTRIES = ("clvmodels.models", "clvmodels.models.kernels", "clvmodels.baselines")
DATA_FILES = (".toml", ".json", ".css", ".js", ".otf", ".txt", ".j2")

Target = tuple[str, str]  # module and name in it; name "" for the module itself


@dataclass(frozen=True)
class Definition:
    """A top-level definition: its text without comments and docstrings, and all that it names."""

    text: str
    names: frozenset[str]
    attributes: frozenset[tuple[str, str]]
    imports: Mapping[str, Target]
    files: tuple[Path, ...]


@dataclass(frozen=True)
class Module:
    """A module's definitions, what its imports bind, and its place."""

    definitions: Mapping[str, Definition]
    imports: Mapping[str, Target]
    path: Path


def code_digests(roots: Iterable[str]) -> dict[str, str]:
    """Digest of every definition that the roots reach, by "module:name", and of data files by their path.

    Parameters
    ----------
    roots : "module:name" for a definition, "module" for all those of a module

    Raises
    ------
    LookupError
        If a root is not in the package: a mistake of the caller.
    """
    waiting = [target for root in roots for target in _root(root)]
    found: dict[str, str] = {}
    while waiting:
        module, name = waiting.pop()
        key = f"{module}:{name}"
        if key in found:
            continue
        definition = _module(module).definitions[name]
        found[key] = hashlib.sha256(definition.text.encode()).hexdigest()
        found.update((_named(path), hashlib.sha256(path.read_bytes()).hexdigest()) for path in definition.files)
        waiting += _reached(module, definition)
    return dict(sorted(found.items()))


def _root(root: str) -> list[Target]:
    module, _, name = root.partition(":")
    known = _module(module).definitions
    if not name:
        return [(module, each) for each in known]
    target = _resolved(module, name)
    if target is None:
        raise LookupError(f"{root} is no definition of {PACKAGE}.")
    return [target]


def _reached(module: str, definition: Definition) -> Iterator[Target]:
    """The definitions of the package that one names."""
    for name in definition.names:
        yield from _known(_of_name(module, definition, name))
    for owner, attribute in definition.attributes:
        bound = definition.imports.get(owner) or _module(module).imports.get(owner)
        if bound is not None and _is_module(bound):
            yield from _known(_resolved(".".join(filter(None, bound)), attribute))
    for target in definition.imports.values():
        yield from _known(_landed(target))


def _of_name(module: str, definition: Definition, name: str) -> Target | None:
    if module in REGISTRIES and name not in _module(module).definitions:
        return None  # a member of the registry
    return _landed(definition.imports[name]) if name in definition.imports else _resolved(module, name)


def _known(target: Target | None) -> Iterator[Target]:
    if target is not None:
        yield target


def _resolved(module: str, name: str) -> Target | None:
    """Where a name of a module is defined; None for one from elsewhere."""
    if not module.startswith(PACKAGE):
        return None
    inside = _module(module)
    if name in inside.definitions:
        return module, name
    return _landed(inside.imports[name]) if name in inside.imports else None


def _landed(target: Target) -> Target | None:
    """Where an import leads: a definition, or None for a module as a whole or one from elsewhere."""
    module, name = target
    if not module.startswith(PACKAGE) or not name or _is_module(target):
        return None
    return _resolved(module, name)


@cache
def _is_module(target: Target) -> bool:
    module, name = target
    return module.startswith(PACKAGE) and (not name or _place(f"{module}.{name}") is not None)


@cache
def _place(module: str) -> Path | None:
    """The file of a module of the package."""
    spec = find_spec(PACKAGE)
    assert spec is not None
    assert spec.submodule_search_locations
    inside = Path(spec.submodule_search_locations[0]).joinpath(*module.split(".")[1:])
    for path in (inside.with_suffix(".py") if module != PACKAGE else inside / "__init__.py", inside / "__init__.py"):
        if path.is_file():
            return path
    return None


@cache
def _module(name: str) -> Module:
    path = _place(name)
    if path is None:
        raise LookupError(f"{name} is no module of {PACKAGE}.")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    reading = _Reading(package, path)
    for statement in _statements(tree.body):
        reading.take(statement)
    return Module(reading.definitions, reading.imports, path)


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Top-level statements, those under `if TYPE_CHECKING` and `try` among them."""
    for statement in body:
        if isinstance(statement, ast.If | ast.Try):
            yield from _statements(statement.body)
            yield from _statements(statement.orelse)
        else:
            yield statement


@dataclass
class _Reading:
    """A module while it is read."""

    package: str
    path: Path
    definitions: dict[str, Definition] = field(default_factory=dict)
    imports: dict[str, Target] = field(default_factory=dict)

    def take(self, statement: ast.stmt) -> None:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            self.imports.update(_imported(statement))
        for name in _defined(statement):
            self.definitions[name] = self._definition(statement)

    def _definition(self, statement: ast.stmt) -> Definition:
        bare = _without_docstrings(statement)
        nodes = list(ast.walk(bare))
        inner = [node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]
        return Definition(
            text=ast.unparse(bare),
            names=frozenset(node.id for node in nodes if isinstance(node, ast.Name)) | _quoted(nodes),
            attributes=frozenset(
                (node.value.id, node.attr)
                for node in nodes
                if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
            ),
            imports={name: target for each in inner for name, target in _imported(each).items()},
            files=tuple(self._files(nodes)),
        )

    def _files(self, nodes: list[ast.AST]) -> Iterator[Path]:
        for node in nodes:
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.endswith(DATA_FILES):
                beside = self.path.parent / node.value
                if "\0" not in node.value and beside.is_file():
                    yield beside


def _imported(statement: ast.Import | ast.ImportFrom) -> dict[str, Target]:
    """What an import binds. Imports of this package are absolute."""
    if isinstance(statement, ast.Import):
        return {(each.asname or each.name).partition(".")[0]: (each.name, "") for each in statement.names}
    return {each.asname or each.name: (statement.module or "", each.name) for each in statement.names}


def _defined(statement: ast.stmt) -> list[str]:
    if isinstance(statement, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
        return [statement.name]
    if isinstance(statement, ast.TypeAlias):
        return [statement.name.id]
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    return [
        node.id for target in targets if target is not None for node in ast.walk(target) if isinstance(node, ast.Name)
    ]


def _quoted(nodes: list[ast.AST]) -> frozenset[str]:
    """Names of annotations that are written as text."""
    texts = [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return frozenset(text for text in texts if text.isidentifier())


def _without_docstrings(statement: ast.stmt) -> ast.stmt:
    for node in ast.walk(statement):
        if (
            isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef)
            and ast.get_docstring(node) is not None
        ):
            node.body = node.body[1:] or [ast.Pass()]
    return statement


def _named(path: Path) -> str:
    place = _place(PACKAGE)
    assert place is not None
    return path.relative_to(place.parent).as_posix()
