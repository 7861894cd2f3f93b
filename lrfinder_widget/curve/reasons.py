"""The sentences about a candidate, or about why there is none.

Those of a rule are filled in by `suggest`.
"""

from __future__ import annotations

from .budget import Schedule

SCHEDULES: dict[Schedule, str] = {
    "constant": "at a constant learning rate",
    "decay": "with a decaying learning rate",
}
BY_RULE = {
    "budget": "The loss falls clearly from {onset:.1e} on and is lowest near {lowest:.1e}; for "
    "{training}, this suggests {lr:.1e} ({low:.1e} to {high:.1e}){more}.",
    "minimum": "The loss falls clearly from {onset:.1e} on and is lowest near {lowest:.1e}; the "
    "candidate is that divided by {below_lowest:.2g}, to stay well below where the loss turns up.",
    "steepest": "Per decade of learning rate, the loss falls fastest near {lr:.1e}.",
    "valley": "{lr:.1e} is two thirds of the way along the longest uninterrupted fall.",
    "slide": "A one-decade window, slid down from the minimum, first has about the same slope at "
    "both ends when its lower end is {lr:.1e}.",
    "divergence": "The loss diverges after {last:.1e}; the candidate is that divided by "
    "{below_last:.2g}.",
}
WEAK = {
    **BY_RULE,
    "budget": "The loss falls and is lowest near {lowest:.1e}, which for {training} suggests "
    "{lr:.1e} ({low:.1e} to {high:.1e}).",
    "minimum": "The loss falls and is lowest near {lowest:.1e}, which suggests {lr:.1e}.",
}
_USUAL = (
    "; by what untrained models usually need with such an optimizer, {lr:.1e} ({low:.1e} to "
    "{high:.1e}) is a guess for {training}."
)
WITHOUT_DROP = (
    "The loss rises after {last:.1e} without a clear drop before it; as the model is untrained, a "
    "tenth of that for {training} suggests {lr:.1e} ({low:.1e} to {high:.1e})."
)
GUESS = "The loss falls and is lowest near {lowest:.1e}" + _USUAL
GUESS_WITHOUT_DROP = "The loss rises after {last:.1e} without a clear drop before it" + _USUAL
HARDLY = (
    "the drop is hardly larger than the noise, so check it with trial runs, or rerun with "
    "{repeats}larger batches or more points"
)
HIDDEN = (
    "the drop is smaller than the batch-to-batch noise and appears only once that noise is "
    "subtracted{perhaps_trained}, so check it with trial runs, or rerun "
    "with larger batches or more points"
)
REPEATS = "repeats=3, "
PERHAPS_TRAINED = ", as it can for an already trained model"
NO_DROP = (
    "the noise hides the drop, so check it with trial runs, or rerun with larger batches or more "
    "points"
)
TRAINED = (
    "a short test says less about a model that was trained before, so check it with trial runs"
)
TO_THE_END = (
    "the loss is still falling at the end of the range, so a higher one may be better: raise end_lr"
)
SPREAD = "The candidates of {repeats} repeats lie within {spread:.2f} decades."
FEW = "A candidate of its own is seen in only {found} of {repeats} repeats."
NONE = "None of the {repeats} repeats shows a candidate of its own."
ALL_ALIKE = "All repeats saw the same data in the same order, so they say nothing about the spread."
NOTHING = (
    "The curve has no finite loss: run the LR range test or, if you have, check the data and the "
    "model."
)
TOO_FEW = (
    "The curve has too few points to be read ({n}, but {fewest} are needed): run the LR range test "
    "with more points."
)
RISES_AT_ONCE = (
    "The loss rises too early for the curve to be read (points before the rise: {n}): use a "
    "smaller start_lr."
)
RISES_ONLY = (
    "The loss rises without a clear drop before it, as is common for a trained model, so the curve "
    "shows no candidate: compare a few learning rates in trial runs, or lower start_lr, or reduce "
    "the noise with larger batches or more points."
)
FLAT = (
    "The loss does not fall clearly in this range, as is common for a trained model, so the curve "
    "shows no candidate: compare a few learning rates in trial runs, or raise end_lr, or reduce "
    "the noise with larger batches or more points."
)
NOT_YET = "The loss had not fallen clearly when the LR range test ended: let it run longer."
STILL_FALLING = "The loss is still falling at the end of the range: raise end_lr."
CUT_SHORT = "The loss was still falling when the LR range test ended: let it run longer."
NOT_BY_THIS_RULE = "The loss falls, but the rule {rule} finds no candidate: try another rule."
BELOW_THE_RANGE = (
    "The loss turns up so early that the candidate lies below the range: lower start_lr."
)
BELOW_FOR_THIS_TRAINING = (
    "The candidate for {training} lies below the range of the LR range test: lower start_lr."
)
NO_LENGTH = ": give train_steps for a sharper one"
"""The end of a sentence, where the length of the training is unknown."""
NONE_COMPLETED = "no trial completed: unless they were stopped, try smaller learning rates."
NOT_FINITE = (
    "no trial ended with a finite loss on the held-out batches: check these and how they are "
    "evaluated, or try smaller learning rates."
)
NO_USE: dict[str | None, str] = {
    None: "training on does not help",
    "lower": "none of these learning rates helps, and lower ones were not tried",
    "higher": "none of these learning rates helps, and higher ones were not tried",
    "between": "none of these learning rates helps, and those between them were not tried",
}
"""By `untried`."""
NONE_BELOW = (
    "{claim}: after {steps} steps, {lr} has the lowest loss on the held-out batches, {loss:.4g}, "
    "which is not clearly below the {start:.4g} of the starting weights."
)
NO_GAIN = (
    " But the starting weights have a loss of {start:.4g} on the same batches: in this many steps, "
    "none of these learning rates lowers the loss clearly, as is common for a trained model. As "
    "far as {steps} steps show, {claim}."
)
NO_EFFECT = (
    "The learning rate has no effect: a step that was tried once more, from the same state and at "
    "100,000 times the learning rate, moved the weights to the same values, bit for bit. So no "
    "learning rate can be read off the losses. Either the optimizer sets its own step size, as "
    "Rprop does after its first step and Adafactor with relative steps: turn that off, or use it "
    "without this test. Or the step does not use the learning rate of the optimizer that was "
    "passed: pass the one that it uses, and make lr a tensor if the step was captured or compiled."
)
"""Why a run with the reason ``"no-effect"`` has no candidate."""
