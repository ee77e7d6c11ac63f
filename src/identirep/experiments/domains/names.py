"""Names: the same properties from nothing but the names of molecules, as static embeddings of ``wordllama``."""

from __future__ import annotations

from functools import cache

import numpy as np

from identirep._typing import Array
from identirep.experiments.domains.domain import Domain
from identirep.experiments.domains.molecules import draw_molecules, load_molecules
from identirep.experiments.domains.packages import folder_of
from identirep.experiments.trust import Drawn

__all__ = ["NAMES", "embed"]

_WEIGHTS, _TOKENS = "weights/l2_supercat_256.safetensors", "tokenizers/l2_supercat_tokenizer_config.json"


def embed(texts: list[str]) -> Array:
    """Return the mean embedding of the tokens of each text (n_texts, 256); all is read from the package."""
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    folder = folder_of("wordllama")
    (vectors,) = load_file(folder / _WEIGHTS).values()
    tokenizer = Tokenizer.from_file(str(folder / _TOKENS))
    tokens = [encoding.ids for encoding in tokenizer.encode_batch(texts, add_special_tokens=False)]
    # A text without tokens is none of the others.
    return np.stack([vectors[ids].astype(np.float64).sum(axis=0) / max(len(ids), 1) for ids in tokens])


@cache
def _embedded() -> Array:
    return embed(load_molecules().names)


def _draw(rng: np.random.Generator, quick: bool) -> Drawn:
    return draw_molecules(rng, quick, _embedded())


# With a third as many inputs as rows of a fit, the default network learns these by heart.
_NETWORK = {"hidden_sizes": (32,), "input_scaling": "standard", "dropout": 0.3, "weight_decay": 0.1}
NAMES = Domain(_draw, 3, _NETWORK, needs=("chemicals", "wordllama", "tokenizers"))
