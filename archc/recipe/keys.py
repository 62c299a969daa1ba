"""The keys of `train:`, with what each may hold. Defaults are those of `Recipe`."""

from __future__ import annotations

from archc.recipe.recipe import Data, EarlyStop, Recipe
from archc.recipe.tables import BATCH, MONITOR, PRECISION, SIZE, optional_text
from archc.signature import FLAG, MISSING, integer, one_of
from archc.signature.choices import BELOW_ONE, FROM_ZERO, POSITIVE, count, number, takes

_RECIPE, _DATA = Recipe(), Data()
PLANS = ("none", "norms", "blocks")  # of checkpointing

DATA = takes(
    source=(optional_text("the name of a set, or a path"), _DATA.source, "a set that ships with the installation, or a path"),
    format=(one_of("auto", "idx", "cifar", "folder", "shards"), _DATA.format, "what a path holds: auto, idx, cifar, folder or shards"),
    validation=(BELOW_ONE, _DATA.validation, "the part of the training images held out, if the source has no validation images"),
    size=(SIZE, _DATA.size, "height and width to which images are resized (default: the network's input)"),
    corrupt=(one_of("error", "skip"), _DATA.corrupt, "what to do with a file that is not a readable image: error or skip"),
    workers=(count(0, 1024), _DATA.workers, "processes that read images"),
    white=(count(1, 65535), _DATA.white, "the value that is white in 16-bit images (default: found from the images)"),
    images=(count(0, 10**10), _DATA.images, "images in an epoch of shards (default: they are counted)"),
)
STOP = takes(
    patience=(count(1, 1_000_000), MISSING, "epochs without improvement after which training stops"),
    monitor=(MONITOR, EarlyStop(1).monitor, "the figure to watch on the validation images: accuracy or loss"),
    least=(FROM_ZERO, EarlyStop(1).least, "by how much it must improve"),
)
# The keys that hold one value.
VALUES = takes(
    batch=(BATCH, _RECIPE.batch, "images in one optimizer step, over all processes; fit: as many as fit into memory"),
    epochs=(count(1, 1_000_000), _RECIPE.epochs, "how often all training images are seen"),
    warmup=(FROM_ZERO, _RECIPE.warmup, "epochs in which the learning rate rises to the schedule's start"),
    decay_norms=(
        FLAG,
        _RECIPE.decay_norms,
        "whether weight decay also applies to normalizations, biases and all other tensors of one axis",
    ),
    clip=(POSITIVE, _RECIPE.clip, "the largest norm allowed for all gradients together"),
    accumulate=(count(1, 1_000_000), _RECIPE.accumulate, "forward and backward passes in one optimizer step"),
    precision=(PRECISION, _RECIPE.precision, "the dtype of the passes: float32, bfloat16, float16 or float64"),
    ema=(number(above=0, below=1), _RECIPE.ema, "the decay of averaged weights, which are then evaluated in place of the weights"),
    mixup=(FROM_ZERO, _RECIPE.mixup, "alpha of mixup's Beta distribution (Zhang et al., 2018); 0 for none"),
    cutmix=(FROM_ZERO, _RECIPE.cutmix, "alpha of CutMix's Beta distribution (Yun et al., 2019); 0 for none"),
    seed=(integer(0), _RECIPE.seed, "determines the order of images and everything random"),
    strategy=(one_of("auto", "single", "ddp", "fsdp"), _RECIPE.strategy, "how several processes share the work: auto, single, ddp or fsdp"),
    compile=(FLAG, _RECIPE.compile, "compile the network with torch.compile"),
    optimize=(FLAG, _RECIPE.optimize, "write results in place where autograd allows it, and use channels last"),
    checkpoint=(one_of(*PLANS), _RECIPE.checkpoint, "what backward recomputes, so that less is kept until then: none, norms or blocks"),
    save_every=(integer(0), _RECIPE.save_every, "steps between additional checkpoints within an epoch; 0 for none"),
)
KEYS: dict[str, str] = {
    "data": "the images: a set that ships, a path, or {source: photos/, validation: 0.1}",
    "batch": VALUES.params["batch"].doc,
    "epochs": VALUES.params["epochs"].doc,
    "optimizer": "one of the optimizers, with its learning rate and weight decay",
    "schedule": "how the learning rate changes",
    "warmup": VALUES.params["warmup"].doc,
    "decay_norms": VALUES.params["decay_norms"].doc,
    "loss": "what training minimizes",
    "heads": "weights of the losses of further outputs, by name (default: 0.3 for outputs that exist only in training, 1 for others)",
    **{name: VALUES.params[name].doc for name in ("clip", "accumulate", "precision", "ema", "mixup", "cutmix")},
    "augment": "random changes to training images, in order",
    "rates": "factors of the learning rate, by patterns over names of tensors; the last match counts",
    "freeze": "patterns of tensors that do not learn",
    "unfreeze": "patterns of tensors that start to learn at an epoch: {5: [layer4.*]}",
    "stop": "when to stop early: {patience: 10, monitor: accuracy}",
    **{name: VALUES.params[name].doc for name in ("seed", "strategy", "compile", "optimize", "checkpoint", "save_every")},
}
# The keys that choose one of a table, and which.
PARTS = {"optimizer": "optimizer", "schedule": "schedule", "loss": "loss"}
