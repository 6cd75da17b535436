"""An architecture as files to use elsewhere: its JSON, its drawing, a PyTorch module, and ONNX."""

from nas.report.export.find import FORMAT, Find, alone, exported, read_find
from nas.report.export.write import FILES, ONNX, Exported, export

__all__ = ["FILES", "FORMAT", "ONNX", "Exported", "Find", "alone", "export", "exported", "read_find"]
