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
    validation=(BELOW_ONE, _DATA.validation, "the part of the training images held out, where there are no others"),
    size=(SIZE, _DATA.size, "height and width that images are brought to; the network's input unless given"),
    corrupt=(one_of("error", "skip"), _DATA.corrupt, "what a file that is no readable image leads to: error or skip"),
    workers=(count(0, 1024), _DATA.workers, "processes that read"),
    white=(count(1, 65535), _DATA.white, "the value of 16-bit images that is white; found among the images unless given"),
    images=(count(0, 10**10), _DATA.images, "images of an epoch of shards, which are counted unless given"),
)
STOP = takes(
    patience=(count(1, 1_000_000), MISSING, "epochs without a better figure after which training ends"),
    monitor=(MONITOR, EarlyStop(1).monitor, "the figure, of the validation images: accuracy or loss"),
    least=(FROM_ZERO, EarlyStop(1).least, "by how much it must be better"),
)
# The keys that hold one value.
VALUES = takes(
    batch=(BATCH, _RECIPE.batch, "images of an optimizer's step, over all processes; fit: as many as memory takes"),
    epochs=(count(1, 1_000_000), _RECIPE.epochs, "how often the training images are seen"),
    warmup=(FROM_ZERO, _RECIPE.warmup, "epochs in which the learning rate rises to the schedule's start"),
    decay_norms=(FLAG, _RECIPE.decay_norms, "whether norms, biases and all else of one axis are decayed too"),
    clip=(POSITIVE, _RECIPE.clip, "the largest norm of all gradients together"),
    accumulate=(count(1, 1_000_000), _RECIPE.accumulate, "forward and backward passes of an optimizer's step"),
    precision=(PRECISION, _RECIPE.precision, "of the passes: float32, bfloat16, float16 or float64"),
    ema=(number(above=0, below=1), _RECIPE.ema, "the decay of averaged weights, which are then what is evaluated"),
    mixup=(FROM_ZERO, _RECIPE.mixup, "alpha of mixup's Beta distribution (Zhang et al., 2018); 0 for none"),
    cutmix=(FROM_ZERO, _RECIPE.cutmix, "alpha of CutMix's Beta distribution (Yun et al., 2019); 0 for none"),
    seed=(integer(0), _RECIPE.seed, "decides the order of images and all chance"),
    strategy=(one_of("auto", "single", "ddp", "fsdp"), _RECIPE.strategy, "of several processes: auto, single, ddp or fsdp"),
    compile=(FLAG, _RECIPE.compile, "through torch.compile"),
    optimize=(FLAG, _RECIPE.optimize, "results in place where autograd allows it, channels last"),
    checkpoint=(one_of(*PLANS), _RECIPE.checkpoint, "what backward runs again, to keep less until then: none, norms or blocks"),
    save_every=(integer(0), _RECIPE.save_every, "steps between checkpoints, besides those after each epoch; 0 for none"),
)
KEYS: dict[str, str] = {
    "data": "the images: a set that ships, a path, or {source: photos/, validation: 0.1}",
    "batch": VALUES.params["batch"].doc,
    "epochs": VALUES.params["epochs"].doc,
    "optimizer": "one of the optimizers, with its learning rate and weight decay",
    "schedule": "how the learning rate goes",
    "warmup": VALUES.params["warmup"].doc,
    "decay_norms": VALUES.params["decay_norms"].doc,
    "loss": "what is made small",
    "heads": "weights of the losses of further outputs, by name: 0.3 for what is there in training alone and 1 for others, unless given",
    **{name: VALUES.params[name].doc for name in ("clip", "accumulate", "precision", "ema", "mixup", "cutmix")},
    "augment": "what is done to training images at random, in order",
    "rates": "factors of the learning rate, by patterns over names of tensors; the last that fits counts",
    "freeze": "patterns of tensors that stay as they are",
    "unfreeze": "patterns of tensors that begin to learn at an epoch: {5: [layer4.*]}",
    "stop": "when to end early: {patience: 10, monitor: accuracy}",
    **{name: VALUES.params[name].doc for name in ("seed", "strategy", "compile", "optimize", "checkpoint", "save_every")},
}
# The keys that choose one of a table, and which.
PARTS = {"optimizer": "optimizer", "schedule": "schedule", "loss": "loss"}
