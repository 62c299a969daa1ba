"""Models of other tools as specs: a reader for each format, and what is common to all, the text, its acceptance and its weights.

An import goes through four steps, each in a file of its own:

1. `registry.py` finds the format of a source, and its reader.
2. The reader gives an `Imported` (`imported.py`): a spec as text, or a graph; weights by the spec's names; notes.
3. `importing.py` writes a graph as a spec, elaborates the text again, and refuses it unless it is the very same network.
4. `archc.runtime.likeness` holds the result against the original: outputs, training, with controls. It alone needs torch.

**A reader** is a function, with a row in `registry.FORMATS` that says where it is, how its files end, and what it is given:

    def read_darknet(source: Source, name: str, weights: Path | None = None) -> Imported    # takes="text": a file of text, with places
    def read_onnx(path: Path, name: str, weights: Path | None = None) -> Imported           # takes="file": anything else

`name` is what the network is called where the file does not say, `weights` the file that was named beside it (`--weights`). The module is
imported when a source is its own, so it may import what its format needs; what is missing is told by `archc.text.extras`. Where files of
several formats end alike (.json, .yaml), the row has `recognises`: a function of the file's first bytes in the same module.

**Refusing.** What cannot be said exactly is refused at its place: `draft.Refused` with a span of the text, `ImportedError` where there is
no text. A reader never guesses, runs nothing that a file says, and bounds its work. What the file says and a spec does not, it puts among
the `notes`, each beginning with the place: `[yolo] on line 17: …`.

**A spec** is written by `draft.Draft`, layer by layer; shapes are known as soon as a layer is added, so that a reader can decide by them.
"""

from archc.importing.imported import Imported, ImportedError
from archc.importing.importing import Import, import_graph, import_source

__all__ = ["Import", "Imported", "ImportedError", "import_graph", "import_source"]
