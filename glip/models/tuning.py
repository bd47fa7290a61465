"""What learns in fine-tuning: everything, or a part of the model (``model.tuning`` in a config).

The modes are the official ones (``SOLVER.TUNING_HIGHLEVEL_OVERRIDE`` of microsoft/GLIP), by what
they are for:

================  ==============================================================================
``full``          everything learns
``frozen_text``   everything but the language encoder
``linear_probe``  the last layers: boxes, centerness, and all that turns words into token logits
``prompt``        a vector added to the text at every position; the model stays as it is
                  (official: ``language_prompt_v2``)
================  ==============================================================================

Options that freeze a part for themselves (``frozen_stages`` of the backbone) hold in every mode.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from glip.utils.errors import TuningError


@dataclass(frozen=True)
class Tuning:
    """A mode of tuning.

    Attributes:
        learns: how the names of the parameters begin that learn.
        still: the parts of the detector that stay in evaluation mode, so without dropout and
            stochastic depth. As in the official code the tower is not among them in a linear probe:
            its dropout stays on, though it does not learn.
        prompt_length: text positions that a vector is learned for.
    """

    learns: tuple[str, ...]
    still: tuple[str, ...] = ()
    prompt_length: int = 0

    def complete(self, language_model: dict) -> dict:
        """Add to the config of the language encoder what the mode needs of it."""
        if not self.prompt_length:
            return language_model
        return {"learned_prompt": self.prompt_length, **language_model}

    def freeze(self, detector: nn.Module) -> None:
        """Keep from learning what does not learn.

        Raises:
            TuningError: nothing would be left to learn.
        """
        names = []
        for name, parameter in detector.named_parameters():
            if not name.startswith(self.learns):
                parameter.requires_grad_(False)
            elif parameter.requires_grad:
                names.append(name)
        if not names:
            raise TuningError(
                f"of what learns in this mode of tuning, {self.learns}, the model has nothing; for "
                "'prompt' expected model.language_model.learned_prompt of 1 or more"
            )

    def set_frozen_eval(self, detector: nn.Module) -> None:
        """Set the parts that do not change to evaluation mode."""
        for name in self.still:
            detector.get_submodule(name).eval()


_PARTS = ("backbone", "neck", "bbox_head", "language_model")

#: The modes, by name.
TUNINGS = {
    "full": Tuning(learns=("",)),
    "frozen_text": Tuning(
        learns=("backbone.", "neck.", "bbox_head."),
        still=("language_model",),
    ),
    "linear_probe": Tuning(
        learns=("bbox_head.bbox_pred.", "bbox_head.centerness.", "bbox_head.token_logits."),
        still=("backbone", "neck", "language_model"),
    ),
    # Official: a vector for each of 1000 positions, of which a caption has 256 at most.
    "prompt": Tuning(learns=("language_model.prompt.",), still=_PARTS, prompt_length=1000),
}


def find_tuning(name: str) -> Tuning:
    """Return the mode of a name.

    Raises:
        TuningError: there is no such mode.
    """
    if name not in TUNINGS:
        raise TuningError(f"expected model.tuning to be one of {', '.join(TUNINGS)}, got {name!r}")
    return TUNINGS[name]
