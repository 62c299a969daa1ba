"""Weights of a module: loaded by name, all or none; saved whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from archc.errors import Argument
from archc.runtime.weights.files import read
from archc.runtime.weights.mismatch import Skipped, hints, list_tensors, sections, shape_text
from archc.runtime.weights.renaming import WeightsError, parse_rule, rename_tensors, shown
from archc.runtime.weights.write import write
from archc.text.diagnostics import printable
from archc.text.quantity import counted

_COUNTER = "num_batches_tracked"  # of batch normalization; files before PyTorch 0.4.1 have none
_PREFIXES = ("module.", "_orig_mod.")  # of DistributedDataParallel and torch.compile


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What `load_weights` did. `cast` lists names by conversion, such as `bfloat16 to float32`."""

    path: Path
    total: int
    loaded: list[str]
    skipped: list[Skipped] = field(default_factory=list)
    cast: dict[str, list[str]] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def missing(self) -> list[str]:
        """Names of the network that the file does not have."""
        return [tensor.name for tensor in self.skipped if not tensor.file]

    @property
    def unexpected(self) -> list[str]:
        """Names of the file that the network does not have."""
        return [tensor.name for tensor in self.skipped if not tensor.network]

    @property
    def different(self) -> list[str]:
        """Names of both, with other shapes or kinds of numbers."""
        return [tensor.name for tensor in self.skipped if tensor.file and tensor.network]

    def text(self) -> str:
        """A summary: a line, and lists of what was left."""
        what = f"all {self.total:,}" if len(self.loaded) == self.total else f"{len(self.loaded):,} of {self.total:,}"
        lines = [f"loaded {what} tensors from {shown(self.path.name)}"]
        notes = [*self.notes, *(f"{counted(len(names), 'tensor')} cast from {what}" for what, names in self.cast.items())]
        return "\n".join([*lines, *(f"  {note}" for note in notes), *sections(self.skipped)])


class UnfitWeights(WeightsError):
    """A file whose tensors are not those of the network; `skipped` are those that do not fit."""

    def __init__(self, *parts: str | Argument, skipped: Sequence[Skipped]) -> None:
        super().__init__(*parts)
        self.skipped = tuple(skipped)


class _Fit(NamedTuple):
    """Names that can be loaded, those that cannot, and notes."""

    names: list[str]
    skipped: list[Skipped]
    notes: list[str]


def load_weights(
    module: nn.Module,
    path: str | os.PathLike[str],
    *,
    rename: Sequence[str] = (),
    partial: bool = False,
    fresh: Collection[str] = (),
    finite: bool = True,
    own: Sequence[str] = (),
) -> Loaded:
    """Loads a file of safetensors, or of torch.save, into a module by name.

    rename: rules `s/pattern/replacement/flags` for the file's names, applied in their order
    partial: loads what fits and tells of the rest, where else every name and shape must fit
    fresh: names that stay as they are, whatever the file has for them
    own: rules of the network's spec, which come first, and change names alone that the network does not have
    finite: refuses weights that are NaN or infinite, and NaN in buffers; else they are loaded, and noted

    Floats are cast to the module's dtype; what becomes an integer must stay the same number. A module on the meta device comes to the
    CPU. Raises WeightsError, and then the module is as it was.
    """
    rules = [parse_rule(text) for text in ([rename] if isinstance(rename, str) else rename)]
    path, module = Path(path), _bare(module)
    ours = _slots(module)
    stored = read(path)
    plain, prefix = _without_prefixes(stored.tensors, ours)
    plain = _renamed_as_spec_says(plain, ours, own)
    names, idle = rename_tensors(plain, rules)
    theirs = {names[name]: tensor for name, tensor in plain.items()}
    fit = _without(fresh, _fit(theirs, ours))
    unused = [f"the rule {shown(rule.text)} changed no name" for rule in idle]
    notes = [*stored.notes, *prefix, *unused, *fit.notes]
    if fit.skipped and not partial:
        raise UnfitWeights(*_unfit_text(path, theirs, ours, fit, notes, "does not fit the network"), skipped=fit.skipped)
    if all(name.endswith(_COUNTER) for name in fit.names):
        raise UnfitWeights(*_unfit_text(path, theirs, ours, fit, notes, "has nothing that fits the network"), skipped=fit.skipped)
    _require_ties(path, fit.names, theirs, ours)
    if bad := _not_finite(fit.names, theirs, ours):
        if finite:
            raise WeightsError(_not_finite_text(path, bad))
        notes.append(f"{counted(len(bad), 'tensor')} with values that are not finite: {', '.join(shown(name) for name, _ in bad[:4])}")
    _copy(module, {name: theirs[name] for name in fit.names}, ours)
    return Loaded(
        path=path,
        total=len(ours),
        loaded=fit.names,
        skipped=fit.skipped,
        cast=_casts(fit.names, theirs, ours),
        metadata=stored.metadata,
        notes=notes,
    )


def save_weights(module: nn.Module, path: str | os.PathLike[str], metadata: Mapping[str, str] | None = None) -> int:
    """Writes a module's weights and buffers as `.safetensors`, or by torch.save as `.pth`; the file's size in bytes.

    A tensor of two names is written under both, so that other programs find it. A `.pth` holds the `state_dict` alone, and takes no
    metadata. Raises WeightsError; what stood there before then stands.
    """
    texts = dict(metadata or {})
    if not all(isinstance(half, str) for pair in texts.items() for half in pair):
        raise WeightsError("metadata must be texts by name: {'dataset': 'imagenet'}")
    slots = _slots(_bare(module))
    empty = next((name for name, tensor in slots.items() if tensor.is_meta), None)
    if empty is not None:
        raise WeightsError(f'"{shown(empty)}" is on the meta device and has no values to save')
    return write(Path(path), _pack(slots), texts)


def _pack(slots: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Contiguous tensors on the CPU, none of which shares memory with another."""
    seen: set[int] = set()
    packed: dict[str, Tensor] = {}
    for name, slot in slots.items():
        tensor = slot.detach().cpu().contiguous()
        storage = tensor.untyped_storage()
        if storage.data_ptr() in seen or storage.nbytes() != tensor.numel() * tensor.element_size():
            tensor = tensor.clone()
        seen.add(tensor.untyped_storage().data_ptr())
        packed[name] = tensor
    return packed


def _bare(module: nn.Module) -> nn.Module:
    """The module inside DataParallel, DistributedDataParallel and torch.compile."""
    while True:
        parallel = isinstance(module, (nn.DataParallel, nn.parallel.DistributedDataParallel))
        inner = module.module if parallel else getattr(module, "_orig_mod", None)
        if not isinstance(inner, nn.Module):
            return module
        module = inner


def _slots(module: nn.Module) -> dict[str, Tensor]:
    """The module's own tensors by name, not copies."""
    slots: dict[str, Tensor] = {}
    for name, slot in module.state_dict(keep_vars=True).items():
        if not isinstance(slot, Tensor):
            raise WeightsError(
                f'"{shown(name)}" of the network is no tensor but a {type(slot).__name__}; only tensors are loaded and saved'
            )
        if torch.nn.parameter.is_lazy(slot):
            raise WeightsError(f'"{shown(name)}" of the network has no shape yet: run the network once before')
        slots[name] = slot
    return slots


def _without_prefixes(tensors: dict[str, Tensor], ours: Iterable[str]) -> tuple[dict[str, Tensor], list[str]]:
    """The file's tensors without what wrappers put before every name, and notes that say so."""
    notes: list[str] = []
    own = list(ours)
    while True:
        counted = [name for name in tensors if name != "n_averaged"]  # of torch.optim.swa_utils.AveragedModel
        prefix = next((known for known in _PREFIXES if counted and all(name.startswith(known) for name in counted)), None)
        if prefix is None or all(name.startswith(prefix) for name in own):
            return tensors, notes
        tensors = {name.removeprefix(prefix): tensors[name] for name in counted}
        notes.append(f'the prefix "{prefix}" was taken from every name of the file')


def _renamed_as_spec_says(tensors: dict[str, Tensor], ours: Mapping[str, Tensor], own: Sequence[str]) -> dict[str, Tensor]:
    """The file's tensors under the names that the spec's rules give them; what the network has under its name stays so."""
    if not own or tensors.keys() <= ours.keys():
        return tensors
    new, _ = rename_tensors([name for name in tensors if name not in ours], [parse_rule(text) for text in own])
    found = {new.get(name, name): tensor for name, tensor in tensors.items()}
    if len(found) < len(tensors):
        raise WeightsError("the spec's rules under `rename` make one name of two, of which the file has both")
    return found


def _fit(theirs: Mapping[str, Tensor], ours: Mapping[str, Tensor]) -> _Fit:
    """Compares both sides. A name whose tensor the file has under another is no loss, nor is a counter of batches."""
    names, skipped = [], []
    held = {id(ours[name]) for name in theirs if name in ours}
    counters = 0
    for name, slot in ours.items():
        if name in theirs:
            difference = _difference(theirs[name], slot)
            names += [] if difference else [name]
            skipped += [Skipped(name, *difference)] if difference else []
        elif name.endswith(_COUNTER) and not slot.shape:
            counters += 1
        elif id(slot) not in held:
            skipped.append(Skipped(name, "", shape_text(slot.shape)))
    frozen = {name for name in theirs if name not in ours and name.endswith(f".{_COUNTER}") and _keeps_statistics(name, ours)}
    skipped += [Skipped(name, shape_text(tensor.shape), "") for name, tensor in theirs.items() if name not in ours and name not in frozen]
    notes = [f"{counters:,} {_COUNTER} are not in the file, which may leave them out"] if counters else []
    notes += [f"{len(frozen):,} {_COUNTER} are left out: normalizations of the network are frozen"] if frozen else []
    return _Fit(names, skipped, notes)


def _keeps_statistics(counter: str, ours: Collection[str]) -> bool:
    """Whether the normalization of a counter has running statistics here, which a frozen one does not count."""
    return counter.removesuffix(_COUNTER) + "running_mean" in ours


def _without(fresh: Collection[str], fit: _Fit) -> _Fit:
    """The same, with some names left alone."""
    if not fresh:
        return fit
    names = [name for name in fit.names if name not in fresh]
    return _Fit(
        names, [tensor for tensor in fit.skipped if tensor.name not in fresh], [*fit.notes, f"new, not loaded: {', '.join(sorted(fresh))}"]
    )


def _difference(theirs: Tensor, ours: Tensor) -> tuple[str, str] | None:
    """What each side is where one cannot be loaded into the other. Values are looked at last, once shapes are known to be equal."""
    if theirs.shape != ours.shape and (ours.shape, theirs.shape) != ((), (1,)):  # PyTorch before 0.4 had no scalars
        return shape_text(theirs.shape), shape_text(ours.shape)
    if theirs.dtype == ours.dtype:
        return None
    kinds = _kind(theirs.dtype), _kind(ours.dtype)
    if (kinds[0] != kinds[1] and kinds != ("float", "int")) or not _castable(theirs.dtype, ours.dtype):
        return _dtype_text(theirs), _dtype_text(ours)
    if kinds[1] == "int" and not torch.equal(theirs.to(ours.dtype).to(theirs.dtype), theirs):
        return f"{_dtype_text(theirs)} values beyond {_dtype_text(ours)}", _dtype_text(ours)
    if ours.dtype == torch.float16 and theirs.numel():
        most = torch.finfo(torch.float16).max
        if bool((theirs.isfinite() & (theirs.abs() > most)).any()):
            return f"{_dtype_text(theirs)} values above {most:.0f}", _dtype_text(ours)
    return None


def _castable(old: torch.dtype, new: torch.dtype) -> bool:
    """Whether PyTorch has the cast; for numbers of four bits it has not."""
    try:
        torch.empty(1, dtype=old).to(new)
    except (RuntimeError, TypeError):
        return False
    return True


def _kind(dtype: torch.dtype) -> str:
    return "complex" if dtype.is_complex else "float" if dtype.is_floating_point else "int"


def _dtype_text(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _casts(names: Iterable[str], theirs: Mapping[str, Tensor], ours: Mapping[str, Tensor]) -> dict[str, list[str]]:
    casts: dict[str, list[str]] = {}
    for name in names:
        if theirs[name].dtype != ours[name].dtype:
            casts.setdefault(f"{_dtype_text(theirs[name])} to {_dtype_text(ours[name])}", []).append(name)
    return casts


def _require_ties(path: Path, names: Iterable[str], theirs: Mapping[str, Tensor], ours: Mapping[str, Tensor]) -> None:
    """Names of one tensor of the network must have the same values in the file."""
    first: dict[int, str] = {}
    for name in names:
        other = first.setdefault(id(ours[name]), name)
        a, b = theirs[other], theirs[name]
        if other != name and not bool(((a == b) | (a.isnan() & b.isnan())).all()):
            message = f'"{shown(other)}" and "{shown(name)}" are one tensor in the network, and have different values in the file'
            raise WeightsError(f"{shown(str(path))}: {message}")


def _not_finite(names: Iterable[str], theirs: Mapping[str, Tensor], ours: Mapping[str, Tensor]) -> list[tuple[str, str]]:
    """Tensors with values of which nothing comes, and how many they are. A buffer may be infinite, as a mask of attention is."""
    found = []
    for name in names:
        tensor = theirs[name]
        if not (tensor.is_floating_point() or tensor.is_complex()) or bool(tensor.isfinite().all()):
            continue
        mask = not isinstance(ours[name], nn.Parameter) and not name.endswith(("running_mean", "running_var"))
        undefined = int(tensor.isnan().sum())
        infinite = 0 if mask else int(tensor.isinf().sum())
        counts = [f"{count:,} {what}" for count, what in ((undefined, "NaN"), (infinite, "infinite")) if count]
        if counts:
            found.append((name, f"{' and '.join(counts)} of {tensor.numel():,}"))
    return found


def _not_finite_text(path: Path, bad: list[tuple[str, str]]) -> str:
    lines = list_tensors(f"{printable(str(path))} holds values that are not finite, in tensors", bad)
    return "\n".join([*lines, "nothing was loaded: a training that went wrong may have written it; take an earlier file"])


def _copy(module: nn.Module, state: dict[str, Tensor], ours: Mapping[str, Tensor]) -> None:
    """Puts checked tensors into the module. Into a module without values they are put as new tensors."""
    shaped = {name: tensor.reshape(ours[name].shape) for name, tensor in state.items()}
    if not any(slot.is_meta for slot in (*ours.values(), *module.buffers())):
        _put(module, shaped, assign=False)
        return
    held = {id(ours[name]) for name in state}
    unheld = {name: slot for name, slot in _everything(module).items() if slot.is_meta and id(slot) not in held}
    counters = {name: torch.zeros((), dtype=slot.dtype) for name, slot in unheld.items() if name.endswith(_COUNTER)}
    if lost := next((name for name in unheld if name not in counters), None):
        raise WeightsError(
            f'the network is on the meta device, and "{shown(lost)}" would have no values: build the network on the CPU, then load'
        )
    _put(module, _fresh({**shaped, **counters}, ours), assign=True)


def _put(module: nn.Module, state: dict[str, Tensor], assign: bool) -> None:
    """All has been checked; what PyTorch still refuses is the module's own: hooks, or tensors that cannot be written to."""
    try:
        module.load_state_dict(state, strict=False, assign=assign)
    except RuntimeError as error:
        lines = ["  " + shown(line.strip(), 400) for line in str(error).split("\n")[1:5]]
        raise WeightsError("\n".join(["PyTorch refused, and part of the weights may be loaded:", *lines])) from None


def _everything(module: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers, those too that no file holds."""
    return {**dict(module.named_parameters(remove_duplicate=False)), **dict(module.named_buffers(remove_duplicate=False))}


def _fresh(state: Mapping[str, Tensor], ours: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors that are the module's alone, not parts of a file; one for all names of a slot, those too that the file leaves out."""
    made: dict[int, Tensor] = {}
    for name, tensor in state.items():
        slot = ours[name]
        device = "cpu" if slot.is_meta else slot.device
        own = tensor.to(device, slot.dtype, copy=True).contiguous()
        made[id(slot)] = nn.Parameter(own, slot.requires_grad) if isinstance(slot, nn.Parameter) else own
    return {name: made[id(slot)] for name, slot in ours.items() if id(slot) in made}


def _unfit_text(
    path: Path, theirs: Mapping[str, Tensor], ours: Mapping[str, Tensor], fit: _Fit, notes: list[str], what: str
) -> list[str | Argument]:
    """The whole of an error: counts, notes, lists, and what may have been meant."""
    fitting = f"{counted(len(fit.names), 'tensor')} {'fits' if len(fit.names) == 1 else 'fit'}"
    counts = f"{fitting}, of {len(theirs):,} in the file and {len(ours):,} in the network"
    lines = [f"{shown(str(path), 80)} {what}: {counts}", *(f"  {note}" for note in notes)]
    lines += sections(fit.skipped)
    message = ["\n".join(lines), "\n", *hints(_shapes(theirs), _shapes(ours), fit.skipped)]
    if any(not name.endswith(_COUNTER) for name in fit.names):
        return [*message, Argument("partial", True), f" would load the {len(fit.names):,} that fit, and leave the rest"]
    return message


def _shapes(side: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in side.items()}
