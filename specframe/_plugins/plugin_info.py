"""Who a plug-in is: its name, its distribution, and the one message about its faults."""

from __future__ import annotations

import attrs

from specframe._errors import PluginError


@attrs.frozen
class PluginInfo:
    """Name a plug-in and where it came from."""

    name: str
    distribution: str
    version: str
    module: str

    @property
    def is_built_in(self) -> bool:
        """Tell whether it is part of specframe itself."""
        return self.distribution == "specframe"

    def __str__(self) -> str:
        """Return it as every message names it."""
        return f"plug-in '{self.name}' ({self.distribution} {self.version})"

    @property
    def package(self) -> str:
        """Return the top-level package of its code."""
        return self.module.partition(".")[0]

    def fault(self, what: str, *, at: str = "") -> PluginError:
        """Return a PluginError about a fault: who, what, the line, and how to continue."""
        way_out = (
            "It is part of specframe: reinstall specframe"
            if self.is_built_in
            else f"To continue without it, uninstall {self.distribution}, or name the plug-ins "
            "that you do want in SPECFRAME_PLUGINS (empty: none)"
        )
        where = f" (at {at})" if at else ""
        return PluginError(f"{self} {what}{where}. {way_out}.", is_named=True)
