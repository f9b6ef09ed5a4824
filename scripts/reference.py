"""docs/reference.md from the docstrings of what `clvmodels` exports.

python scripts/reference.py          writes it
python scripts/reference.py --check  exit code 1 if it is not current
"""

import inspect
import sys
from pathlib import Path

import clvmodels as clv

PAGE = Path(__file__).parents[1] / "docs" / "reference.md"
HEAD = """# Reference

What `import clvmodels as clv` offers, from the docstrings; `python scripts/reference.py` writes this page.
"""


def entry(name: str) -> str:
    """A name with its signature and docstring."""
    thing = getattr(clv, name)
    if isinstance(thing, dict):
        keys = ", ".join(f"`{key}`" for key in thing)
        return f"## clv.{name}\n\nRegistry of {len(thing)}: {keys}.\n"
    doc = inspect.getdoc(thing) or ""
    if inspect.isclass(thing):
        fields = getattr(thing, "__dataclass_fields__", {})  # one whose default is a function is no method
        own = ((attribute, value) for attribute, value in vars(thing).items() if attribute not in fields)
        methods = "".join(member(name, attribute, value) for attribute, value in own)
        return f"## clv.{name}\n\n```text\n{doc}\n```\n{methods}"
    return f"## clv.{name}\n\n```python\n{name}{signature(thing)}\n```\n\n```text\n{doc}\n```\n"


def member(owner: str, attribute: str, value: object) -> str:
    """A public method or property of a class, by its first line."""
    if isinstance(value, classmethod):
        value = value.__func__
    called = inspect.isfunction(value)
    if attribute.startswith("_") or not (called or isinstance(value, property)):
        return ""
    first = (inspect.getdoc(value) or "").splitlines()[0]
    return f"\n- `{owner}.{attribute}{'(...)' if called else ''}`: {first}"


def signature(thing: object) -> str:
    """Names of the arguments and their defaults; types are in the docstring."""
    parts = []
    for parameter in inspect.signature(thing).parameters.values():  # type: ignore[arg-type]
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY and "*" not in parts:
            parts.append("*")
        default = parameter.default
        shown = getattr(default, "__name__", repr(default))
        parts.append(parameter.name if default is inspect.Parameter.empty else f"{parameter.name}={shown}")
    return f"({', '.join(parts)})"


def page() -> str:
    """The whole page."""
    return HEAD + "\n" + "\n".join(entry(name).rstrip() + "\n" for name in sorted(clv.HOMES, key=str.lower))


def main() -> int:
    """Write the page, or check it."""
    if "--check" in sys.argv:
        return int(PAGE.read_text(encoding="utf-8") != page())
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
