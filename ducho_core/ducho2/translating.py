"""From a checked configuration to extractions and the branches of the output tree."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from ducho_core.ducho2.pairs import pair_models
from ducho_core.ducho2.pictures import picture_model
from ducho_core.ducho2.places import Places, model_parts, say_dotted
from ducho_core.ducho2.plan import Branch, Extraction, Fused, Plan, Vectors
from ducho_core.ducho2.sounds import sound_models
from ducho_core.ducho2.texts import text_model
from ducho_core.extraction.request import ExtractionRequest

if TYPE_CHECKING:
    from ducho_core.ducho2.config import Config, Model, Section
    from ducho_core.ducho2.remarks import Remarks
    from ducho_core.ducho2.translated import Translated

_NO_NAME = re.compile(r"[^A-Za-z0-9._-]+")


def translate(config: Config, path: str, remarks: Remarks) -> Plan:
    """Translate a configuration.

    Args:
        config: the configuration, checked.
        path: its file.
        remarks: takes what differs, what is decided and what cannot be done.

    Raises:
        UsageError: its files and folders cannot be used as they are.
    """
    return _Translator(config, path, remarks).plan()


class _Translator:
    def __init__(self, config: Config, path: str, remarks: Remarks) -> None:
        self._config = config
        self._remarks = remarks
        self._places = Places(config.dataset, path, remarks)
        self._device = _device(config, remarks)
        self._extractions: list[Extraction] = []
        self._branches: list[Branch] = []
        self._names: set[str] = set()

    def plan(self) -> Plan:
        for section in self._config.sections:
            if section.modality == "visual_textual":
                self._pairs(section)
            else:
                self._single(section)
        self._check_nested()
        return Plan(extractions=tuple(self._extractions), branches=tuple(self._branches))

    def _check_nested(self) -> None:
        """An output folder is put in place as a whole, so none can lie in another."""
        folders = sorted({branch.folder for branch in self._branches})
        for outer in folders:
            inside = [one for one in folders if one.startswith(os.path.join(outer, ""))]
            if inside:
                self._remarks.leave_out(
                    "output_path",
                    f"{inside[0]} lies in {outer}, which is written as a whole: put one beside"
                    " the other",
                )

    def _single(self, section: Section) -> None:
        """A section of one modality: one extraction a model, one branch a layer."""
        remarks = self._remarks
        if section.modality == "textual":
            table = self._places.table(section)
            assert section.text is not None
            source: dict[str, Any] = {
                "source": table,
                "key": _keys(section),
                "text": (section.text,),
                **_separator(table),
            }
        else:
            source = {"source": self._places.below(section.inputs[section.modality])}
            say_dotted(source["source"], f"{section.path}.input_path", remarks)
            if section.origin == "interactions":
                remarks.say(
                    section.path, "each file's name is its key, as in Ducho 2.0, not a pair of ids"
                )
        for model in section.models:
            for translated in self._translated(section, model):
                number = self._extraction(section, model, source, translated)
                whole = section.modality == "textual"
                for layer, output in translated.outputs:
                    vectors = Vectors(
                        extraction=number, requires=(_input(section),), output=output
                    )
                    self._branch(section, section.modality, model, layer, vectors, whole=whole)

    def _translated(self, section: Section, model: Model) -> list[Translated]:
        if section.modality == "audio":
            return sound_models(model, self._remarks)
        if section.modality == "visual":
            found = picture_model(model, self._places, self._remarks)
        else:
            found = text_model(model, self._remarks)
        return [found] if found is not None else []

    def _pairs(self, section: Section) -> None:
        """A section of pictures and texts: both towers in one extraction."""
        table = self._places.table(section)
        source, models = pair_models(section, table, self._places, self._remarks)
        say_dotted(
            self._places.below(section.inputs["visual"]),
            f"{section.path}.input_path.visual",
            self._remarks,
        )
        for model, translated in models:
            number = self._extraction(
                section, model, {**source, "key": _keys(section), **_separator(table)}, translated
            )
            for layer, picture, text in translated.pairs:
                image = Vectors(extraction=number, requires=("image",), output=picture)
                words = Vectors(extraction=number, requires=("text",), output=text)
                if model.fusion is None:
                    self._branch(section, "visual", model, layer, image, whole=True)
                    self._branch(section, "textual", model, layer, words, whole=True)
                else:
                    fused = Fused(how=model.fusion, picture=image, text=words)
                    self._branch(section, "fused", model, layer, fused, whole=True)

    def _extraction(
        self, section: Section, model: Model, source: dict[str, Any], translated: Translated
    ) -> int:
        request = ExtractionRequest(
            plugin=translated.plugin,
            options={
                key: list(value) if isinstance(value, tuple) else value
                for key, value in {**translated.options, **model.options}.items()
                if value is not None
            },
            device=self._device,
            batch_size=model.batch_size,
            clean=translated.clean,
            **source,
        )
        name = self._name(section, model)
        self._extractions.append(Extraction(path=model.path, name=name, request=request))
        return len(self._extractions) - 1

    def _branch(
        self,
        section: Section,
        kind: str,
        model: Model,
        layer: str,
        vectors: Vectors | Fused,
        *,
        whole: bool,
    ) -> None:
        if kind == "fused":
            folder = self._fused_folder(section, model)
        else:
            folder = self._places.below(section.outputs[kind])
        parts = (model.backend, "/".join(model_parts(model, whole=whole)), layer)
        keys = key_names(section)
        branch = Branch(vectors=vectors, folder=folder, parts=parts, keys=keys)
        if any(one.folder == folder and one.keys != keys for one in self._branches):
            self._remarks.leave_out(
                f"{section.path}.output_path",
                f"{folder} would hold both items and reviews: give them folders of their own",
            )
            return
        same = [one for one in self._branches if (one.folder, one.parts) == (folder, parts)]
        if same:
            self._branches.remove(same[0])
            self._remarks.say(
                model.path,
                f"its {os.path.join(folder, *parts)} takes the place of an earlier model's, as in"
                " Ducho 2.0; the store keeps both",
            )
        self._branches.append(branch)

    def _fused_folder(self, section: Section, model: Model) -> str:
        picture, text = (
            self._places.below(section.outputs[kind]) for kind in ("visual", "textual")
        )
        together = f"{os.path.basename(picture)}_{os.path.basename(text)}_{model.fusion}"
        return os.path.join(os.path.dirname(picture), together)

    def _name(self, section: Section, model: Model) -> str:
        last = _NO_NAME.sub("-", model_parts(model, whole=False)[0]).strip("-.") or "model"
        stem = f"{section.path.replace('.', '-').replace('_', '-')}-{last}"
        name, number = stem, 2
        while name in self._names:
            name, number = f"{stem}-{number}", number + 1
        self._names.add(name)
        return name


def _device(config: Config, remarks: Remarks) -> str:
    """The device; Ducho 2.0 goes to the CPU where there is no such GPU."""
    if not config.gpus:
        return "cpu"
    first = config.gpus[0]
    if len(config.gpus) > 1:
        remarks.say("gpu list", f"an extraction runs on one GPU: {first} is taken")
    return "auto" if first == 0 else f"cuda:{first}"


def key_names(section: Section) -> tuple[str, ...]:
    """The key columns of a section's feature sets."""
    return ("user_id", "item_id") if len(section.keys) == 2 else ("item_id",)


def _keys(section: Section) -> tuple[str, ...]:
    return tuple(
        f"{name}={key}" for name, key in zip(key_names(section), section.keys, strict=True)
    )


def _input(section: Section) -> str:
    return {"visual": "image", "textual": "text", "audio": "audio"}[section.modality]


def _separator(table: str) -> dict[str, Any]:
    """Ducho 2.0 reads any table with tabs between its fields."""
    if table.lower().endswith(".tsv"):
        return {}
    return {"loader_options": {"separator": "tab"}}
