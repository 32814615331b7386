"""One training run: what is trained, how, and what it left behind. Needs torch and numpy."""

from gradwidgets.core import problems, settings, validate
from gradwidgets.core.built_optimizer import (
    build_optimizer,
    each_of,
    kept_of,
    needs_closure,
    phases_of,
)
from gradwidgets.core.control import GROUPS, Control, linear
from gradwidgets.core.data import Batch, Batches, Pair, groups, is_pair, samples
from gradwidgets.core.edit_table import EDITS, WrittenModel
from gradwidgets.core.edits import Clip, Edit, Mask, Penalty, Scale, edit_gradients
from gradwidgets.core.errors import TrainingError, check_finite_data, described_error
from gradwidgets.core.history import History, end_of
from gradwidgets.core.isolation import (
    PROCESS_LOCK,
    TURN,
    Buffers,
    IsolatedRun,
    evaluating,
    generators,
    is_small,
    one_thread,
)
from gradwidgets.core.loop import Run, measured_at, measured_every, train
from gradwidgets.core.loss import Loss, reduction
from gradwidgets.core.metric import decision_threshold, ignored_class
from gradwidgets.core.optimizers import OptimizerKind, name_of, option_defaults
from gradwidgets.core.own_step import has_tensor, needs_loss, step_groups
from gradwidgets.core.parameter_groups import (
    Change,
    Group,
    at_first,
    changes_of,
    frozen_in_words,
    groups_of,
    may_lack_gradients,
)
from gradwidgets.core.patience import Patience, patience_of
from gradwidgets.core.precision import Precision, PrecisionPlan, kinds_of, storage_of
from gradwidgets.core.problem import Problem
from gradwidgets.core.recipe import Recipe
from gradwidgets.core.recorder import SNAPSHOT_ELEMENTS, Array, as_numbers
from gradwidgets.core.schedules import (
    PLATEAU,
    SHAPES,
    Part,
    build_scheduler,
    has_schedule,
    lrs_of,
    one_optimizer_wanted,
    parts_of,
    stepped_at,
    still_optimizer,
)
from gradwidgets.core.validate import not_allowed
from gradwidgets.core.verdict import end_level, metric_value, verdict

__all__ = [
    "Array",
    "Batch",
    "Batches",
    "Buffers",
    "Change",
    "Clip",
    "Control",
    "EDITS",
    "Edit",
    "GROUPS",
    "Group",
    "History",
    "Loss",
    "Mask",
    "OptimizerKind",
    "PLATEAU",
    "SHAPES",
    "PROCESS_LOCK",
    "Pair",
    "Part",
    "Patience",
    "Penalty",
    "Precision",
    "PrecisionPlan",
    "Problem",
    "Recipe",
    "Run",
    "SNAPSHOT_ELEMENTS",
    "Scale",
    "TURN",
    "TrainingError",
    "WrittenModel",
    "IsolatedRun",
    "as_numbers",
    "at_first",
    "changes_of",
    "check_finite_data",
    "decision_threshold",
    "described_error",
    "end_of",
    "build_optimizer",
    "build_scheduler",
    "each_of",
    "edit_gradients",
    "end_level",
    "evaluating",
    "generators",
    "groups",
    "has_schedule",
    "has_tensor",
    "ignored_class",
    "frozen_in_words",
    "groups_of",
    "is_pair",
    "is_small",
    "kept_of",
    "kinds_of",
    "linear",
    "lrs_of",
    "may_lack_gradients",
    "measured_at",
    "measured_every",
    "metric_value",
    "name_of",
    "needs_closure",
    "needs_loss",
    "one_optimizer_wanted",
    "one_thread",
    "option_defaults",
    "parts_of",
    "patience_of",
    "phases_of",
    "problems",
    "not_allowed",
    "reduction",
    "samples",
    "settings",
    "step_groups",
    "stepped_at",
    "still_optimizer",
    "storage_of",
    "train",
    "validate",
    "verdict",
]
