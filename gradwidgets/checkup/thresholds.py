"""Every limit that is compared with, and why it is that number.

All are relative: a gradient or an update is compared with the parameter's own size, so the unit
of the loss, the width of the model and its initialisation drop out. Biases, gains and gates
(fewer than two dimensions) are left out: they start at zero by design, and one in front of a
normalisation has a gradient of pure rounding noise.
"""

EXPLODING_GRADIENT = 1e4
"""|grad| / |parameter| of the whole model. Sums over a thousand samples give up to 1e3; from here
on a step at lr 1e-3 replaces the parameters ten times over."""

EXPLODING_SENSITIVITY = 1.0
"""|grad| |parameter| / |loss| that must go with it: the parameters themselves drive the loss. Large
targets alone (prices in dollars) make large gradients to which the loss is hardly sensitive."""

EXPLODING_GROWTH = 1e3
"""Growth of that ratio from the first step to the last. Losses that fall bring gradients that
fall; noise between batches is within a factor of ten."""

EXPLODING_LOSS_GROWTH = 10.0
"""Growth of the loss that must go with it, so that a flat start is not called an explosion."""

VANISHING_GRADIENT = 1e-5
"""Smallest |grad| / |parameter| over the largest, among matrices. Healthy deep networks stay above
1e-3; each saturated layer costs a factor of four or more, and float32 resolves 1e-7."""

NEARLY_CLOSED = 1e-3
"""Size per element of a gain or gate that still hides what lies behind it: LayerScale begins at
1e-6 to 1e-4 and opens with the first steps."""

FLAT_LOSS = 1e-7
"""|grad| |parameter| / |loss|: the relative change of the loss for a relative change of all
parameters by one. Below float32 resolution, no step of any size would be seen in the loss."""

UPDATE_TOO_SMALL = 1e-7
"""|update| / |parameter|: half a unit in the last place of float32. At this rate a parameter
changes by one per cent in a hundred thousand steps."""

LIVE_GRADIENT = 1e-6
"""|grad| / |parameter| from which on a tiny update is the lr's doing, not convergence's."""

NOISE_GRADIENT = 1e-6
"""A parameter's |grad| / |parameter| relative to the largest: below is rounding noise, and an
update lost to rounding loses nothing."""

LOST_SHARE = 0.5
"""Share of a half-precision parameter's elements that have a gradient and stay bit-identical."""

UPDATE_TOO_LARGE = 1.0
"""|update| / |parameter|: the step replaces the parameter. A small linear model may take such a
step in the right direction, so the loss or the gradient must get worse as well."""

UPDATE_TOO_LARGE_WORSE = 3.0
"""Factor by which it must get worse; noise between batches is below two."""

UPDATE_HUGE = 30.0
"""|update| / |parameter| that needs no second witness, for loops of a single step."""

TYPICAL_SIZE = 1.0
"""Parameters smaller than TYPICAL_SIZE / sqrt(fan-in) per element are measured against that, the
usual initialisation: zero-initialised layers make a large relative first step."""

CLIPPED_AWAY_NORM = 1e-3
"""Norm read by the step over the norm that backward left. Clipping an outlier by a factor of a
hundred is what clipping is for; a factor of a thousand at every step removes the gradient."""

CLIPPED_AWAY_REST = 1e-3
"""|grad| / |parameter| left after it: clipping a truly exploding gradient to a norm of one leaves
more than this, a max_norm for scaled gradients applied to unscaled ones leaves less."""

SAME = 1e-5
"""Relative difference of two norms below which nobody edited the gradient between them."""

EDITED = 1e-3
"""Relative difference of the whole gradient's norm from which the report lists an edit."""

ROUNDING = 0.01
"""Relative difference of two elements that rounding explains, in half precision too."""

SAMPLED = 4096
"""Elements from which the norm of a change is estimated. The relative error of a norm of n
independent elements is about 1 / sqrt(2 n): one per cent."""

FEW = 256
"""Elements by which to notice that a tensor was changed by hand, however slightly."""

ALWAYS_MEASURED = 4
"""Everything is measured at this many first steps of an optimizer,"""

THEN_EVERY = 8
"""and then at one step in so many; at the others, only the norms of the gradients it reads."""

MOST_KEPT = 400
"""Events, steps and backward calls that are kept: a loop may run for days under a watch."""
