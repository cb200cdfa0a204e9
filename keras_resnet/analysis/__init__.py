"""What happens inside a network, unit by unit: functions on a model and a batch of images, each with a plot."""

from .gradients import GradientNorms, gradient_norms

__all__ = ["GradientNorms", "gradient_norms"]
