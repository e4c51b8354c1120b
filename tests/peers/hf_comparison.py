"""One family of Hugging Face transformers against what Evenkeel says and does about it."""

import copy
import dataclasses
import json
import tempfile
from pathlib import Path

import torch
from transformers import AutoConfig

import hf_modules
import routed_rows
from evenkeel import Refused

ROWS = 512  # of each router, at each bias
SEED = 1

# Ranges of random biases, by what the bias is added to. The first decides together with the scores. The second makes
# nearly all biased scores negative, so that it shows what becomes of groups that are not kept, and has the choice to
# itself in many rows.
BIASES = {
    "SIGMOID": ((-0.5, 0.5), (-2.0, -1.0)),
    "SQRT_SOFTPLUS": ((-0.5, 0.5), (-2.0, -1.0)),
    "SOFTMAX": ((-0.1, 0.1), (-2.0, 0.0)),
    "LOGIT": ((-1.0, 1.0), (-4.0, -2.0)),
}


@dataclasses.dataclass
class Result:
    """What came of one family."""

    name: str
    configs: int = 0
    layers: int = 0
    rows: routed_rows.Comparison = dataclasses.field(default_factory=routed_rows.Comparison)
    problems: list = dataclasses.field(default_factory=list)
    refusal: str = ""  # what was said of a family that no RouteSpec can express

    def line(self):
        """For people."""
        verdict = f"{len(self.problems)} DIFFERENCES" if self.problems else "same"
        if self.refusal:
            return f"{self.name:22} {self.configs:2} configs: refused: {self.refusal}"
        return (
            f"{self.name:22} {self.configs:2} configs, {self.layers:2} layers, {self.rows.compared:5} rows compared,"
            f" {self.rows.dropped} ties dropped, worst weight {self.rows.worst_ulp:.1f} ulp: {verdict}"
        )

    def report(self):
        """For programs."""
        return {
            "name": self.name,
            "configs": self.configs,
            "layers": self.layers,
            "rows_compared": self.rows.compared,
            "rows_different": self.rows.different,
            "ties_dropped": self.rows.dropped,
            "worst_weight_ulp": self.rows.worst_ulp,
            "refusal": self.refusal,
            "problems": self.problems,
        }


def config_of(raw, built_as):
    """The config of transformers for a config.json."""
    fields = copy.deepcopy(raw)
    model_type = fields.pop("model_type")
    return AutoConfig.for_model(built_as or model_type, **fields)


def check_family(evenkeel, name, family):
    """Compares every config of a family; what differs is in the result."""
    result = Result(name)
    for raw in family.configs(name):
        result.configs += 1
        with tempfile.TemporaryDirectory() as folder:
            for problem in check_config(evenkeel, raw, family, Path(folder), result):
                result.problems.append(f"{json.dumps(raw)}: {problem}")
    return result


def check_config(evenkeel, raw, family, folder, result):
    """Compares one config; yields what differs."""
    config = config_of(raw, family.built_as)
    model = hf_modules.build(config)
    config.architectures = [type(model).__name__]
    config.save_pretrained(folder)
    saved = folder / "config.json"
    written = folder / "written.json"
    written.write_text(json.dumps(raw))
    try:
        ours, excluded = described(evenkeel, saved)
        if (ours, excluded) != described(evenkeel, written):
            yield f"as saved: {ours} {excluded}; as written: {described(evenkeel, written)}"
    except Refused as refusal:
        yield f"refused: {refusal}"
        return
    layers = hf_modules.moe_layers(model)
    result.layers += len(layers)
    yield from check_layers([layer for layer in layers if not layer.is_hashed], ours)
    hashed = [layer.name for layer in layers if layer.is_hashed]
    if hashed != [layer["name"] for layer in excluded]:
        yield f"layers that look experts up: theirs {hashed}, ours {excluded}"
    yield from check_rows(evenkeel, saved, model, layers, {layer["name"]: layer for layer in ours}, result)


def described(evenkeel, path):
    """The layers that evenkeel says a model has: those with a choice of experts, and those without."""
    decoders = evenkeel.describe(path)["decoders"]
    kinds = ("moe_layers", "excluded_layers")
    return tuple([layer for decoder in decoders for layer in decoder[kind]] for kind in kinds)


def check_layers(theirs, ours):
    """Yields what differs between layers of a model and what is said of them."""
    if [layer.name for layer in theirs] != [layer["name"] for layer in ours]:
        yield f"layers: theirs {[layer.name for layer in theirs]}, ours {[layer['name'] for layer in ours]}"
        return
    for their, our in zip(theirs, ours):
        bias = our.get("bias") or {}
        for what, expected, said in (
            ("index", their.index, our["index"]),
            ("routers", len(their.routers), our["num_streams"]),
            ("bias", [router.bias for router in their.routers if router.bias], bias.get("module_names", [])),
            ("bias in checkpoints", their.bias_on_disk, bias.get("checkpoint_name")),
            ("its shape there", list(their.bias_shape_on_disk or []), bias.get("checkpoint_shape", [])),
        ):
            if expected != said:
                yield f"{their.name}: {what}: theirs {expected}, ours {said}"


def check_rows(evenkeel, path, model, layers, by_name, result):
    """Routes rows with one router of each kind that the model has; yields what differs."""
    kinds = {}
    for layer in layers:
        for router in layer.routers:
            if layer.name in by_name:
                kinds.setdefault((layer.decoder, router.place, router.kind, router.sizes), (layer, router))
    for layer, router in kinds.values():
        our = by_name[layer.name]
        block = hf_modules.Block(model, router, SEED)
        if block.output_scale != our["output_scale"]:
            yield f"{layer.name}: output scale: theirs {block.output_scale}, ours {our['output_scale']}"
        biases = (None,) if block.bias is None else (None, *BIASES[our["spec"]["score"]])
        compared = 0
        for bias in biases:
            if bias:
                block.randomize_bias(*bias)
            rows = compare_rows(evenkeel, path, layer, our["spec"], block)
            result.rows.add(rows)
            compared += rows.compared
            where = f"{router.path} with {f'a bias in {list(bias)}' if bias else 'no bias'}"
            if rows.different:
                yield f"{where}: {rows.different} of {rows.compared} rows differ: {'; '.join(rows.shown)}"
        if 2 * compared < ROWS * len(biases):
            yield f"{router.path}: only {compared} of {ROWS * len(biases)} rows are no ties"


def compare_rows(evenkeel, path, layer, spec, block):
    """Routes ROWS rows with both."""
    routed = block.route(ROWS)
    logits = routed.logits.numpy()
    bias = torch.zeros(logits.shape[1]) if block.bias is None else block.bias.reshape(-1)
    tied = routed_rows.tied_rows(spec, logits, bias.numpy())
    ours = evenkeel.route(path, layer.name, logits, bias.numpy())
    rounding = routed_rows.softmax_rounding(spec, logits)
    return routed_rows.compare((routed.ids.numpy(), routed.weights.numpy()), ours, tied, rounding)


def check_refusal(evenkeel, name, family):
    """A family that no RouteSpec can express must be refused, and itself or the field that it hangs on be named."""
    result = Result(name)
    for raw in family.configs(name):
        result.configs += 1
        with tempfile.TemporaryDirectory() as folder:
            config_of(raw, family.built_as).save_pretrained(folder)
            try:
                evenkeel.describe(Path(folder) / "config.json")
                result.problems.append(f"{json.dumps(raw)}: not refused")
            except Refused as refusal:
                result.refusal = str(refusal).replace(f"{folder}/", "")
                if name not in result.refusal and not any(field in result.refusal for field in family.sizes):
                    result.problems.append(f"{json.dumps(raw)}: the refusal names neither {name} nor a field")
    return result
