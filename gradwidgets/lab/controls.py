"""Widgets for the settings of a recipe, made from what the settings say of themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import ipywidgets

from gradwidgets.components import Move, Slider
from gradwidgets.core import GROUPS, OPTION_CONTROLS, Control, Recipe, option_defaults, settings
from gradwidgets.sweep import FIELDS


class Controls:
    """The widgets of some settings, and the recipe that they make together.

    Args:
        names: settings to show: fields of `Recipe` or optimizer options such as "momentum".
        recipe: where the widgets stand at first; settings without a widget stay as in it.
        changed: called with a setting's name after the learner changed it.
        touched: called with a setting's name when its slider comes into focus.

    Raises:
        ValueError: a name is no setting that has a control.
    """

    def __init__(
        self,
        names: Sequence[str],
        recipe: Recipe,
        changed: Callable[[str], None],
        touched: Callable[[str], None] = lambda _: None,
    ) -> None:
        known = settings.controls()
        for name in names:
            if name not in known:
                raise ValueError(f"show={name!r} has no control; give some of {list(known)}")
        self._specs = {name: known[name] for name in names}
        self._base = recipe
        self._changed, self._touched = changed, touched
        self._quiet = False
        self.widgets = {
            name: _widget(self._specs[name], settings.get(recipe, name)) for name in names
        }
        for name, widget in self.widgets.items():
            moved = ["value", "turn"] if isinstance(widget, Slider) else "value"
            widget.observe(lambda _, name=name: self._on_change(name), moved)
            if isinstance(widget, Slider):
                widget.clear_bars()
                widget.observe(lambda _, name=name: self._on_focus(name), "focused")
        self._enable()

    def recipe(self) -> Recipe:
        """The recipe that the widgets stand at.

        Raises:
            ValueError: the settings do not go together.
        """
        return self._made({name: widget.value for name, widget in self.widgets.items()})

    def recipe_at(self, name: str, value: Any) -> Recipe | None:
        """The recipe if that one widget stood elsewhere; None if that is not allowed."""
        values = {known: widget.value for known, widget in self.widgets.items()}
        try:
            return self._made({**values, name: value})
        except ValueError:
            return None

    def slider(self, name: str) -> Slider | None:
        """The slider of a setting, if that is what it has."""
        widget = self.widgets.get(name)
        return widget if isinstance(widget, Slider) else None

    def moves(self, name: str, indices: Iterable[int]) -> dict[Move, Recipe]:
        """What the slider of that name leads to if it is moved to one of these stops."""
        slider = self.widgets[name]
        wanted = {slider.texts[at]: self.recipe_at(name, slider.stops[at]) for at in indices}
        return {(slider.label, text): recipe for text, recipe in wanted.items() if recipe}

    def one_move_away(self) -> dict[Move, Recipe]:
        """What one step of any slider leads to, as far as one run could train it all."""
        found = {}
        for name, slider in self.widgets.items():
            if name in FIELDS and isinstance(slider, Slider):
                near = {max(slider.index - 1, 0), min(slider.index + 1, len(slider.stops) - 1)}
                found.update(self.moves(name, near - {slider.index}))
        return found

    def _made(self, values: dict[str, Any]) -> Recipe:
        fields = {name: value for name, value in values.items() if name not in OPTION_CONTROLS}
        options = {**self._base.options, **{n: v for n, v in values.items() if n not in fields}}
        known = option_defaults(fields.get("optimizer", self._base.optimizer))
        fields["options"] = {
            name: value
            for name, value in options.items()
            if name in known and (name not in values or value != known[name])
        }
        return self._base.replace(**fields)

    def set(self, recipe: Recipe) -> None:
        """Move the widgets to a recipe, without a call of `changed`."""
        self._base = recipe
        self._quiet = True
        try:
            for name, widget in self.widgets.items():
                if name in OPTION_CONTROLS and name not in option_defaults(recipe.optimizer):
                    continue
                _put(widget, settings.get(recipe, name))
        finally:
            self._quiet = False
        self._enable()

    def layout(self) -> ipywidgets.Widget:
        """The widgets in foldable groups, side by side where there is room."""
        folds = []
        for group in GROUPS:
            inside = [w for name, w in self.widgets.items() if self._specs[name].group == group]
            if inside:
                box = ipywidgets.VBox(inside)
                fold = ipywidgets.Accordion([box], titles=(group,), selected_index=0)
                folds.append(fold.add_class("gradwidgets-group"))
        columns = "repeat(auto-fit, minmax(185px, 1fr))"
        return ipywidgets.GridBox(
            folds, layout={"grid_template_columns": columns, "grid_gap": "0 8px", "width": "100%"}
        )

    def _on_change(self, name: str) -> None:
        if not self._quiet:
            self._enable()
            self._changed(name)

    def _on_focus(self, name: str) -> None:
        if self.widgets[name].focused:
            self._touched(name)

    def _enable(self) -> None:
        """Options that the optimizer does not take cannot be moved."""
        chosen = self.widgets.get("optimizer")
        known = option_defaults(chosen.value if chosen else self._base.optimizer)
        for name in OPTION_CONTROLS:
            if name in self.widgets:
                self.widgets[name].disabled = name not in known


def _put(widget: Any, value: Any) -> None:
    """Set a widget to a value; a list that does not offer it offers it from now on."""
    with widget.hold_sync():
        if isinstance(widget, ipywidgets.Dropdown) and value not in widget.options:
            widget.options = (*widget.options, value)
        widget.value = value


def _widget(control: Control, value: Any) -> Any:
    if control.stops == (False, True):
        return ipywidgets.Checkbox(
            value, description=control.label, tooltip=control.help, indent=False
        )
    if control.slider:
        return Slider(control, value)
    stops = control.stops if value in control.stops else (*control.stops, value)
    style: Mapping[str, str] = {"description_width": "initial"}
    return ipywidgets.Dropdown(
        options=stops,
        value=value,
        description=control.label,
        tooltip=control.help,
        style=style,
        layout={"width": "auto"},
    )
