"""How pages are made out of templates: what is not said to be HTML is escaped, what is missing is an error."""

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined


def environment_of(package: str, **options: Any) -> Environment:
    """The templates of a package's folder `templates`; `options` are jinja2's own."""
    return Environment(
        loader=PackageLoader(package),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        **options,
    )
