"""Fields that a person wrote: read from a file, and made a struct."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from rankloop.errors import SettingsError

__all__ = ["as_struct", "read_fields"]

_Struct = TypeVar("_Struct", bound=msgspec.Struct)


def as_struct(fields: Mapping[str, Any], kind: type[_Struct], what: str) -> _Struct:
    """The struct with some fields given and the others as they are by default.

    Args:
        fields: by their names.
        kind: of struct; it forbids unknown fields.
        what: it is, in words, for the error.

    Raises:
        SettingsError: an unknown field, or a wrong type.

    Example:
        >>> class Limits(msgspec.Struct, forbid_unknown_fields=True):
        ...     rows: int = 500
        >>> as_struct({"rows": 20}, Limits, "limits")
        Limits(rows=20)
    """
    try:
        return msgspec.convert(dict(fields), kind)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{what}: {error}; its fields are {', '.join(kind.__struct_fields__)}") from error


def read_fields(path: Path, what: str) -> dict[str, Any]:
    """The fields of a YAML file that a person wrote.

    Args:
        path: the file.
        what: it holds, in words, for the error.

    Raises:
        SettingsError: the file cannot be read, or is not a mapping.

    Example:
        >>> import tempfile
        >>> from rankloop.files import write_aside
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     read_fields(write_aside(Path(folder) / "policy.yaml", "tolerance: 0.02"), "gate policy")
        {'tolerance': 0.02}
    """
    import yaml  # services that read no such file need not wait for it

    try:
        fields = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"{what}: {path} cannot be read ({error}); it is a YAML mapping of fields") from error
    if not isinstance(fields, dict):
        raise SettingsError(f"{what}: {path} is not a YAML mapping of fields")
    return fields
