"""The modules of a start from one file, where each would have to be found, opened and read.

`images/base/compile.py` writes that file beside the package, for the Python that runs it, and
`ravi-entrypoint` reads it: an object of `marshal` that has this module's code and the table, then
the code of each module in the table.
"""

import sys
from _frozen_importlib import ModuleSpec  # importlib.machinery's; to import that takes longer
from marshal import loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from importlib.abc import Loader
    from types import ModuleType

    # By a module's name: its source, and where its code begins, in bytes from the end of the file.
    Table = Mapping[str, tuple[str, int]]
else:
    Loader = object  # to import the class would take longer than all of this saves

_OF_PACKAGE = "/__init__.py"


class PackedModules(Loader):
    """A finder and a loader: importlib.abc.MetaPathFinder and importlib.abc.Loader.

    data: all of the file.
    """

    def __init__(self, data: bytes, table: "Table") -> None:
        self._data = memoryview(data)
        self._table = table

    def find_spec(
        self, name: str, _path: "Sequence[str] | None", _target: "ModuleType | None" = None
    ) -> ModuleSpec | None:
        """None for a module that is not in the table."""
        if name not in self._table:
            return None
        source, _ = self._table[name]
        spec = ModuleSpec(name, self, origin=source)
        if source.endswith(_OF_PACKAGE):
            spec.submodule_search_locations = [source.removesuffix(_OF_PACKAGE)]
        return spec

    def create_module(self, spec: ModuleSpec) -> None:
        """None, for a module as Python makes it."""

    def exec_module(self, module: "ModuleType") -> None:
        """Run the module's code."""
        source, start = self._table[module.__name__]
        # `spec.has_location` would do it, and look up the name of a compiled file.
        module.__file__ = source
        exec(loads(self._data[start:]), module.__dict__)  # noqa: S102, S302 - as importlib does

    def clear(self) -> None:
        """Let go of the file; each module that was imported keeps its loader."""
        self._data, self._table = memoryview(b""), {}


def forget_packed() -> None:
    """Free the file's memory. What is imported later comes from a file of its own."""
    for finder in [one for one in sys.meta_path if isinstance(one, PackedModules)]:
        sys.meta_path.remove(finder)
        finder.clear()
