"""How far a run is, for a person who watches it."""

import keras
from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

SECONDS = 120  # the time left is estimated from so many: a validation pass is not to throw it off
DETAILS = {"loss": "loss {:.4f}", "images_per_second": "{:,.0f} images/s"}
EPOCH = {
    "loss": "loss {:.4f}",
    "accuracy": "accuracy {:.2%}",
    "val_accuracy": "validation {:.2%}",
    "learning_rate": "rate {:.4f}",
    "images_per_second": "{:,.0f} images/s",
}


class ProgressBar(keras.callbacks.Callback):
    """A plain line per epoch, on a terminal above a bar."""

    def __init__(self, epochs, steps_per_epoch, epochs_done, steps_done=0, console=None):
        """steps_done: those of the epoch after `epochs_done`, where a run continues inside of it."""
        super().__init__()
        self._epochs, self._steps, self._start = epochs, steps_per_epoch, epochs_done * steps_per_epoch + steps_done
        console = console or Console(highlight=False, soft_wrap=True)
        columns = (TextColumn("{task.description}"), BarColumn(20), TextColumn("{task.fields[details]}"), TimeRemainingColumn())
        self._bar = Bar(*columns, console=console, disable=not console.is_interactive, speed_estimate_period=SECONDS)
        self._task = self._bar.add_task(self._epoch(epochs_done), total=epochs * steps_per_epoch, details="")

    def on_train_begin(self, logs=None):
        epochs, steps = divmod(self._start, self._steps)
        if epochs == self._epochs:
            return
        if self._start:
            inside = f"step {steps}/{self._steps} of {self._epoch(epochs)}" if steps else self._epoch(epochs - 1)
            self._bar.console.print(f"continuing after {inside}")
        self._bar.update(self._task, completed=self._start)
        self._bar.start()

    def on_train_batch_end(self, batch, logs=None):
        epoch, step = divmod(batch, self._steps)
        details = [f"step {step + 1:{len(str(self._steps))}}/{self._steps}"]
        details += [text.format(logs[name]) for name, text in DETAILS.items() if name in (logs or {})]
        self._bar.update(self._task, completed=batch + 1, description=self._epoch(epoch), details="  ".join(details))

    def on_epoch_end(self, epoch, logs=None):
        parts = [self._epoch(epoch), *(text.format(logs[name]) for name, text in EPOCH.items() if name in logs)]
        self._bar.console.print("  ".join(parts))

    def on_train_end(self, logs=None):
        self._bar.stop()

    def _epoch(self, epoch):
        """The name of the epoch that is `epoch` from 0."""
        return f"epoch {min(epoch + 1, self._epochs):{len(str(self._epochs))}}/{self._epochs}"
