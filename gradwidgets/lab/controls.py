"""Widgets for the settings of a recipe, made from each setting's `Control`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import ipywidgets

from gradwidgets.components import Check, Choice, Slider
from gradwidgets.core import GROUPS, Control, Recipe, settings
from gradwidgets.lab.screen import Move
from gradwidgets.sweep import SWEPT_TOGETHER


class Controls:
    """The widgets of some settings, and the recipe that they make together.

    Args:
        names: settings to show: fields of `Recipe`, optimizer options such as "momentum", or those
            of the recipe's groups, such as "groups[*bias].lr".
        recipe: where the widgets stand at first; settings without a widget stay as in it.
        moved: called with a setting's name when its widget has moved, whoever moved it.
        touched: called with a setting's name when its slider comes into focus.

    Raises:
        ValueError: a name is no setting that has a control.
    """

    def __init__(
        self,
        names: Sequence[str],
        recipe: Recipe,
        moved: Callable[[str], object] = lambda _: None,
        touched: Callable[[str], object] = lambda _: None,
    ) -> None:
        known = settings.controls(recipe)
        for name in names:
            if name not in known:
                raise ValueError(f"show={name!r} has no control; give some of {list(known)}")
        self._specs = {name: known[name] for name in names}
        self._base = recipe
        self.widgets = {
            name: _widget(name, control, settings.get(recipe, name))
            for name, control in self._specs.items()
        }
        for name, widget in self.widgets.items():
            if isinstance(widget, Slider):
                widget.clear_bars()
                widget.observe(lambda _, name=name: moved(name), ["value", "moved_at"])
                widget.observe(lambda at, name=name: at["new"] and touched(name), "focused")
            else:
                widget.observe(lambda _, name=name: moved(name), "value")
        self.enable()

    def recipe(self) -> Recipe:
        """The recipe that the widgets show.

        Raises:
            ValueError: the settings do not go together.
        """
        return self._with({})

    def recipe_at(self, name: str, value: Any) -> Recipe | None:
        """The recipe if widget `name` were at `value`; None if that is not allowed."""
        try:
            return self._with({name: value})
        except ValueError:
            return None

    @property
    def sliders(self) -> dict[str, Slider]:
        """The sliders among the widgets, by the names of their settings."""
        return {name: w for name, w in self.widgets.items() if isinstance(w, Slider)}

    def slider(self, name: str) -> Slider | None:
        """The slider of a setting, or None."""
        return self.sliders.get(name)

    def moves(self, name: str, indices: Iterable[int]) -> dict[Move, Recipe]:
        """The recipes that the slider `name` gives at the stops `indices`."""
        slider = self.widgets[name]
        recipes = {(name, at): self.recipe_at(name, slider.stops[at]) for at in indices}
        return {move: recipe for move, recipe in recipes.items() if recipe}

    def one_move_away(self) -> dict[Move, Recipe]:
        """The recipes one step away on each slider of a `Recipe` field, which sweeps can train."""
        found = {}
        for name, slider in self.sliders.items():
            if name in SWEPT_TOGETHER:
                near = {max(slider.index - 1, 0), min(slider.index + 1, len(slider.stops) - 1)}
                found.update(self.moves(name, near - {slider.index}))
        return found

    def set(self, recipe: Recipe) -> None:
        """Move the widgets to a recipe; one whose option its optimizer does not take stays."""
        self._base = recipe
        for name, widget in self.widgets.items():
            if settings.applies(recipe, name):
                with widget.hold_sync():
                    widget.value = settings.get(recipe, name)
        self.enable()

    def enable(self) -> None:
        """Enable the widgets whose setting applies: optimizers differ in the options they take."""
        values = {name: widget.value for name, widget in self.widgets.items()}
        try:
            base = self._under(values)
        except ValueError:  # an optimizer of one's own may refuse the others' settings
            return
        for name in values.keys() - set(settings.FIELDS):
            self.widgets[name].disabled = not settings.applies(base, name)

    def _with(self, elsewhere: dict[str, Any]) -> Recipe:
        """The recipe if the widgets named in `elsewhere` were at those values."""
        values = {name: widget.value for name, widget in self.widgets.items()} | elsewhere
        base = self._under(values)
        applied = {name: at for name, at in values.items() if settings.applies(base, name)}
        return settings.with_(base, **applied)

    def _under(self, values: dict[str, Any]) -> Recipe:
        """The recipe that was set last, under the optimizer that the widgets have now."""
        optimizer = values.get("optimizer", self._base.optimizer)
        return settings.with_(self._base, optimizer=optimizer)

    def layout(self) -> ipywidgets.Widget:
        """The widgets in foldable groups, side by side where there is room."""
        folds = []
        for group in GROUPS:
            inside = [w for name, w in self.widgets.items() if self._specs[name].group == group]
            if inside:
                box = ipywidgets.VBox(inside)
                fold = ipywidgets.Accordion([box], selected_index=0)
                fold.set_title(0, group)
                folds.append(fold.add_class("gradwidgets-group"))
        columns = "repeat(auto-fit, minmax(185px, 1fr))"
        return ipywidgets.GridBox(
            folds, layout={"grid_template_columns": columns, "grid_gap": "0 8px", "width": "100%"}
        )


def _widget(name: str, control: Control, value: Any) -> Any:
    if control.stops == (False, True):
        return Check(control.label, control.help, value)
    return Slider(control, value, name) if control.slider else Choice(control, value)
