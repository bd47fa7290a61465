"""Tuning modes: which parameters are trained in fine-tuning (``model.tuning`` in a config).

The modes are the official ones (``SOLVER.TUNING_HIGHLEVEL_OVERRIDE`` of microsoft/GLIP):

================  ==============================================================================
``full``          all parameters are trained
``frozen_text``   all but the language encoder
``linear_probe``  the last layers: box regression, centerness and the token logits
``prompt``        a vector added to the text features of every token; the model itself is frozen
                  (official: ``language_prompt_v2``)
================  ==============================================================================

Parts that a model freezes itself (``frozen_stages`` of the backbone) stay frozen in every mode.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from glip.utils.errors import ConfigError


@dataclass(frozen=True)
class Tuning:
    """A tuning mode.

    Attributes:
        trainable_prefixes: prefixes of the names of the trainable parameters.
        eval_modules: names of the submodules that stay in evaluation mode, that is without dropout
            and stochastic depth. As in the official code the head is not among them in a linear
            probe: the dropout of its tower stays on, although the tower is frozen.
        prompt_length: number of text positions with a learned prompt vector.
    """

    trainable_prefixes: tuple[str, ...]
    eval_modules: tuple[str, ...] = ()
    prompt_length: int = 0

    def complete(self, language_model: dict) -> dict:
        """Return the config of the language encoder with what the mode adds to it."""
        if not self.prompt_length:
            return language_model
        return {"learned_prompt": self.prompt_length, **language_model}

    def freeze(self, detector: nn.Module) -> None:
        """Freeze all parameters that the mode does not train.

        Raises:
            ConfigError: no trainable parameter is left.
        """
        trainable = []
        for name, parameter in detector.named_parameters():
            if not name.startswith(self.trainable_prefixes):
                parameter.requires_grad_(False)
            elif parameter.requires_grad:
                trainable.append(name)
        if not trainable:
            raise ConfigError(
                "expected trainable parameters with one of the prefixes "
                f"{self.trainable_prefixes}, got none in this model; for tuning='prompt' set "
                "model.language_model.learned_prompt to 1 or more"
            )

    def set_frozen_eval(self, detector: nn.Module) -> None:
        """Set the frozen submodules to evaluation mode."""
        for name in self.eval_modules:
            detector.get_submodule(name).eval()


#: The tuning modes by name.
TUNINGS = {
    "full": Tuning(trainable_prefixes=("",)),
    "frozen_text": Tuning(
        trainable_prefixes=("backbone.", "neck.", "bbox_head."),
        eval_modules=("language_model",),
    ),
    "linear_probe": Tuning(
        trainable_prefixes=(
            "bbox_head.bbox_pred.",
            "bbox_head.centerness.",
            "bbox_head.token_logits.",
        ),
        eval_modules=("backbone", "neck", "language_model"),
    ),
    # Official: a vector for each of 1000 positions; a caption has at most 256.
    "prompt": Tuning(
        trainable_prefixes=("language_model.prompt.",),
        eval_modules=("backbone", "neck", "bbox_head", "language_model"),
        prompt_length=1000,
    ),
}


def find_tuning(name: str) -> Tuning:
    """Return a tuning mode by name.

    Raises:
        ConfigError: no mode has this name.
    """
    if name not in TUNINGS:
        raise ConfigError(f"expected model.tuning to be one of {', '.join(TUNINGS)}, got {name!r}")
    return TUNINGS[name]
