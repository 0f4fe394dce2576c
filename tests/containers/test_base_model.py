"""The base model's folder and a parent's archive: what cannot be trained from is named before anything is trained."""

from __future__ import annotations

import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from toy_training import LABELS, read, toy_rows, train, write_split
from transformers import (
    AutoConfig,
    AutoModel,
    BertConfig,
    BertModel,
    CamembertConfig,
    DebertaConfig,
    DebertaV2Config,
    DistilBertConfig,
    ElectraConfig,
    MegatronBertConfig,
    ModernBertConfig,
    MPNetConfig,
    RobertaConfig,
    RoFormerConfig,
    XLMRobertaConfig,
)

from model_code.archive import InvalidArtifact
from model_code.arguments import InvalidHyperparameter
from model_code.base_model import InvalidBaseModel, longest
from model_code.families import FAMILIES
from model_code.inference import model_fn
from model_code.network import TextClassifier

SMALL = {"vocab_size": 50, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 64,
         "max_position_embeddings": 20}  # fmt: skip
COMPUTED = {
    "bert": BertConfig(**SMALL),
    "camembert": CamembertConfig(**SMALL, pad_token_id=1),
    "deberta-v2": DebertaV2Config(
        **SMALL, relative_attention=True, position_buckets=4, pos_att_type=["p2c", "c2p"], norm_rel_ebd="layer_norm", share_att_key=True,
        position_biased_input=False, conv_kernel_size=3, type_vocab_size=0,
    ),
    "distilbert": DistilBertConfig(vocab_size=50, dim=32, n_layers=3, n_heads=2, hidden_dim=64, max_position_embeddings=20),
    "electra": ElectraConfig(**SMALL, embedding_size=16),
    "modernbert": ModernBertConfig(
        **SMALL, local_attention=4, pad_token_id=1, bos_token_id=0, cls_token_id=0, eos_token_id=2, sep_token_id=2
    ),
    "mpnet": MPNetConfig(**SMALL),
    "roberta": RobertaConfig(**SMALL, pad_token_id=1),
    "xlm-roberta": XLMRobertaConfig(**SMALL, pad_token_id=1),
}  # fmt: skip
REFUSED = [RoFormerConfig(**SMALL), MegatronBertConfig(**SMALL), DebertaConfig(**SMALL)]


@pytest.fixture
def folder(base: Path, tmp_path: Path) -> Path:
    """A base model's folder that a test may damage."""
    return Path(shutil.copytree(base, tmp_path / "base"))


def test_every_allowed_family_is_compared() -> None:
    assert set(COMPUTED) == set(FAMILIES)


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A base model's folder of each family, with weights so large that a wrong pass shows."""
    torch.manual_seed(1)
    whole: Any = AutoModel.from_config(COMPUTED[request.param])
    for parameter in whole.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.2)
    whole.save_pretrained(tmp_path / "family")
    (tmp_path / "family" / "tokenizer.json").write_text("{}")
    return tmp_path / "family"


def padded(config: Any) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Three texts, the longest as long as can be read: ids padded as the family does, ids padded with zeros, and the mask."""
    texts = [[0, 5, 6, 7, 8, 2], list(range(3, 3 + longest(config))), [0, 2]]
    ids, zeros, mask = (torch.full((3, max(map(len, texts))), value) for value in (config.pad_token_id, 0, 0))
    for row, text in enumerate(texts):
        ids[row, : len(text)] = zeros[row, : len(text)] = torch.tensor(text)
        mask[row, : len(text)] = 1
    return ids, zeros, mask


@pytest.mark.parametrize("layers", [1, 2, 3])
@torch.no_grad()
def test_a_family_computes_what_transformers_computes_from_as_many_layers(family: Path, layers: int) -> None:
    config = AutoConfig.from_pretrained(family)
    config.num_hidden_layers = layers
    transformers: Any = AutoModel.from_pretrained(family, config=config).eval()
    ours = TextClassifier.from_base(family, 2, layers=layers, trained=1).eval()
    ids, zeros, mask = padded(config)
    expected = transformers(input_ids=ids, attention_mask=mask).last_hidden_state
    lower = ours.lower(zeros, mask) * mask[:, :, None]  # the cache of frozen activations has zeros in place of padding
    found = ours.family.run(lower, mask, ours.frozen_layers, None)
    assert ours.frozen_layers == layers - 1
    assert ((expected - found).abs() * mask[:, :, None]).max() < 1e-4


@torch.no_grad()
def test_an_artifact_of_each_family_answers_as_the_trained_model(family: Path, tmp_path: Path) -> None:
    trained = TextClassifier.from_base(family, 2, layers=2, trained=1).eval()
    torch.nn.init.normal_(trained.head.weight)
    (tmp_path / "label_map.json").write_text('{"bad": 0, "good": 1}')
    trained.save(tmp_path)
    _, ids, mask = padded(trained.encoder.config)
    served = TextClassifier.load(tmp_path).eval()
    assert torch.allclose(trained(ids, mask), served(ids, mask), atol=0.05)  # weights are stored in half precision
    assert served.encoder.config.num_hidden_layers == len(served.family.layers) == 2


def test_only_the_last_layers_of_a_family_and_the_head_learn(family: Path) -> None:
    model = TextClassifier.from_base(family, 2, layers=3, trained=1).train()
    _, ids, mask = padded(model.encoder.config)
    model(ids, mask).sum().backward()
    learning = {id(parameter) for parameter in (*model.family.layers[2].parameters(), *model.head.parameters())}
    assert {id(parameter) for parameter in model.parameters() if parameter.grad is not None} == learning
    assert all(torch.isfinite(parameter.grad).all() for parameter in model.parameters() if parameter.grad is not None)


@pytest.mark.parametrize("config", REFUSED, ids=lambda config: str(config.model_type))
def test_another_architecture_is_refused_by_name(config: Any, folder: Path) -> None:
    AutoModel.from_config(config).save_pretrained(folder)
    with pytest.raises(
        InvalidBaseModel, match=rf"model_type = '{config.model_type}' .* allowed are bert, camembert, deberta-v2, distilbert"
    ):
        TextClassifier.from_base(folder, 3, layers=2, trained=None)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_base_model_in_half_precision_is_trained_in_single(folder: Path, dtype: torch.dtype) -> None:
    half: Any = BertModel.from_pretrained(folder)
    half.to(dtype).save_pretrained(folder)
    assert json.loads((folder / "config.json").read_text(encoding="utf-8"))["dtype"] in str(dtype)
    model = TextClassifier.from_base(folder, 3, layers=2, trained=1)
    assert {value.dtype for value in model.parameters()} == {torch.float32}


def test_an_artifact_whose_base_model_had_half_precision_is_computed_in_single(parent: Path, tmp_path: Path) -> None:
    model = Path(shutil.copytree(parent / "model", tmp_path / "model"))
    config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    (model / "config.json").write_text(json.dumps(config | {"dtype": "float16"}), encoding="utf-8")
    assert {value.dtype for value in TextClassifier.load(model).parameters()} == {torch.float32}


def test_an_artifact_of_another_architecture_is_refused_too(parent: Path, tmp_path: Path) -> None:
    model = Path(shutil.copytree(parent / "model", tmp_path / "model"))
    config = read(model, "config")
    (model / "config.json").write_text(json.dumps({**config, "model_type": "roformer"}))
    with pytest.raises(InvalidBaseModel, match="'roformer'"):
        model_fn(str(model))


def _config(**changes: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / "config.json").write_text(json.dumps(read(folder, "config") | changes))

    return change


def _without(*names: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        for name in names:
            (folder / name).unlink(missing_ok=True)

    return change


def _written(name: str, content: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(content) and None


def _other_weights(folder: Path) -> None:
    config = BertConfig(vocab_size=13, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64)
    BertModel(config).save_pretrained(folder / "two")
    shutil.copy(folder / "two" / "model.safetensors", folder)


TOKENIZER = ("tokenizer.json", "vocab.txt", "tokenizer_config.json", "special_tokens_map.json")


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        pytest.param(_without("config.json"), "has no config.json", id="no configuration"),
        pytest.param(_without("model.safetensors"), "has no model.safetensors", id="no weights"),
        pytest.param(_without(*TOKENIZER), "has no tokenizer: upload its tokenizer.json, or vocab.txt", id="no tokenizer"),
        pytest.param(_written("config.json", b"{"), "config.json is no JSON", id="configuration is no JSON"),
        pytest.param(_written("config.json", b"[]"), "config.json holds no object", id="configuration is a list"),
        pytest.param(_written("model.safetensors", b"x" * 99), "model.safetensors does not load", id="damaged weights"),
        pytest.param(_written("tokenizer.json", b"{}"), "the tokenizer in .* does not load", id="damaged tokenizer"),
        pytest.param(_other_weights, r"has no encoder\.layer\.2\..*would be random", id="weights of fewer layers"),
        pytest.param(_config(is_decoder=True), "is_decoder = True", id="a decoder"),
        pytest.param(_config(position_embedding_type="relative_key"), "position_embedding_type = 'relative_key'", id="relative positions"),
    ],
)
def test_what_is_wrong_with_the_folder_is_named(
    damage: Callable[[Path], None],
    named: str,
    folder: Path,
    channels: Path,
    tmp_path: Path,
) -> None:
    damage(folder)
    with pytest.raises(InvalidBaseModel, match=named):
        train(folder, channels, tmp_path / "job", "--epochs", "1")
    assert not (tmp_path / "job").exists()


@pytest.mark.parametrize(("rows", "fits"), [(12, False), (13, True), (140, True), (141, False)])
def test_the_vocabulary_belongs_to_the_embedding(rows: int, *, fits: bool, folder: Path, channels: Path, tmp_path: Path) -> None:
    BertModel(BertConfig(**{**SMALL, "vocab_size": rows, "max_position_embeddings": 64})).save_pretrained(folder)
    if fits:
        train(folder, channels, tmp_path / "job", "--epochs", "1")
    else:
        with pytest.raises(InvalidBaseModel, match=rf"the tokenizer has 13 pieces, the embedding {rows} rows"):
            train(folder, channels, tmp_path / "job", "--epochs", "1")


def test_more_layers_than_the_base_model_has_are_refused(base: Path, channels: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidHyperparameter, match=r"layers = 4: this base model has 3; allowed is 1 to 3"):
        train(base, channels, tmp_path, "--layers", "4", "--epochs", "1")


def test_texts_that_the_tokenizer_cannot_read_end_the_trial(base: Path, tmp_path: Path) -> None:
    unread = toy_rows("train", 30, text="хороший телефон")
    write_split(tmp_path, "train", unread)
    write_split(tmp_path, "validation", toy_rows("validation", 9))
    with pytest.raises(InvalidBaseModel, match="100% of the pieces of the training texts are unknown to its tokenizer, at most 30% may be"):
        train(base, tmp_path, tmp_path / "job", "--epochs", "1")


def test_a_few_unknown_pieces_are_counted_and_said(base: Path, tmp_path: Path) -> None:
    write_split(tmp_path, "train", [*toy_rows("train", 27, text="good phone and screen"), *toy_rows("odd", 3, text="good phone 😀 screen")])
    write_split(tmp_path, "validation", toy_rows("validation", 9))
    assert read(train(base, tmp_path, tmp_path / "job", "--epochs", "1"), "metrics")["unknown_pieces"] == 0.025


# -- a parent ----------------------------------------------------------------------------------------


def _archive(source: Path, target: Path, change: Callable[[Path], None] | None = None) -> Path:
    """A channel ``parent`` whose artifact was changed."""
    model = Path(shutil.copytree(source / "model", target / "changed"))
    if change is not None:
        change(model)
    with tarfile.open(target / "model.tar.gz", "w:gz") as tar:
        tar.add(model, arcname=".")
    return target


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (_without("calibration.json"), r"model\.tar\.gz has no calibration\.json"),
        (_without("model.safetensors"), r"model\.tar\.gz has no model\.safetensors"),
        (_written("label_map.json", b"{"), r"label_map\.json of the model artifact is damaged"),
        (_written("model.safetensors", b"x"), r"model\.safetensors of the model artifact does not load"),
    ],
)
def test_a_damaged_parent_is_named(  # noqa: PLR0917  (pytest passes them by name)
    damage: Callable[[Path], None],
    named: str,
    base: Path,
    channels: Path,
    parent: Path,
    tmp_path: Path,
) -> None:
    (tmp_path / "parent").mkdir()
    broken = _archive(parent, tmp_path / "parent", damage)
    with pytest.raises(InvalidArtifact, match=named):
        train(base, channels, tmp_path / "job", "--epochs", "1", "--parent", str(broken))


@pytest.mark.parametrize("size", [None, 0, 100, 2_000])
def test_a_parent_that_cannot_be_unpacked_is_named(
    size: int | None,
    base: Path,
    channels: Path,
    parent: Path,
    tmp_path: Path,
) -> None:
    if size is not None:
        (tmp_path / "model.tar.gz").write_bytes((parent / "model.tar.gz").read_bytes()[:size])
    with pytest.raises(InvalidArtifact, match=r"model\.tar\.gz cannot be unpacked"):
        train(base, channels, tmp_path / "job", "--epochs", "1", "--parent", str(tmp_path))


def test_the_labels_of_a_whole_parent_are_kept(parent: Path, tmp_path: Path, base: Path, channels: Path) -> None:
    (tmp_path / "parent").mkdir()
    again = _archive(parent, tmp_path / "parent")
    assert list(read(train(base, channels, tmp_path / "job", "--epochs", "1", "--parent", str(again)), "label_map")) == list(LABELS)
