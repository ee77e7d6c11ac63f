"""The multi-task regression network as a scikit-learn estimator."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from identirep._typing import Array, BoolArray, IntArray, RandomState
from identirep.mapped_rows import MappedRows
from identirep.mtrn.base import StageOne
from identirep.mtrn.cut import warn_of_unclear_cut
from identirep.mtrn.logistic_heads import with_logistic_heads
from identirep.mtrn.reduction import Heads, linear_heads, residual_squares
from identirep.mtrn.settings import LATENTS_BATCH, NetworkSettings
from identirep.mtrn.sides import mapped_moments, split_moments
from identirep.parameters import Choice, Either, Fault, Made, Number, Rule, Sizes, Whole
from identirep.persistence import taken
from identirep.shapes import FINITE, Damage, check_shapes, check_values
from identirep.splits import two_sides
from identirep.target_kinds import TOLD_TYPE, TargetType

if TYPE_CHECKING:
    from torch import nn

    from identirep.mtrn.network_fit import FittedNetwork
    from identirep.validation import TaskData

__all__ = ["MTRN"]

# What a fit knows of its data.
_OF_DATA: tuple[str, ...] = (
    "n_features_in_",
    "feature_names_in_",
    "task_names_",
    "_flat_target",
    "_judges_signal",
    "signal_",
)
_OF_DATA += ("target_kinds_", "_levels", "_input_shape", "left_out_tasks_", "_given_tasks", "_least_labels")


class MTRN(StageOne):
    r"""Multi-task regression network: features that predict many targets linearly, by a consensus of replicates.

    A shared encoder h(x) and one linear head for each task are trained on the profile likelihood

    .. math::
        y = w_t^\top h(x) + b_t + N(0, \sigma_t^2), \qquad \min \sum_t \frac{n_t}{2} \log \sigma_t^2

    with a noise of its own for each task. Several encoders with their own initial weights are trained at once; their
    predictions are averaged, and the features are the leading eigenvectors of
    :math:`\sum_t p_t w_t w_t^\top / \sigma_t^2` in whitened features of all encoders.

    Parameters
    ----------
    n_components : int or "auto", default "auto"
        Number of features D. "auto" keeps the directions whose signal on held-out rows exceeds what permuted targets
        give.
    encoder : "mlp", torch.nn.Module or callable, default "mlp"
        A multilayer perceptron with rectifiers; a module that maps (n_samples, n_features_in) to (n_samples, K), which
        is copied and initialised afresh by the `reset_parameters` of its layers, or by their class if that takes no
        arguments; or a function without arguments that returns a new one. Replicates that would start from the same
        weights are refused. Your own modules get `X` as it is, in float32, which has to hold it; samples may have
        several axes, as images (n_samples, channels, height, width) do.
    hidden_sizes : sequence of int, default (256,)
        Hidden layers of the perceptron.
    n_features : int, optional
        Features K of each replicate of the perceptron, more than D so that weak directions are not left out; default
        the larger of 40 and 2 D, but no more than a quarter of the rows of a task in the long layout.
    n_replicates : int, default 4
        Number of encoders.
    dropout : float, default 0.0
        Share of the perceptron's hidden units that are left out at random in training. In the long layout, where a row
        has one label, 0.1 often keeps the network from learning its rows by heart.
    input_scaling : {"whiten", "standard"}, default "whiten"
        Inputs of the perceptron: principal components, small ones raised at most threefold, or columns with unit
        variance. Either way a value counts as far as half the range of a column's training rows beyond these: a network
        knows nothing of what lies further out.
    max_epochs : int or "auto", default "auto"
        Passes over the rows; "auto" takes 30, or as many as make 1,500 steps, at most 300.
    batch_size : int or "auto", default "auto"
        Rows of a batch; in the long layout batches are whole tasks with about so many rows. "auto" takes 2048 in the
        long layout, and else a twentieth of the rows within 32 to 256.
    learning_rate : float, default 5e-3
        Peak of the learning rate of AdamW, which follows one cycle.
    weight_decay : float, default 1e-4
        Decoupled weight decay.
    validation_fraction : float, default 0.15
        Share of rows held out from training: they choose the best epoch and measure the spectrum.
    patience : int or None, default 20
        Epochs without a better validation loss before training stops; None never stops early.
    target_type : str or dict of task to str, default "auto"
        What targets are: "continuous", "binary", "ordinal", "count"; "auto" tells it from their values, see
        `TaskMoments.from_long`. Binary ones have logistic heads and Bernoulli likelihoods, in the long layout heads
        alone: there the encoder is trained on their numbers (Fisher's discriminant). Ordinal targets and counts are
        predicted as numbers; stage two knows their levels.
    device : str, default "auto"
        Where `fit` trains: "auto", "cpu", "cuda", "mps" or "cuda:1". Under ``torchrun`` all its processes share each
        batch; what other launchers and schedulers set is ignored. On a machine without that device a fitted model
        computes on what there is.
    precision : str, default "32-true"
        Precision of training, as Lightning Fabric has it; for example "bf16-mixed".
    verbose : bool, default False
        Whether to show a progress bar.
    random_state : int, numpy.random.Generator, numpy.random.RandomState or None, default None
        Seed of weights, order of rows, held-out rows and permutations. Equal seeds give equal bits on one machine.

    Attributes
    ----------
    n_components_ : int
        Number of features D; 0 if "auto" finds no signal.
    n_components_range_ : tuple of int
        Least and largest number of features that are as good for "auto".
    signal_ : Signal
        Whether the targets carry signal, and what to do: `answer` is "signal", "none" or "too few rows". Before it says
        that there is none, a linear model and trees have tried.
    spectrum_ : array, shape (n_directions,)
        Signal to noise ratio of each direction on held-out rows, descending.
    spectrum_threshold_ : array, shape (n_directions,)
        The largest value that permuted targets gave to any direction, in units of what they do to each; no less than a
        fiftieth of the strongest signal.
    components_ : array, shape (n_components_, n_replicates * K)
        Linear map from the features of all replicates, side by side, to the reduced ones.
    mean_ : array, shape (n_replicates * K,)
        Mean of the features of all replicates.
    coef_ : array, shape (n_tasks, n_components_)
        Heads on the reduced features, of binary targets on the scale of the logit.
    intercept_ : array, shape (n_tasks,)
        Intercepts of the heads.
    noise_std_ : array, shape (n_tasks,)
        Standard deviation of the residuals, degrees of freedom of the heads counted.
    moments_ : TaskMoments
        Moments of the reduced features on all rows, for stage two.
    target_kinds_ : tuple of str, length n_tasks
        Kind of each target.
    task_names_ : tuple of hashable, length n_tasks
        Labels of the tasks.
    history_ : list of dict
        "epoch", "replicate", "train_loss", "validation_loss", "learning_rate" and "seconds", one for each epoch and
        replicate.
    module_ : torch.nn.Module
        The trained encoders: (n_samples, n_features_in) to (n_replicates, n_samples, K).
    n_features_in_ : int
        Number of inputs.

    Notes
    -----
    If the true heads span all D directions and the network has the capacity, features are identified up to an
    invertible linear map (Theorem 3.2 of the paper); stage two removes that ambiguity. The guarantee is asymptotic:
    `spectrum_` shows how far directions stand above chance, and directions with close values may mix from run to run.
    Where the replicates rank the directions at the cut after D differently, `fit` warns and names a better D.

    Rows with a missing label count for the tasks they have.

    References
    ----------
    W. Chen, J. Horwood, J. Heo, J. M. Hernandez-Lobato, "Leveraging task structures for improved identifiability in
    neural network representations", TMLR 2024, arXiv:2306.14861.

    Examples
    --------
    >>> import numpy as np
    >>> from identirep import MTRN
    >>> rng = np.random.default_rng(0)
    >>> Z = rng.normal(size=(400, 2))
    >>> y = Z @ rng.normal(size=(2, 10)) + 0.1 * rng.normal(size=(400, 10))
    >>> model = MTRN(hidden_sizes=(16,), n_replicates=2, max_epochs=40, random_state=0).fit(Z, y)
    >>> model.n_components_, model.transform(Z).shape
    (2, (400, 2))
    """

    _parameter_rules: ClassVar[Mapping[str, Rule]] = {
        "n_components": Either(Choice("auto"), Whole()),
        "encoder": Either(Choice("mlp"), Made("a torch module or a function that returns one")),
        "hidden_sizes": Sizes(),
        "n_features": Either(Choice(None), Whole()),
        "n_replicates": Whole(),
        "dropout": Number(0.0, 1.0, open_high=True),
        "input_scaling": Choice("whiten", "standard"),
        "max_epochs": Either(Choice("auto"), Whole()),
        "batch_size": Either(Choice("auto"), Whole()),
        "learning_rate": Number(0.0, open_low=True),
        "weight_decay": Number(0.0),
        "validation_fraction": Number(0.0, 1.0, open_low=True, open_high=True),
        "patience": Either(Choice(None), Whole()),
        "target_type": TOLD_TYPE,
    }

    def __init__(
        self,
        n_components: int | str = "auto",
        *,
        encoder: str | nn.Module | Callable[[], nn.Module] = "mlp",
        hidden_sizes: Sequence[int] = (256,),
        n_features: int | None = None,
        n_replicates: int = 4,
        dropout: float = 0.0,
        input_scaling: str = "whiten",
        max_epochs: int | str = "auto",
        batch_size: int | str = "auto",
        learning_rate: float = 5e-3,
        weight_decay: float = 1e-4,
        validation_fraction: float = 0.15,
        patience: int | None = 20,
        target_type: TargetType = "auto",
        device: str = "auto",
        precision: str = "32-true",
        verbose: bool = False,
        random_state: RandomState = None,
    ) -> None:
        self.n_components = n_components
        self.encoder = encoder
        self.hidden_sizes = hidden_sizes
        self.n_features = n_features
        self.n_replicates = n_replicates
        self.dropout = dropout
        self.input_scaling = input_scaling
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.target_type = target_type
        self.device = device
        self.precision = precision
        self.verbose = verbose
        self.random_state = random_state

    @property
    def _takes_axes(self) -> bool:
        """Whether samples may have several axes: an encoder of the user gets them as they are."""
        return not isinstance(self.encoder, str)

    _takes_rows_on_disk = True

    def _faults(self, groups: ArrayLike | None, order: ArrayLike | None) -> list[Fault]:
        from identirep.mtrn.devices import device_fault

        found = device_fault(self.device)
        return [] if found is None else [Fault(found)]

    def _fit(self, data: TaskData, groups: IntArray | None, rng: np.random.Generator) -> None:
        from identirep.mtrn.network_fit import fit_network

        data, groups, validating = self._in_order(data, groups, rng)
        levels = self._levels if data.task_index is None else None
        network = fit_network(NetworkSettings.of(self), data, groups, rng, held_out=validating, levels=levels)
        self._set_network(network)
        F: Any = None
        if isinstance(data.X, MappedRows):
            trained, untouched, held_out = mapped_moments(self._base_features, data, groups, network.held_out)
        else:
            F = self._base_features(data.X)
            trained, untouched, held_out = split_moments(F, data, groups, network.held_out)
        heads = linear_heads(trained, n_blocks=self.n_replicates)
        n, m = trained.n_samples, untouched.n_samples
        squares = n * heads.noise + residual_squares(untouched, heads.coef, heads.intercept)
        heads = Heads(heads.coef, heads.intercept, squares / np.maximum(n + m, 1))
        if levels is not None and F is not None:
            seen = ~network.held_out
            heads = with_logistic_heads(heads, F, data.targets, levels, seen, data.weights, self.n_replicates)
        reduction = self._fit_reduction(trained, heads, trained + untouched, held_out, rng)
        if F is not None:
            self._fit_kinds((F - self.mean_) @ self.components_.T, data)
        warn_of_unclear_cut(trained, heads.coef, reduction, self.n_replicates, self.n_components_)

    def _in_order(
        self, data: TaskData, groups: IntArray | None, rng: np.random.Generator
    ) -> tuple[TaskData, IntArray | None, BoolArray | None]:
        """Return the rows to fit, their groups, and which validate: the last ones; without an order all and None."""
        if data.order is None:
            return data, groups, None
        share, tasks = self.validation_fraction, data.task_index
        training, held_out = two_sides(len(data.X), share, rng, groups=groups, tasks=tasks, order=data.order)
        kept = training | held_out
        return data.rows(kept), None if groups is None else groups[kept], held_out[kept]

    def _taught(self, data: TaskData, latents: Array, groups: IntArray | None, rng: np.random.Generator) -> MTRN:
        """Return a clone trained on latents of the rows of `fit`, with the heads of its tasks on what it predicts."""
        from identirep.mtrn.guided import fit_to_latents

        batch_size = LATENTS_BATCH if self.batch_size == "auto" else self.batch_size
        stage = clone(self).set_params(n_components=self.n_components_, batch_size=batch_size, verbose=False)
        for name in _OF_DATA:
            if hasattr(self, name):
                setattr(stage, name, getattr(self, name))
        guided = fit_to_latents(NetworkSettings.of(stage), data, latents, groups, self._held_out, rng)
        stage._set_network(guided.network)
        trained, untouched, held_out = split_moments(guided.latents, data, groups, self._held_out)
        stage._fit_reduction(trained, linear_heads(trained), trained + untouched, held_out, rng)
        stage._fit_kinds((guided.latents - stage.mean_) @ stage.components_.T, data)
        # The reduction is of predicted latents; composed, it is one of the features of all replicates.
        stage.mean_ = guided.mean + np.linalg.lstsq(guided.components, stage.mean_, rcond=None)[0]
        stage.components_ = stage.components_ @ guided.components
        return stage

    def _set_network(self, network: FittedNetwork) -> None:
        self.module_, self.history_, self._held_out = network.encoder, network.history, network.held_out

    def to_torch(self) -> nn.Module:
        """Return the features as one module, scaling and reduction included.

        Returns
        -------
        torch.nn.Module
            Maps inputs (n_samples, n_features_in) to float32 (n_samples, n_components_), on the CPU; its own copy.
            Inputs in float64 keep the digits that float32 does not have beside a large offset.
        """
        from identirep.mtrn.network_fit import feature_map

        check_is_fitted(self)
        return feature_map(self.module_, self.components_, self.mean_)

    def _base_features(self, X: NDArray[Any]) -> Array:
        from identirep.mtrn.devices import usable_device
        from identirep.mtrn.network_fit import encode

        return encode(self.module_, X, usable_device(self.device))

    def _to_arrays(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Return the fitted state as arrays, and as what JSON can hold; nothing is pickled."""
        arrays, meta = super()._to_arrays()
        arrays |= {f"module.{name}": _as_array(name, value) for name, value in self.module_.state_dict().items()}
        shape = {"input_shape": list(self._input_shape)} if self._input_shape else {}
        return arrays, {**meta, "sizes": list(getattr(self.module_, "sizes", ())), **shape}

    def _from_arrays(self, arrays: dict[str, NDArray[Any]], meta: dict[str, Any]) -> MTRN:
        """Take over a state that `_to_arrays` has returned, of an estimator with the same parameters."""
        from identirep.mtrn.encoders import restored_encoder

        sizes, weights = meta["sizes"], taken("module", arrays)
        super()._from_arrays(arrays, meta)
        # Compared before room is taken for weights of that number.
        _check_weights(weights, sizes, self.n_replicates, self.n_features_in_, len(self.mean_))
        self._input_shape = tuple(map(int, meta.get("input_shape", ())))
        if self._input_shape and np.prod(self._input_shape) != self.n_features_in_:
            raise Damage(f"samples of shape {self._input_shape} in the place of {self.n_features_in_} inputs")
        self.module_ = restored_encoder(
            self.encoder,
            sizes=sizes,
            n_replicates=self.n_replicates,
            weights=weights,
            input_shape=self._input_shape,
        )
        return self


def _as_array(name: str, value: Any) -> NDArray[Any]:
    """Return a tensor of a module as an array; short floats that NumPy does not have are exact in float32."""
    try:
        if value.is_complex():
            raise TypeError("complex numbers")
        return (value if value.element_size() > 2 or not value.is_floating_point() else value.float()).numpy().copy()
    except (AttributeError, TypeError, RuntimeError) as error:
        raise TypeError(
            f"encoder cannot be saved without pickle: got {getattr(value, 'dtype', type(value).__name__)} in "
            f"'{name}' ({error}), expected dense tensors of numbers. Register them as other buffers, or as not "
            "persistent."
        ) from None


def _check_weights(
    weights: Mapping[str, NDArray[Any]], sizes: Any, n_replicates: int, n_inputs: int, n_features: int
) -> None:
    """Raise unless weights are those of so many encoders, of layers `sizes` if these are perceptrons."""
    if not sizes:
        found = {name.split(".")[1] for name in weights if name.startswith("replicates.")}
        # Encoders without weights have no names.
        if found and len(found) != n_replicates:
            raise Damage(f"weights of {len(found)} encoders in the place of {n_replicates}")
        return
    if kinds := {str(value.dtype) for value in weights.values() if value.dtype.kind != "f"}:
        raise Damage(f"weights of {', '.join(sorted(kinds))} in the place of floats")
    ends = sizes[0], sizes[-1] * n_replicates
    if ends != (n_inputs, n_features):
        raise Damage(f"layers from {ends[0]} to {ends[1]} in the place of {n_inputs} to {n_features}")
    for i in range(len(sizes) - 1):
        shapes = {f"weights.{i}": "RIO", f"biases.{i}": "R1O"}
        check_shapes(weights, shapes, R=n_replicates, I=sizes[i], O=sizes[i + 1])
        check_values(weights, dict.fromkeys(shapes, FINITE))
