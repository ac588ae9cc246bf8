"""Editor of one step in the submit form: model, parameters and filter (`when`)."""

from collections.abc import Mapping

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widgets import Button, Label

from api.contract.models import ModelResource
from console.tui.view_models.submit_form import (
    StepValues,
    class_path,
    confidence_path,
    find_model,
    parameter_hint,
    parameter_path,
    properties,
)
from console.tui.widgets.field import Field


class StepEditor(Vertical):
    """Editor of one step. Posts `Removed` when its button is pressed. `place` is its index."""

    DEFAULT_CSS = """
    StepEditor { height: auto; margin-top: 1;
        .step-title { text-style: bold; color: $accent; width: 1fr; }
        & > Horizontal { height: 1; }
    }
    """

    class Removed(Message):
        def __init__(self, editor: "StepEditor") -> None:
            super().__init__()
            self.editor = editor

    def __init__(self, place: int, values: StepValues, models: Mapping[str, ModelResource]) -> None:
        super().__init__()
        self._model = values.model
        schemas = properties(models, values.model)
        names = dict.fromkeys([*schemas, *values.parameters])
        self._parameters = {
            name: Field(
                name,
                parameter_path(place, name),
                values.parameters.get(name, ""),
                hint=parameter_hint(schemas.get(name, {})),
            )
            for name in names
        }
        self._class_is = Field(
            "when class is", class_path(place), values.class_is, hint="any; separated by commas"
        )
        self._confidence = Field(
            "when confidence",
            confidence_path(place),
            values.min_confidence,
            hint="any; at least (0 to 1)",
        )
        model = find_model(models, values.model)
        name = f"  {model.id}" if model is not None and model.id != values.model else ""
        self._title = f"Step {place + 1}: {values.model}{name}"

    def compose(self) -> ComposeResult:
        with Horizontal():
            yield Label(self._title, classes="step-title", markup=False)
            yield Button("remove", compact=True, classes="step-remove")
        yield from self._parameters.values()
        yield self._class_is
        yield self._confidence

    @property
    def values(self) -> StepValues:
        return StepValues(
            self._model,
            {name: field.value for name, field in self._parameters.items()},
            self._class_is.value,
            self._confidence.value,
        )

    def on_button_pressed(self, message: Button.Pressed) -> None:
        message.stop()
        self.post_message(self.Removed(self))
