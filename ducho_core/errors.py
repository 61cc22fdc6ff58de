"""The exception tree.

DuchoError                      anything Ducho says no to            exit code 1
├── UsageError                  the command or call is wrong         exit code 2
│   └── OptionError             a plugin option is wrong
├── SourceError                 the catalogue's files are wrong
├── PluginError                 something about a plugin
│   ├── PluginNotFoundError     nothing of that name is installed    exit code 2
│   ├── PluginLoadError         installed, but it cannot be imported
│   ├── PluginCollisionError    two distributions claim one name
│   └── ContractError           it broke the plugin contract
├── StoreError                  something about a feature store
│   ├── SetNotFoundError        no feature set of that name          exit code 2
│   ├── SpecMismatchError       the set was made with other settings
│   ├── ChangedInputError       a known key has new content
│   └── CorruptionError         a file is damaged
├── ItemError                   one item cannot be used; the run goes on
├── TransientError              may succeed when tried again
└── DeviceMemoryError           a batch does not fit on the device
"""

from __future__ import annotations

__all__ = [
    "ChangedInputError",
    "ContractError",
    "CorruptionError",
    "DeviceMemoryError",
    "DuchoError",
    "ItemError",
    "OptionError",
    "PluginCollisionError",
    "PluginError",
    "PluginLoadError",
    "PluginNotFoundError",
    "SetNotFoundError",
    "SourceError",
    "SpecMismatchError",
    "StoreError",
    "TransientError",
    "UsageError",
]


class DuchoError(Exception):
    """Root of every error that Ducho raises on purpose."""

    exit_code = 1


class UsageError(DuchoError):
    """The command line, recipe or call asks for something that does not exist or fit."""

    exit_code = 2


class OptionError(UsageError):
    """A plugin option has an unknown name or a wrong value."""


class SourceError(DuchoError):
    """A catalogue source cannot be read as it is."""


class PluginError(DuchoError):
    """Something about a plugin.

    Attributes:
        remedy: what to do about it, often a command to paste; None where that is not known.
            It is part of the message too.
    """

    def __init__(self, message: str, remedy: str | None = None) -> None:
        super().__init__(message if remedy is None else f"{message}: {remedy}")
        self.remedy = remedy

    def __reduce__(self) -> tuple[type[PluginError], tuple[str], dict[str, str | None]]:
        return type(self), (str(self),), {"remedy": self.remedy}


class PluginNotFoundError(PluginError):
    """No installed plugin offers what was asked for."""

    exit_code = 2


class PluginLoadError(PluginError):
    """A plugin is installed but cannot be imported, or its hook raises."""


class PluginCollisionError(PluginError):
    """Two distributions claim the same plugin name."""


class ContractError(PluginError):
    """A plugin broke the contract, for example by returning too few rows."""


class StoreError(DuchoError):
    """Something about a feature store."""


class SetNotFoundError(StoreError):
    """No feature set, or more than one, answers to a name."""

    exit_code = 2


class SpecMismatchError(StoreError):
    """A feature set was made with other settings than the ones asked for."""


class ChangedInputError(StoreError):
    """Keys that the store knows now have other content."""


class CorruptionError(StoreError):
    """A file of the store is damaged."""


class ItemError(DuchoError):
    """One item cannot be used. It becomes a failure row and the run goes on.

    Args:
        index: position of the culprit in the list handed to the method that raises.
        code: short snake_case reason, the same for every item with this fault.
        message: what is wrong with this item, for a person.
    """

    def __init__(self, index: int, code: str, message: str) -> None:
        super().__init__(index, code, message)
        self.index = index
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class TransientError(DuchoError):
    """Something outside the item (network, storage, memory) failed and may work later."""


class DeviceMemoryError(DuchoError):
    """A batch did not fit into the device's memory; the core tries smaller ones."""
