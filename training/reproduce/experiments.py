"""The table of experiments: what the two papers claim, and the runs that try it on a laptop or by the papers' schedule."""

import dataclasses
from typing import Any

from keras_resnet.models import orders

from .claims import AtMost, Larger, NotLarger
from .plan import Arm, Experiment, Plan

R15, R16 = "He et al. 2015, arXiv:1512.03385", "He et al. 2016, arXiv:1603.05027"
BUDGETS = ("small", "full")
THREE = (0, 1, 2)  # seeds
LOW_RATE, HIGH_RATE = 0.03, 0.1  # the second is the papers'
SHORT_RUNS = (
    "These are short runs on small images: a network that is slow to start is not told from one that would end worse. Single "
    "runs of deep v1 networks differ widely, from seed to seed, and from CPU to CPU, as their sums round differently."
)


def arms(*models: str, **fields: Any) -> tuple[Arm, ...]:
    """Named networks as they are."""
    return tuple(Arm(model, model, **fields) for model in models)


def full(*arms: Arm, recipe_name: str = "he2016_cifar", **fields: Any) -> Plan:
    """The papers' schedule, 64k steps of 128 images, on CIFAR-10."""
    return Plan(arms, "cifar10", recipe_name, **fields)


def small(*arms: Arm, epochs: int, **fields: Any) -> Plan:
    """A few epochs on the embedded digits, at a rate at which the v1 networks of 110 layers train as well."""
    recipe = {"epochs": epochs, "learning_rate": LOW_RATE}
    return Plan(arms, "digits", "digits", recipe, threads=1, caveat=SHORT_RUNS, **fields)


DEPTHS = arms("PlainNet20", "PlainNet56", "PlainNet110", "ResNet20V1", "ResNet56V1", "ResNet110V1")
WARMED_UP = tuple(  # 2015, section 4.2: 110 layers begin at a rate of 0.01
    dataclasses.replace(arm, overrides={"warmup": 0.00625}) if arm.model.endswith(("110", "110V1")) else arm for arm in DEPTHS
)

TWO_VERSIONS = ("ResNet110V1", "ResNet110V2", "ResNet164V1", "ResNet164V2")
DEEPEST = ("ResNet1001V1", "ResNet1001V2")
AT_LOW_RATE = tuple(
    Arm(f"{model} at {LOW_RATE}", model, overrides={"learning_rate": LOW_RATE}) for model in ("ResNet110V1", "ResNet110V2")
)
ON_CIFAR100 = " on CIFAR-100"
CIFAR100 = tuple(
    Arm(f"{model}{ON_CIFAR100}", model, dataset="cifar100")
    for model in ("ResNet164V1", "ResNet164V2", "ResNet1001V1", "ResNet1001V2")
)

AT_164 = " at 164 layers"
ORDERS, ORDERS_164 = (
    tuple(Arm(f"{unit}{where}", model, unit=unit) for unit in orders.ORDERS)
    for model, where in (("ResNet110V2", ""), ("ResNet164V2", AT_164))
)

IDENTITY, OPEN_GATE = "identity", "shortcut_only_gating(-6)"
CHANGED = tuple(
    Arm(shortcut, "ResNet110V1", shortcut=shortcut)
    for shortcut in (
        "constant_scaling(0,1)", "constant_scaling(0.5,1)", "constant_scaling(0.5,0.5)", "exclusive_gating(0)",
        "exclusive_gating(-6)", "exclusive_gating(-7)", "shortcut_only_gating(0)", OPEN_GATE, "conv1x1", "dropout(0.5)",
    )
)  # fmt: skip
SHORTCUTS = (Arm(IDENTITY, "ResNet110V1", shortcut="A"), *CHANGED)

FLOW = (
    Arm("PlainNet110", "PlainNet110"), Arm("ResNet110V1", "ResNet110V1"), Arm("ResNet110V2", "ResNet110V2"),
    Arm("plain 1001", "ResNet1001V1", shortcut="none", seeds=THREE), Arm("ResNet1001V1", "ResNet1001V1", seeds=THREE),
    Arm("ResNet1001V2", "ResNet1001V2", seeds=THREE),
)  # fmt: skip

# The likely reasons for what does not show.
EARLY = "The runs may be too short, or too few, for what the paper finds at the end of its schedule."
NEARLY = "This gate begins nearly as the identity, and the paper's own difference is small: 6.91 against 6.61 % test error."
EASY = "The data may be too easy: where both networks make few mistakes, a handful of test images decides."
COARSE = (
    "The bounds are wider than what they are to show: the test images and the seeds are too few for differences this small."
)
RATE = "The learning rate may suit both networks here: the paper's advantage is largest where v1 is hard to start."
NORMALIZED = "Batch normalization evens gradients out in both networks, so that little may be left for the order of operations."
ROUNDING = "Float sums round, and a ReLU changes nothing where all is positive."
GROWTH = "A stage's first units double a skip path that is still small; only later ones have much to add to."

# fmt: off
EXPERIMENTS = {
    "degradation": Experiment(
        question="Do plain networks get worse with depth, and residual ones not?",
        reference=f"{R15}, Figure 6",
        plans={"small": small(*DEPTHS, epochs=10), "full": full(*WARMED_UP, recipe_name="he2015_cifar")},
        claims=(
            Larger("A plain network of 56 layers trains worse than one of 20.",
                   "train_loss", "PlainNet56", "PlainNet20", "Figure 6, left", EARLY),
            Larger("A plain network of 110 layers trains worse than one of 20.",
                   "train_loss", "PlainNet110", "PlainNet20", "section 4.2", EARLY),
            Larger("Depth costs the plain network more than the residual one: loss at 110 layers minus loss at 20.",
                   "train_loss", ("PlainNet110", "PlainNet20"), ("ResNet110V1", "ResNet20V1"), "Figure 6", EARLY),
            Larger("With shortcuts, 56 layers classify better.",
                   "test_error", "PlainNet56", "ResNet56V1", "Figure 6", EASY),
            Larger("With shortcuts, 110 layers classify better.",
                   "test_error", "PlainNet110", "ResNet110V1", "Figure 6", EASY),
            NotLarger("The residual network does not get worse from 20 to 110 layers.",
                      "test_error", "ResNet110V1", "ResNet20V1", "Table 6", COARSE, margin=1.0),
        ),
    ),
    "preactivation": Experiment(
        question="Do deep networks train faster and end better with pre-activation?",
        reference=f"{R16}, Figure 6 and Table 3",
        plans={
            "small": small(
                *arms(*TWO_VERSIONS, overrides={"learning_rate": HIGH_RATE}), *AT_LOW_RATE,
                *arms(*DEEPEST, overrides={"learning_rate": HIGH_RATE, "epochs": 4}), epochs=8,
            ),
            "full": full(*arms(*TWO_VERSIONS, *DEEPEST), *CIFAR100),
        },
        claims=tuple(
            claim
            for depth, where in (
                (110, ""), (110, f" at {LOW_RATE}"), (164, ""), (1001, ""), (164, ON_CIFAR100), (1001, ON_CIFAR100),
            )
            for claim in (
                Larger(f"At {depth} layers{where}, v2 converges faster.",
                       "mean_loss", f"ResNet{depth}V1{where}", f"ResNet{depth}V2{where}", "Figure 6", RATE),
                Larger(f"At {depth} layers{where}, v2 classifies better.",
                       "test_error", f"ResNet{depth}V1{where}", f"ResNet{depth}V2{where}", "Table 3", EASY),
            )
        ),
    ),
    "units": Experiment(
        question="Which order of the operations in a unit is best?",
        reference=f"{R16}, Table 2 and Figure 4",
        plans={"small": small(*ORDERS, epochs=6), "full": full(*ORDERS, *ORDERS_164)},
        claims=tuple(
            claim
            for where in ("", AT_164)
            for claim in (
                Larger(f"BN after the addition converges slower than the original unit{where}.",
                       "mean_loss", f"bn_after_addition{where}", f"original{where}", "Table 2", EARLY),
                Larger(f"ReLU before the addition converges slower than the original unit{where}.",
                       "mean_loss", f"relu_before_addition{where}", f"original{where}", "Table 2", EARLY),
                Larger(f"Full pre-activation converges faster than the original unit{where}.",
                       "mean_loss", f"original{where}", f"full_preactivation{where}", "section 4.1", EARLY),
                Larger(f"Full pre-activation classifies better than the original unit{where}.",
                       "test_error", f"original{where}", f"full_preactivation{where}", "Table 2", EASY),
                Larger(f"Full pre-activation classifies better than ReLU-only pre-activation{where}.",
                       "test_error", f"relu_only_preactivation{where}", f"full_preactivation{where}", "Table 2", EASY),
            )
        ),
    ),
    "shortcuts": Experiment(
        question="Is anything on the shortcut better than nothing?",
        reference=f"{R16}, Table 1",
        plans={"small": small(*SHORTCUTS, epochs=6), "full": full(*SHORTCUTS)},
        claims=tuple(
            Larger(f"The identity trains better than {arm.label}.",
                   "mean_loss", arm.label, IDENTITY, "Table 1", NEARLY if arm.label == OPEN_GATE else EARLY)
            for arm in CHANGED
        ),
    ),
    "gradient_flow": Experiment(
        question="How do signals and gradients pass through plain, v1 and v2 networks?",
        reference=f"{R16}, section 2, Eq. 4 and 5",
        plans={"small": small(*FLOW, epochs=1, trains=False), "full": full(*FLOW, trains=False, overrides={"epochs": 1})},
        claims=(
            Larger("Gradients are far less even in a plain network of 110 layers than in a residual one.",
                   "gradient_span", "PlainNet110", "ResNet110V1", "section 2, Eq. 5", NORMALIZED),
            Larger("Gradients are still less even in a plain network of 110 layers after an epoch of training.",
                   "gradient_span_trained", "PlainNet110", "ResNet110V1", "section 2, Eq. 5", NORMALIZED),
            Larger("Pre-activation makes gradients more even at 110 layers.",
                   "gradient_span", "ResNet110V1", "ResNet110V2", "section 2", NORMALIZED),
            AtMost("In a plain network of a thousand layers, gradients leave the range of float32 before the first unit.",
                   "finite_gradients", "plain 1001", 99.0, "section 2, Eq. 5", NORMALIZED),
            AtMost("In a pre-activation network of a thousand layers, gradients stay within six powers of ten.",
                   "gradient_span", "ResNet1001V2", 6.0, "section 2, Eq. 5", NORMALIZED),
            AtMost("With pre-activation, a unit's output is what entered its stage plus all branches since.",
                   "sum_deviation", "ResNet1001V2", 1e-5, "Eq. 4", ROUNDING),
            Larger("In v1, where a ReLU follows each addition, the output is not that sum.",
                   "sum_deviation", "ResNet110V1", "ResNet110V2", "section 2", ROUNDING),
            AtMost("In the deeper half of a thousand layers, a unit adds at most a quarter of the skip path, in the median.",
                   "late_share", "ResNet1001V2", 25.0, "section 2", GROWTH),
        ),
    ),
    "thousand": Experiment(
        question="Can networks of a thousand layers be trained?",
        reference=f"{R16}, Table 3; {R15}, Table 6",
        plans={
            "small": small(
                *arms("ResNet1001V2", overrides={"learning_rate": HIGH_RATE}), epochs=16, seeds=THREE,
            ),
            "full": full(
                Arm("ResNet1001V2", "ResNet1001V2"),
                Arm("ResNet1202V1", "ResNet1202V1", overrides={"warmup": 0.0}),
            ),
        },
        claims=(
            AtMost("ResNet1001V2 learns the digits, to 97 % test accuracy at least.",
                   "test_error", "ResNet1001V2", 3.0, "after Table 3", EARLY, dataset="digits"),
            AtMost("ResNet1001V2 comes to a test error of about 5 % on CIFAR-10.",
                   "test_error", "ResNet1001V2", 5.5, "Table 3: 4.92 %", EARLY, dataset="cifar10"),
            AtMost("ResNet1202V1 can be trained, to a test error of about 8 % on CIFAR-10.",
                   "test_error", "ResNet1202V1", 8.5, f"{R15}, Table 6: 7.93 %", EARLY, dataset="cifar10"),
        ),
    ),
}
# fmt: on
