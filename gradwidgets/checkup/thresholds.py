"""The limits that the checkup compares with, and the reason for each number.

Limits on gradients and updates are ratios, mostly to the parameter's own norm, so the model's
width and initialisation drop out; those at the end are counts. Where a step has matrices, sizes
are judged on them alone: biases, gains and gates (fewer than two dimensions) may start at zero,
and the gradient of a bias before a normalisation is pure rounding noise.
"""

EXPLODING_GRADIENT = 1e4
"""|grad| / |parameter| of the whole model. Sums over a thousand samples give up to 1e3; from here
on a step at lr 1e-3 replaces the parameters ten times over."""

EXPLODING_SENSITIVITY = 1.0
"""|grad| |parameter| / |loss| also required: the parameters themselves drive the loss. Large
targets alone (prices in dollars) give large gradients, but the loss is hardly sensitive to them."""

EXPLODING_GROWTH = 1e3
"""Growth of |grad| / |parameter| from the first step to the worst. A falling loss has falling
gradients; noise between batches is within a factor of ten."""

EXPLODING_LOSS_GROWTH = 10.0
"""Growth of the loss also required, so that a flat start is not called an explosion."""

VANISHING_GRADIENT = 1e-5
"""Smallest |grad| / |parameter| over the largest, among matrices. Healthy deep networks stay above
1e-3; each saturated layer costs a factor of four or more, and float32 resolves 1e-7."""

NEARLY_CLOSED = 1e-3
"""Size per element of a gain or gate that still hides what lies behind it: LayerScale begins at
1e-6 to 1e-4 and opens with the first steps."""

OPEN_BRANCH = 0.1
"""Size per element from which a gain lets its own block learn. Gradients of a block that it closes
twice (before and after squeeze-and-excitation) grow with its square."""

FLAT_LOSS = 1e-7
"""|grad| |parameter| / |loss|: the relative change of the loss for a relative change of all
parameters by one. Below float32 resolution, no step of any size would be seen in the loss."""

UPHILL = 0.9
"""Cosine between an update and its gradient, above which an optimizer that is not one of torch's
climbs. Momentum and weight decay point elsewhere at times, not along the gradient at every step."""

UPDATE_TOO_SMALL = 1e-7
"""|update| / |parameter|: half a unit in the last place of float32. At this rate a parameter
changes by one per cent in a hundred thousand steps."""

LIVE_GRADIENT = 1e-6
"""|grad| / |parameter| above which a tiny update is due to the lr, not to convergence."""

NOISE_GRADIENT = 1e-6
"""A parameter's |grad| / |parameter| relative to the largest. Below this the gradient is rounding
noise, and losing its update to rounding does no harm."""

LOST_SHARE = 0.5
"""Share of a half-precision parameter's elements that have a gradient and stay bit-identical."""

UPDATE_TOO_LARGE = 1.0
"""|update| / |parameter|: the step replaces the parameter. A small linear model may take such a
step in the right direction, so the loss or the gradient must get worse as well."""

UPDATE_TOO_LARGE_WORSE = 3.0
"""Factor by which the loss or gradient must get worse; noise between batches is below two."""

UPDATE_HUGE = 30.0
"""|update| / |parameter| that suffices by itself, for loops of a single step."""

TYPICAL_SIZE = 1.0
"""TYPICAL_SIZE / sqrt(fan-in) per element, the usual initialisation, replaces the size of smaller
parameters: otherwise the first step of a zero-initialised layer would look huge."""

CLIPPED_AWAY_NORM = 1e-3
"""Gradient norm that the step read over the one that backward left. Clipping an outlier by a factor
of a hundred is normal; a factor of a thousand at every step removes the gradient."""

CLIPPED_AWAY_REST = 1e-3
"""|grad| / |parameter| after clipping. A truly exploding gradient clipped to a norm of one is above
this; unscaled gradients clipped with a max_norm meant for scaled ones are below."""

TAKEN_BACK = 0.05
"""Share of a step's move that is left before the next one, below which it was for nothing: slow
weights keep half of it, averages of many models a tenth."""

OVERWRITTEN = 0.7
"""|change between two steps| / |parameter| at which its numbers are others: those of another random
initialisation are 1.4 away."""

UNDONE_STEPS = 3
"""Number of times that the loop must have changed parameters so between two measured steps."""

MASK_ELEMENTS = 16
"""Fewest elements of which a mask is told from chance: of 16, half dropped at random, the same come
again once in 65000 times."""

MASK_STEPS = 2
"""Number of measured steps in a row with the same mask."""

MASK_STEPS_WHOLE = 4
"""The same, if the whole gradient is masked: layers are dropped at random, too."""

LR_SPENT = 3e-5
"""Learning rate over its peak, below which a schedule has come to its end. Schedules in steps end
at a thousandth, one cycle at 4e-6 in its very last step."""

LR_SPENT_STEPS = 2
"""Number of steps that must be below: a cosine reaches zero in the last one."""

LR_SPENT_SHARE = 0.25
"""Share of the steps watched that must be below."""

DEAD_STEPS = 5
"""Number of steps at the end in which a gradient must be exactly zero to be called dead."""

DEAD_SHARE = 0.25
"""Share of the steps watched, too."""

UNEVEN_TOKENS = 1.5
"""Largest number of targets over the smallest among the micro-batches of a step, above which the
mean of their means is not taken for the mean over targets. Lengths of equal texts vary less."""

SAME = 1e-5
"""Relative difference of two norms below which the gradient was not edited in between."""

EDITED = 1e-3
"""Relative difference of the whole gradient's norm above which the report lists an edit."""

ROUNDING = 0.01
"""Relative difference of two elements that rounding explains, in half precision too."""

SAMPLED = 4096
"""Elements sampled to estimate the norm of a change. The relative error of a norm of n
independent elements is about 1 / sqrt(2 n): one per cent."""

SKETCHED = 16384
"""Elements of a layer's output that are kept until its next run; of more, their sum."""

FEW = 256
"""Number of elements compared to notice that a tensor was changed by hand, however slightly."""

ALWAYS_MEASURED = 4
"""Number of an optimizer's first steps at which everything is measured."""

THEN_EVERY = 8
"""After those, everything is measured once in so many steps; gradient norms at all others."""

MOST_KEPT = 400
"""Most events, steps and backward calls kept of each: a watched loop may run for days."""
