"""The notebook that the tests open in marimo: one tool in each cell, and the lab's recipe."""
# ruff: noqa: B018, N803

import marimo

app = marimo.App(width="full")


@app.cell
def _():
    import marimo as mo

    from gradwidgets import GradLab, Ledger, Meter, Predict, Recipe, Stepper
    from gradwidgets.lessons import FactCheck

    return FactCheck, GradLab, Ledger, Meter, Predict, Recipe, Stepper, mo


@app.cell
def _(GradLab, Recipe):
    lab = GradLab(recipe=Recipe(lr=0.5), show=("optimizer", "scale", "lr", "momentum"))
    lab
    return (lab,)


@app.cell
def _(lab, mo):
    get_recipe, set_recipe = mo.state(lab.recipe)
    lab.followers.append(lambda: set_recipe(lab.recipe))
    return (get_recipe,)


@app.cell
def _(get_recipe, mo):
    mo.md(f"another cell reads scale {get_recipe().scale:.3g}")
    return


@app.cell
def _(Predict):
    Predict("2 + 2?", ["three", "four"], lambda: ("four", "It is 4."))
    return


@app.cell
def _(Stepper):
    Stepper("line")
    return


@app.cell
def _(Ledger):
    Ledger("line")
    return


@app.cell
def _(Meter):
    Meter()
    return


@app.cell
def _(FactCheck):
    FactCheck()
    return


if __name__ == "__main__":
    app.run()
