"""Scans chest X-rays for pneumonia with an ONNX network. Research use only; not a medical device.

>>> from pneumoscan import Scanner
>>> for record in Scanner().scan(["./xrays"]):  # doctest: +SKIP
...     print(record.path, record.label, record.probability)
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pneumoscan.model import DeviceError, ModelError
    from pneumoscan.records import Record
    from pneumoscan.scan import Scanner

__version__ = "0.3.0"
__all__ = ["DeviceError", "ModelError", "Record", "Scanner", "__version__"]
_PLACES = {"DeviceError": "model", "ModelError": "model", "Record": "records", "Scanner": "scan"}


def __getattr__(name: str) -> object:
    """Imports the engine on first use, so that `pneumoscan --help` need not load the inference library."""
    if name in _PLACES:
        from importlib import import_module

        return getattr(import_module(f"pneumoscan.{_PLACES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
