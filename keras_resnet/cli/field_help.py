"""What the help says about each field of the configurations that is a flag: of a run, of a recipe, and of a network.

A field that is missing here cannot become a flag. The table of the shortcuts cannot be read without Keras, which the help does
without: their names stand here again, and a test compares them.
"""

from keras_resnet.errors import comma_join
from keras_resnet.models.orders import BLOCKS, ORDERS
from keras_resnet.models.variants import PROJECTIONS, STEM_NAMES
from keras_resnet.training.config import BAD_IMAGES, PRECISIONS, STACK_UNITS, STRATEGIES
from keras_resnet.training.data.containers.table import CONTAINERS
from keras_resnet.training.recipes import CHOICES, PARTS, RECIPES

from .flags import FlagHelp

SHORTCUTS = (
    "A", "B", "C", "vd", "none", "constant_scaling(0.5,0.5)", "exclusive_gating(-6)", "shortcut_only_gating(-6)", "conv1x1",
    "dropout(0.5)",
)  # fmt: skip
SHARE, RATE, NOT_NEGATIVE = "at least 0 and below 1", "above 0 and at most 1", "at least 0"
NETWORK, DATA, RUN, RECIPE, AUGMENTATION, FINE_TUNING, EXECUTION = (
    "Network", "Data", "Run", "Recipe", "Augmentation", "Fine-tuning", "Execution",
)  # fmt: skip
WEIGHTS = (
    "a file from this package, keras.applications, torchvision, timm, transformers, KerasHub (the folder), BiT, TF-Slim, the "
    "TensorFlow Model Garden or github.com/akamaster/pytorch_resnet_cifar10, a repository of the Hugging Face Hub such as "
    "hf://timm/resnet50d.ra2_in1k, which may end in @revision, `imagenet` for those of keras.applications, or a name that "
    "`keras-resnet list` shows, such as `digits`."
)

NETWORK_HELP = {
    "model": FlagHelp(NETWORK, "A named network; `keras-resnet list` shows them all.", placeholder="NAME"),
    "block": FlagHelp(
        NETWORK,
        "The convolutions of a residual unit: two of 3x3, or 1x1, 3x3 and 1x1. Not every depth allows both.",
        tuple(BLOCKS),
        "the named network's",
    ),
    "unit": FlagHelp(
        NETWORK,
        "The order of convolution, normalization, ReLU and addition inside a residual unit (He et al. 2016, Figure 4).",
        tuple(ORDERS),
        "the named network's",
    ),
    "shortcut": FlagHelp(
        NETWORK,
        "What runs beside the residual branch: an option of He et al. 2015 (A: identity with zero padding; B: projection where "
        "the shape changes; C: projection everywhere), no shortcut, or one of He et al. 2016, whose numbers may be left out.",
        SHORTCUTS,
        "the named network's",
    ),
    "stem": FlagHelp(
        NETWORK,
        "What reads the images: the papers' (cifar, imagenet), three 3x3 convolutions (deep, tiered, wide), those and a fourth "
        "in place of the maximum (rs), TensorFlow's own (slim_v1, garden, garden_2019), or, for order full_preactivation, one "
        "without norm and ReLU at its end (the others).",
        STEM_NAMES,
        "the named network's",
    ),
    "projection": FlagHelp(
        NETWORK,
        "How a projection reduces the resolution: by its stride, or by a mean of 2x2 pixels before it (He et al. 2019).",
        PROJECTIONS,
        "the named network's",
    ),
    "antialias": FlagHelp(
        NETWORK,
        "What takes the place of strides: nothing, a binomial filter (Zhang 2019), or a mean of 2x2 pixels.",
        ("none", "blur", "avg"),
        "the named network's",
    ),
    "attention": FlagHelp(
        NETWORK,
        "What a branch ends in: nothing, squeeze-and-excitation with its ratio (Hu et al. 2018), or efficient channel "
        "attention (Wang et al. 2020).",
        ("none", "se(0.0625)", "eca"),
        "the named network's",
    ),
    "normalization": FlagHelp(
        NETWORK,
        "Batch normalization, group normalization (Wu & He 2018), or that with standardized kernels (Kolesnikov et al. 2020).",
        ("batch", "group", "group_standardized"),
        "the named network's",
    ),
    "width_multiplier": FlagHelp(NETWORK, "Factor on the number of channels of every stage.", "above 0"),
    "stochastic_depth": FlagHelp(
        NETWORK,
        "How often training drops the residual branch of the last unit; the rate rises linearly from the first unit to it "
        "(Huang et al. 2016).",
        SHARE,
    ),
    "zero_init_residual": FlagHelp(
        NETWORK, "Start every residual branch as zeros, by its last gammas or kernel (Goyal et al. 2017)."
    ),
    "classifier_dropout": FlagHelp(NETWORK, "Dropout rate before the classifier.", SHARE),
    "output_stride": FlagHelp(
        NETWORK,
        "Image pixels per pixel of the last feature map. Strides beyond it become dilations (Chen et al. 2017).",
        "a product of the network's first strides, such as 1, 2, 4",
        "the network's own",
    ),
}

TRAINING_HELP = {
    "dataset": FlagHelp(
        DATA,
        "digits (comes with this package), a data set of tensorflow-datasets, or what your images in --data_dir lie in: "
        f"{comma_join(CONTAINERS)}.",
        default="none; needed unless --config names one",
        placeholder="NAME",
    ),
    "data_dir": FlagHelp(
        DATA,
        "With --dataset=folder the folder of images, one subfolder per class, with another container its file or folder, or a "
        "URL of it; otherwise where tensorflow-datasets keeps its data sets.",
        default="tensorflow-datasets' own",
        placeholder="FOLDER",
    ),
    "manual_dir": FlagHelp(
        DATA, "Folder of archives that you downloaded, for data sets that cannot be downloaded freely.", placeholder="FOLDER"
    ),
    "image_size": FlagHelp(
        DATA,
        "Height and width in pixels that images are resized to.",
        "at least 1",
        "the images' own, or what the preprocessing of --weights asks for",
    ),
    "validation_fraction": FlagHelp(
        DATA,
        "Share of the training split that is set aside to choose the best checkpoint by, where the data set has no validation "
        "split.",
        "above 0 and below 1",
    ),
    "on_bad_image": FlagHelp(
        DATA, "What to do about images that cannot be decoded: leave them out, or refuse to train.", BAD_IMAGES
    ),
    "seed": FlagHelp(
        RUN, "Seed of the initial weights, the order of the images and their augmentation.", "at least 0 and below 2**31"
    ),
    "deterministic": FlagHelp(RUN, "Compute the same bits in every run, as far as TensorFlow can; slower."),
    "weights": FlagHelp(FINE_TUNING, f"Initial weights: {WEIGHTS}", default="random", placeholder="FILE"),
    "skip_head": FlagHelp(FINE_TUNING, "Leave the classifier out of --weights, as a different number of classes needs."),
    "strategy": FlagHelp(
        EXECUTION,
        "The tf.distribute strategy. auto: several workers if TF_CONFIG or Slurm names them, else all GPUs of this machine, "
        "else one device.",
        STRATEGIES,
    ),
    "precision": FlagHelp(
        EXECUTION, "Keras dtype policy of the computation. Weights are float32 in each.", PRECISIONS, placeholder="NAME"
    ),
    "sync_batch_norm": FlagHelp(EXECUTION, "Compute batch statistics over the images of all replicas."),
    "jit_compile": FlagHelp(EXECUTION, "Compile the training step with XLA; for GPUs and TPUs."),
    "stack_units": FlagHelp(
        EXECUTION,
        "Run alike units as a loop around one of them: deep networks start sooner. on: all that are alike; auto: where there "
        "are eight or more in a stage. The result is the same to float precision.",
        STACK_UNITS,
    ),
    "rematerialize": FlagHelp(
        EXECUTION,
        "Compute what is inside the units again for their gradients, instead of keeping it: less memory, more time.",
    ),
    "steps_per_execution": FlagHelp(
        EXECUTION,
        "Training steps per call from Python, as in Keras' compile(); 0 fits the number to about a second.",
        NOT_NEGATIVE,
    ),
    "checkpoint_minutes": FlagHelp(
        EXECUTION, "Longest time between two checkpoints; one is also saved after every epoch.", "above 0"
    ),
    "keep_checkpoints": FlagHelp(EXECUTION, "How many of the newest checkpoints are kept.", "at least 1"),
}

RECIPE_HELP = {
    "batch_size": FlagHelp(RECIPE, "Images per step, over all replicas and workers.", "at least 1"),
    "epochs": FlagHelp(RECIPE, "Passes over the training split.", "at least 1"),
    "optimizer": FlagHelp(
        RECIPE,
        "The optimizer. sgd and muon use --momentum and --nesterov; adamw uses --momentum as its first beta.",
        CHOICES["optimizer"],
    ),
    "learning_rate": FlagHelp(RECIPE, "The highest learning rate of the schedule.", NOT_NEGATIVE),
    "schedule": FlagHelp(
        RECIPE,
        "The learning rate over the run. cosine: decays to zero after a linear warmup; step: is divided by ten at each of "
        "--milestones, after a warmup at a tenth of the rate.",
        CHOICES["schedule"],
    ),
    "warmup": FlagHelp(RECIPE, "Share of the run that is warmup.", SHARE),
    "milestones": FlagHelp(
        RECIPE,
        "Where --schedule=step divides the learning rate by ten, as shares of the run, such as 0.5,0.75.",
        "each at least 0 and below 1, increasing, after --warmup",
        item=float,
    ),
    "momentum": FlagHelp(RECIPE, "Momentum of the optimizer.", SHARE),
    "nesterov": FlagHelp(RECIPE, "Use Nesterov momentum."),
    "weight_decay": FlagHelp(
        RECIPE, "Decay of all weights, those of normalization layers included; see --weight_decay_mode.", NOT_NEGATIVE
    ),
    "weight_decay_mode": FlagHelp(
        RECIPE,
        "decoupled: w -= learning_rate * decay * w, outside the momentum, as in Keras and AdamW. coupled: decay * w is added "
        "to the gradient before the momentum, as in the papers and in PyTorch's SGD; for --optimizer=sgd only. At momentum 0.9 "
        "the same number decays about ten times as much when coupled.",
        CHOICES["weight_decay_mode"],
    ),
    "global_clipnorm": FlagHelp(
        RECIPE, "Largest norm of the whole gradient, summed over the replicas; 0 does not clip.", NOT_NEGATIVE
    ),
    "gradient_accumulation_steps": FlagHelp(
        RECIPE,
        "Pieces in which each replica computes the gradient of its share of the batch, for batches that do not fit in memory.",
        "at least 1",
    ),
    "ema_momentum": FlagHelp(
        RECIPE,
        "Decay of an exponential moving average of all weights, which is evaluated and saved in their place; 0 keeps none.",
        SHARE,
    ),
    "label_smoothing": FlagHelp(RECIPE, "Share of each label that is spread over all classes.", SHARE),
    "class_weights": FlagHelp(
        RECIPE,
        "balanced: the loss weighs each class by the inverse of its frequency.",
        CHOICES["class_weights"],
    ),
    "crop_padding": FlagHelp(
        AUGMENTATION, "Pad images by this many pixels on each side and crop back at random; 0 does not.", NOT_NEGATIVE
    ),
    "min_crop_area": FlagHelp(
        AUGMENTATION,
        "Smallest share of an image's area that a random resized crop takes, of any aspect ratio from 3/4 to 4/3; 0 does not "
        "crop.",
        SHARE,
    ),
    "jpeg_decoding": FlagHelp(
        AUGMENTATION,
        "How random resized crops are decoded and resized. no_antialias: by plain bilinear interpolation. fast_dct: with a "
        "decoder that is off by some grey levels. fast: both, which are TensorFlow's defaults.",
        CHOICES["jpeg_decoding"],
    ),
    "flip": FlagHelp(AUGMENTATION, "Mirror half of the images from left to right."),
    "cutout": FlagHelp(
        AUGMENTATION, "Side in pixels of a square that is covered at random in each image; 0 covers nothing.", NOT_NEGATIVE
    ),
    "mixup": FlagHelp(
        AUGMENTATION,
        "Alpha of the Beta distribution of the shares in which two images and their labels are blended (mixup); 0 does not "
        "blend.",
        NOT_NEGATIVE,
    ),
    "cutmix": FlagHelp(
        AUGMENTATION,
        "Alpha of the Beta distribution of the share of an image that stays when a box of another is pasted into it (cutmix); "
        "0 does not paste. With --mixup as well, each is applied to half of the images.",
        NOT_NEGATIVE,
    ),
    "freeze": FlagHelp(FINE_TUNING, "Parts of the network that keep their weights.", PARTS),
    "norm_layers": FlagHelp(
        FINE_TUNING,
        "Which normalization layers stay as they are, statistics included. with_parts: those of the parts in --freeze; frozen: "
        "all; trained: none.",
        CHOICES["norm_layers"],
    ),
    "layer_decay": FlagHelp(
        FINE_TUNING,
        "Each part of the network learns at this share of the learning rate of the part after it; 1 trains all alike.",
        RATE,
    ),
}

RECIPE_FLAG = FlagHelp(
    RECIPE,
    "How to train: the named set of values for the flags of this group and for those of augmentation and fine-tuning, each of "
    "which can be changed by its own flag.",
    tuple(RECIPES),
    "the one named like --dataset; else finetune with --weights; else he2016_imagenet for ImageNet networks, short for others",
)
