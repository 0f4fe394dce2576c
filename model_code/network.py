"""The classifier: the first layers of an encoder (``families.py``), mean pooling and a linear head.

Activations of the layers that stay frozen can be computed once and cached, which makes training of the last two
layers about three times as fast.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel

from model_code.archive import CONFIG, WEIGHTS, InvalidArtifact, read_document
from model_code.arguments import InvalidHyperparameter
from model_code.base_model import check_family, load_encoder
from model_code.families import family_of
from model_code.tokens import Tokens


def native_bf16() -> bool:
    """Whether the device multiplies bfloat16 in hardware; elsewhere it would be slower than float32."""
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def autocast(device: torch.device, enabled: bool) -> AbstractContextManager[Any]:
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled)


class TextClassifier(nn.Module):
    """Encoder with ``layers`` layers, of which the last ``trained`` are trained, all when None (the embeddings never are).

    Shapes: token ids and mask (batch, length) -> logits (batch, labels).
    """

    encoder: Any
    head: nn.Linear

    def __init__(self, encoder: nn.Module, labels: int, *, trained: int | None, dropout: float = 0.1) -> None:
        super().__init__()
        self.encoder = encoder
        self.family = family_of(encoder)
        self.frozen_layers = 0 if trained is None else max(0, len(self.family.layers) - trained)
        for module in self.encoder.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0  # in a few epochs it cost time and gained nothing: only the head keeps its own
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(self.encoder.config.hidden_size, labels)
        nn.init.normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)
        self.encoder.requires_grad_(False)
        for layer in self.family.layers[self.frozen_layers :]:
            layer.requires_grad_(True)

    @classmethod
    def from_base(cls, folder: Path, labels: int, *, layers: int, trained: int | None) -> TextClassifier:
        """Start from the base model's files (``config.json``, ``model.safetensors``).

        Raises:
            InvalidBaseModel: the folder cannot be trained from.
            InvalidHyperparameter: the base model has fewer layers.
        """
        encoder = load_encoder(folder)
        if layers > encoder.config.num_hidden_layers:
            own = encoder.config.num_hidden_layers
            raise InvalidHyperparameter(
                f"hyper-parameter layers = {layers}: this base model has {own}; allowed is 1 to {own} (tuning.layers)"
            )
        family_of(encoder).keep(layers)
        encoder.pooler = None
        return cls(encoder, labels, trained=trained)

    @classmethod
    def load(cls, folder: Path, *, trained: int | None = 0) -> TextClassifier:
        """Load what :meth:`save` wrote.

        Raises:
            InvalidArtifact: a file is missing or damaged, or the weights do not fit the configuration.
            InvalidBaseModel: the architecture is one that would be computed wrongly.
        """
        auto: Any = AutoModel
        check_family(read_document(folder, CONFIG.removesuffix(".json")))
        encoder = auto.from_config(AutoConfig.from_pretrained(folder, local_files_only=True), dtype=torch.float32)
        encoder.pooler = None
        model = cls(encoder, len(read_document(folder, "label_map")), trained=trained)
        try:
            model.load_state_dict(load_file(folder / WEIGHTS))
        except (SafetensorError, OSError, RuntimeError) as error:
            first = str(error).strip().partition("\n")[0]
            raise InvalidArtifact(
                f"{WEIGHTS} of the model artifact does not load with its {CONFIG} ({type(error).__name__}: {first}): train the model again"
            ) from None
        return model

    def save(self, folder: Path) -> None:
        """Config and weights; in half precision, which halves the artifact and moves no confidence by a thousandth."""
        self.encoder.config.save_pretrained(folder)
        weights = {name: (value.half() if value.is_floating_point() else value).cpu() for name, value in self.state_dict().items()}
        save_file({name: value.contiguous() for name, value in weights.items()}, folder / WEIGHTS)

    def lower(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Hidden states (batch, length, hidden) after the frozen part."""
        return self.family.run(self.family.embed(ids, mask), mask, 0, self.frozen_layers)

    def upper(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """Logits (batch, labels) from the frozen part's hidden states."""
        hidden = self.family.run(hidden, mask, self.frozen_layers, None)
        weights = mask[:, :, None].to(hidden.dtype)
        pooled = (hidden * weights).sum(1) / weights.sum(1).clamp(min=1)
        return self.head(self.dropout(pooled.float()))  # type: ignore[no-any-return]  # a module's call is untyped

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        return self.upper(self.lower(ids, mask), mask)


@torch.inference_mode()
def predict_logits(model: TextClassifier, tokens: Tokens, *, bf16: bool, batch_size: int = 64) -> Tensor:
    """Logits (texts, labels), float32 on the CPU, in the order of the texts."""
    model.eval()
    device = next(model.parameters()).device
    logits = torch.zeros(len(tokens), model.head.out_features)
    for indices in tokens.by_length(batch_size):
        ids, mask = tokens.batch(indices)
        with autocast(device, bf16):
            logits[indices] = model(ids.to(device), mask.to(device)).float().cpu()
    return logits
