"""Models by name: from a Python file, a module, torchvision or timm. What is named is run, so no spec can name it."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn
from torch.utils.weak import WeakTensorKeyDictionary

from archc.errors import ArgumentError, MissingPackage
from archc.ops.plugins import without_bytecode
from archc.text.suggest import did_you_mean

IMAGE, LARGER = (3, 224, 224), (3, 299, 299)  # of torchvision's classifiers; its Inception was trained on the larger


@dataclass(frozen=True)
class NamedModel:
    """A model that was named. `input` is what its package says that it takes; `file` the one that was run, where it was a file's."""

    module: nn.Module
    name: str
    input: tuple[int, ...] | None = None
    file: Path | None = None


def load_model(named: str, *, empty: bool = True) -> NamedModel:
    """The model of `file.py:callable`, `package.module:callable`, `torchvision:NAME` or `timm:NAME`.

    empty: whether the parameters of a model of torchvision or timm may lack values, which takes less time
    Raises ArgumentError, MissingPackage, and whatever the code that was named raises.
    """
    source, _, name = named.partition(":") if named.startswith(("torchvision:", "timm:")) else named.rpartition(":")
    if named.endswith(".pt2"):
        raise ArgumentError(
            f"{named} may hold pickled objects, and torch.export.load runs what they say, so archc does not open it; name the code that "
            "makes the model, model.py:make_net, or if you trust the file, a function that returns torch.export.load(…).module()"
        )
    if source in ZOOS:
        return ZOOS[source](name, on_meta if empty else _as_it_is)
    if not source or not name:
        raise ArgumentError(f"{named} does not say what makes the model; {_hint(Path(source or named.rstrip(':')))}")
    with without_bytecode():
        file = Path(source) if source.endswith(".py") else None
        module = _run_file(file) if file is not None else _import(source)
        found = _attribute(module, name, source)
        return NamedModel(_made(found, named), name.rpartition(".")[2], None, file)


def _run_file(file: Path) -> ModuleType:
    """Runs a file as `python file.py` would, but for the name: what lies beside it can be imported."""
    if not file.is_file():
        beside = [path.as_posix() for path in file.parent.glob("*.py")] if file.parent.is_dir() else []
        hint = did_you_mean(file.as_posix(), beside)
        raise ArgumentError(f"there is no file {file}{f'; {hint}' if hint else ''}")
    folder = str(file.resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    name = file.stem if file.stem.isidentifier() and file.stem not in sys.modules else f"archc_model_{abs(hash(file.resolve()))}"
    spec = spec_from_file_location(name, file)
    assert spec is not None and spec.loader is not None
    module = sys.modules[name] = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _import(name: str) -> ModuleType:
    """An installed module, or one of the working folder."""
    if (here := str(Path.cwd())) not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise  # the module is there, and imports what is not
        package, _, rest = name.rpartition(".")
        within = f" in {package}" if package and error.name != package else ""
        missing = f"there is no module {(rest if within else error.name)!r}{within}, here or installed"
        raise MissingPackage(f"{missing}; a file is written {name}.py:…") from None


def _attribute(module: ModuleType, name: str, source: str) -> Any:
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            hint = did_you_mean(part, _makers(found)) or _list_of(_makers(found))
            raise ArgumentError(f"{source} has nothing called {name}{f'; {hint}' if hint else ''}")
        found = getattr(found, part)
    return found


def _made(found: Any, named: str) -> nn.Module:
    """A module, or what a class or function makes without arguments."""
    if isinstance(found, nn.Module):
        return found
    if not callable(found):
        raise ArgumentError(f"{named} is {_kind_of(found)}: no module of PyTorch, and nothing that makes one")
    try:
        inspect.signature(found).bind()
    except TypeError as error:
        raise ArgumentError(f"{named} wants arguments ({error}); name a function that makes the model without any") from None
    except ValueError:  # written in C: it has no signature
        pass
    made = found()
    if not isinstance(made, nn.Module):
        raise ArgumentError(f"{named} returns {_kind_of(made)}, not a module of PyTorch")
    return made


def _kind_of(value: object) -> str:
    name = type(value).__name__
    return "nothing" if value is None else f"a{'n' * (name[0].lower() in 'aeiou')} {name}"


def _makers(module: Any) -> list[str]:
    """Names of a module or class that may make a model, or are one."""
    own = getattr(module, "__name__", None)
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and (isinstance(value, nn.Module) or (callable(value) and getattr(value, "__module__", None) == own))
    ]


def _list_of(names: Iterable[str], most: int = 8) -> str:
    listed = list(names)
    return f"it has {', '.join(listed[:most])}{' …' * (len(listed) > most)}" if listed else ""


def _hint(file: Path) -> str:
    """What may be written after the colon, from the text of a file that is not run."""
    import ast

    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, SyntaxError, RecursionError):
        return f"write {file}:NAME, a class or function"
    names = [node.name for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_")]
    if len(names) == 1:
        return f"write {file}:{names[0]}"
    return f"write {file}:NAME with one of {', '.join(names[:8])}" if names else f"{file} has no class or function"


Making = Callable[[Callable[[], nn.Module]], nn.Module]  # how a model is made by the function that makes it


def _torchvision(name: str, made: Making) -> NamedModel:
    try:
        importlib.import_module("torchvision")
        models = importlib.import_module("torchvision.models")
    except ModuleNotFoundError as error:
        raise _missing(error, "torchvision", name) from None
    known = models.list_models()
    if name not in known:
        raise ArgumentError(_unknown("torchvision", name, known))
    options: dict[str, Any] = {"weights": None}
    takes = inspect.signature(models.get_model_builder(name)).parameters
    options |= {"weights_backbone": None} if "weights_backbone" in takes else {}
    module = made(lambda: models.get_model(name, **options))
    images = name in models.list_models(module=models) or name.startswith("quantized_")
    return NamedModel(module, name, (LARGER if "inception" in name else IMAGE) if images else None)


def _timm(name: str, made: Making) -> NamedModel:
    try:
        timm = importlib.import_module("timm")
    except ModuleNotFoundError as error:
        raise _missing(error, "timm", name) from None
    base, _, tag = name.partition(".")
    if not timm.is_model(base):  # which a name that would be fetched is not, either
        raise ArgumentError(_unknown("timm", name, timm.list_models()))
    if tag and name not in (tagged := timm.list_pretrained(f"{base}.*")):
        raise ArgumentError(_unknown("timm", name, [base, *tagged]))
    module = made(lambda: timm.create_model(name, pretrained=False))
    stated = getattr(module, "pretrained_cfg", None) or getattr(module, "default_cfg", None) or {}
    size = stated.get("input_size")
    return NamedModel(module, name, tuple(size) if size else None)


ZOOS: dict[str, Callable[[str, Making], NamedModel]] = {"torchvision": _torchvision, "timm": _timm}


def _as_it_is(make: Callable[[], nn.Module]) -> nn.Module:
    return make()


def on_meta(make: Callable[[], nn.Module]) -> nn.Module:
    """A model whose parameters have no values, which takes little time to make; with values where it needs them to be made.

    Buffers have theirs, which a capture may have to read: the offsets within a window, where a map was rolled.
    """
    try:
        with _empty_parameters():
            return make()
    except Exception:
        return make()


@contextmanager
def _empty_parameters() -> Iterator[None]:
    """Parameters go to `meta` as modules register them, before they are filled; what is one parameter in two modules stays one."""
    register = nn.Module.register_parameter
    moved: WeakTensorKeyDictionary = WeakTensorKeyDictionary()

    def registered(module: nn.Module, name: str, param: nn.Parameter | None) -> None:
        if type(param) is nn.Parameter and not param.is_meta:
            if param not in moved:
                moved[param] = nn.Parameter(param.detach().to("meta"), requires_grad=param.requires_grad)
            param = moved[param]
        register(module, name, param)

    nn.Module.register_parameter = registered  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        nn.Module.register_parameter = register  # type: ignore[method-assign]


def _missing(error: ModuleNotFoundError, package: str, name: str) -> Exception:
    if error.name != package:
        return error
    return MissingPackage(f"{package}:{name} needs {package}, which is not installed: pip install {package}")


def _unknown(package: str, name: str, known: Iterable[str]) -> str:
    hint = did_you_mean(name, known) or f"{package}.{'models.' * (package == 'torchvision')}list_models() has their names"
    return f"{package} has no model called {name}; {hint}"
