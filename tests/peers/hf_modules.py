"""The real modules of Hugging Face transformers: where a model has its routers, and what one of them does with rows.

A model is built on the device "meta": with the sizes of its config, and no memory behind them. That tells which layers
have routers, and what everything is called in the modules and in checkpoints. Then the block around one router gets
memory, random weights and a bias, and routes; the experts are taken out of it first.
"""

import dataclasses
import re

import torch
import transformers
from transformers.core_model_loading import revert_weight_conversion
from transformers.models.auto import modeling_auto

transformers.logging.set_verbosity_error()

# The first of these that knows a config has the class that the family's checkpoints are of.
CLASS_MAPPINGS = (
    "MODEL_FOR_MULTIMODAL_LM_MAPPING",
    "MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING",
    "MODEL_FOR_CAUSAL_LM_MAPPING",
    "MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING",
    "MODEL_MAPPING",
)

ROUTER_CLASS = r"\w*(?:Router|TopKGating|MoEV1Gate)"
IN_LAYER = re.compile(r"((?:.*\.)?layers)\.(\d+)\.(?!self_attention)(.*)")  # jetmoe routes its attention heads too
BIAS = re.compile(r"(e_score_correction_bias|expert_bias|balancing_biases)$")

# Where transformers saves by other names than those of the released files that it loads: (saved, released).
SAVED_OTHERWISE = {
    # Renames the blocks of its vision tower to layers; on the way back the language model's layers become blocks.
    "kimi_k25": ("language_model.model.blocks.", "language_model.model.layers."),
    # Released without the prefix "model." (its first tensor is "embed.weight"), which is not taken away again.
    "deepseek_v4": ("model.layers.", "layers."),
}

# Of random rows: the logarithm of the logits' standard deviation, about, and what is added to all logits of a row. No
# logit comes near -88, below which PyTorch's sigmoid is 0 and Evenkeel's is not yet.
STEEP = {"heat": (-1.0, 2.7), "level": (0.0, 0.0)}
LOW = {"heat": (-1.0, 1.5), "level": (-60.0, 0.0)}


@dataclasses.dataclass(frozen=True)
class Router:
    """One router of a model."""

    path: str  # of the module
    place: str  # its path within its layer
    kind: str  # the name of its class
    sizes: tuple  # experts and top_k, as far as the module says
    bias: str | None  # key in the model's state_dict


@dataclasses.dataclass(frozen=True)
class MoeLayer:
    """A decoder layer that has routers: nearly always one."""

    index: int
    decoder: str  # path of the list of layers
    routers: tuple
    bias_on_disk: str | None
    bias_shape_on_disk: tuple | None

    @property
    def name(self):
        """That of the router, or of the block that has all of them."""
        if len(self.routers) == 1:
            return self.routers[0].path
        return f"{self.decoder}.{self.index}.{self.routers[0].place.split('.')[0]}"

    @property
    def is_hashed(self):
        """Whether experts are looked up by token, not chosen."""
        return any("Hash" in router.kind for router in self.routers)


@dataclasses.dataclass
class Routed:
    """What a router made of some rows: float32 [T, E], int64 [T, K], float32 [T, K]."""

    logits: torch.Tensor
    ids: torch.Tensor
    weights: torch.Tensor


def model_class(config):
    """The class of the model that a config is of, or None."""
    for mapping in CLASS_MAPPINGS:
        classes = getattr(modeling_auto, mapping, {})
        if type(config) in classes:
            found = classes[type(config)]
            return found[0] if isinstance(found, (tuple, list)) else found
    return None


def build(config):
    """The model of a config, without memory."""
    with torch.device("meta"):
        model = model_class(config)._from_config(config)
    return model.eval()


def moe_layers(model):
    """Every layer of a model that has routers, in order."""
    tensors = model.state_dict()
    by_layer = {}
    for path, module in model.named_modules():
        where = IN_LAYER.fullmatch(path)
        if not where or not re.fullmatch(ROUTER_CLASS, type(module).__name__):
            continue
        block = path.rpartition(".")[0] + "."
        router = Router(
            path=path,
            place=where[3],
            kind=type(module).__name__,
            sizes=(getattr(module, "num_experts", None), getattr(module, "top_k", None)),
            bias=next((key for key in tensors if key.startswith(block) and BIAS.search(key)), None),
        )
        by_layer.setdefault((where[1], int(where[2])), []).append(router)
    return [
        MoeLayer(index, decoder, tuple(found), *_saved(model, {r.bias: tensors[r.bias] for r in found if r.bias}))
        for (decoder, index), found in by_layer.items()
    ]


def _saved(model, tensors):
    """Name and shape of the one tensor that holds these in released files, by transformers' own way back to them."""
    if not tensors:
        return None, None
    ((name, tensor),) = revert_weight_conversion(model, tensors).items()
    return name.replace(*SAVED_OTHERWISE.get(model.config.model_type, ("", ""))), tuple(tensor.shape)


class _Routed(Exception):
    """Ends the forward of a block as soon as its router has answered."""


class _Nothing(torch.nn.Module):
    """Stands where experts were: what they would compute does not matter here."""

    def forward(self, hidden, *_args, **_kwargs):
        return hidden


class Block:
    """The block around one router of a model, with random float32 weights and a zero bias. Changes the model."""

    def __init__(self, model, router, seed):
        path, _, name = router.path.rpartition(".")
        self.block = model.get_submodule(path)
        for child, _ in list(self.block.named_children()):
            if child != name:
                setattr(self.block, child, _Nothing())
        self.block.to_empty(device="cpu").float().requires_grad_(False)
        self.router = self.block.get_submodule(name)
        self.generator = torch.Generator().manual_seed(seed)
        self.hidden_size = next(tensor for tensor in self.router.parameters() if tensor.dim() == 2).shape[1]
        self.level = torch.nn.functional.normalize(torch.randn(self.hidden_size, generator=self.generator), dim=0)
        for tensor in self.block.parameters():
            fan_in = tensor.shape[-1] if tensor.dim() > 1 else 1
            tensor.normal_(0, fan_in**-0.5, generator=self.generator)
            if tensor.shape[1:] == self.level.shape:
                tensor += self.level  # so that a row's logits all rise by what the row has of it
        for tensor in self.block.buffers():
            tensor.zero_()
        self.bias = model.get_parameter_or_buffer(router.bias) if router.bias else None
        if self.bias is not None:
            self.bias.zero_()

    @property
    def output_scale(self):
        """What the block multiplies the experts' output by. Where the router has the factor, it is in the weights."""
        if hasattr(self.router, "routed_scaling_factor"):
            return 1.0
        return getattr(self.block, "routed_scaling_factor", 1.0)

    def randomize_bias(self, low, high):
        """Uniform in [low, high)."""
        self.bias.uniform_(low, high, generator=self.generator)

    def hidden_rows(self, rows):
        """Rows that show what routers do at the ends of their range: half with logits from flat to steep, and half
        with logits so low that the scores of the chosen are as small as the constants set beside their sum."""
        halves = []
        for kind in (STEEP, LOW):
            heat, level = (self._uniform(rows // 2, *kind[name]) for name in ("heat", "level"))
            hidden = torch.randn(rows // 2, self.hidden_size, generator=self.generator)
            halves.append(torch.exp(heat) * hidden + level * self.level)
        return torch.cat(halves)

    def _uniform(self, rows, low, high):
        return torch.empty(rows, 1).uniform_(low, high, generator=self.generator)

    def route(self, rows):
        """Routes random rows, through the block's own forward."""
        hidden = self.hidden_rows(rows)
        answers = []

        def keep(_module, _inputs, output):
            answers.append(output)
            raise _Routed

        hook = self.router.register_forward_hook(keep)
        try:
            with torch.no_grad():
                self.block(hidden.unsqueeze(0))
        except _Routed:
            pass
        finally:
            hook.remove()
        return READERS.get(type(self.router).__name__, _read)(self.router, answers[0])


def _read(_router, output):
    """What nearly all routers answer."""
    logits, weights, ids = output[:3]
    return Routed(logits, ids, weights)


def _read_llama4(router, output):
    """Scores of all experts, 0 where not chosen."""
    scores, logits = output
    weights, ids = torch.topk(scores, router.top_k, dim=-1)
    return Routed(logits, ids, weights)


def _read_jetmoe(router, output):
    """Slots in the order of their experts: the i-th in it is slot index[i] of the flattened [T, K]."""
    index, _rows, gates, expert_sizes, logits = output
    experts = torch.repeat_interleave(torch.arange(router.num_experts), torch.tensor(expert_sizes))
    ids, weights = torch.empty_like(index), torch.empty_like(gates)
    ids[index], weights[index] = experts, gates
    return Routed(logits, ids.view(-1, router.top_k), weights.view(-1, router.top_k))


def _read_zaya(router, output):
    """The class after the last expert skips the layer. The module hides it as expert 0 with weight 0; here it is itself
    again, with the probability that it was chosen at."""
    logits, weights, ids = output[:3]
    skipped = weights == 0
    probability = logits.softmax(dim=-1)[:, -1:]
    return Routed(logits, ids.masked_fill(skipped, router.num_experts), torch.where(skipped, probability, weights))


READERS = {"Llama4Router": _read_llama4, "JetMoeTopKGating": _read_jetmoe, "ZayaRouter": _read_zaya}
