"""What happens inside a network, unit by unit: functions on a model and a batch of images, each with a plot."""

from .contributions import UnitContributions, unit_contributions
from .gradients import GradientNorms, gradient_norms
from .heat_maps import GradCam, grad_cam
from .lesions import LesionStudy, lesion_study
from .receptive_fields import EffectiveReceptiveField, ReceptiveField, effective_receptive_field, receptive_field

__all__ = [
    "EffectiveReceptiveField",
    "GradCam",
    "GradientNorms",
    "LesionStudy",
    "ReceptiveField",
    "UnitContributions",
    "effective_receptive_field",
    "grad_cam",
    "gradient_norms",
    "lesion_study",
    "receptive_field",
    "unit_contributions",
]
