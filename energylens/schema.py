"""The columns of energy tables, of their steps, of generated chains, and of the epochs of a training run."""

import pyarrow as pa

NATURAL = "natural"

SCHEMA = pa.schema(
    [
        ("model_ref", pa.string()),  # the reference without its folders
        ("model_sha", pa.string()),
        ("data", pa.string()),
        ("split", pa.string()),
        ("eps", pa.float64()),  # null for natural images, and for attacks without a bound
        ("norm", pa.string()),
        ("seed", pa.int64()),
        ("precision", pa.string()),  # of the search; logits are float32 always
        ("key", pa.string()),
        ("sample", pa.int64()),  # index in the split
        ("label", pa.int32()),
        ("target", pa.int32()),
        ("status", pa.string()),
        ("part", pa.string()),  # which part of an ensemble broke the image; null elsewhere
        ("clean_correct", pa.bool_()),
        ("pred", pa.int32()),
        ("energy", pa.float32()),  # E(x), nats
        ("joint_energy", pa.float32()),  # E(x, y)
        ("target_energy", pa.float32()),  # E(x, target)
        ("ce", pa.float32()),
        ("entropy", pa.float32()),
        ("prob_margin", pa.float32()),
        ("logit_margin", pa.float32()),
        ("linf", pa.float32()),  # distance to the natural image, pixel units
        ("l2", pa.float32()),
        ("logits", pa.list_(pa.float32())),  # null unless kept; of any number of classes
    ]
)
STEPS = pa.schema(
    [
        *SCHEMA,
        ("step", pa.int32()),  # updates so far; calls of the model for attacks watched from outside
        ("loss", pa.float32()),  # what the attack climbs; null for attacks watched from outside
        ("cos_joint", pa.float32()),  # the next update against +grad E(x, y) at this point
        ("cos_marginal", pa.float32()),  # and against -grad E(x)
        ("update_norm", pa.float32()),  # its L2 length, pixel units; these three null at the last step
    ]
)
EPOCHS = pa.schema(
    [
        *SCHEMA,
        ("epoch", pa.int32()),  # epochs of training that the network has behind it; 0 is the start
        ("kl_conditional", pa.float32()),  # the two terms of KL(p(. | x) || p(. | x*)), eq. 5; null for natural images
        ("kl_marginal", pa.float32()),  # this one is E(x) - E(x*)
    ]
)
CHAINS = pa.schema(
    [
        *SCHEMA,
        ("step", pa.int32()),  # updates so far; 0 is the start
        ("loss", pa.float32()),  # what the chain descends
        ("saturated", pa.float32()),  # share of pixels that are 0 or 255, rounded to 1/255
        ("reference", pa.float32()),  # mean E(x, y) over the training images of this class
        ("reference_spread", pa.float32()),  # standard deviation of the same
        ("reference_saturated", pa.float32()),  # mean of their share of saturated pixels
    ]
)
KINDS = {"points": SCHEMA, "steps": STEPS, "epochs": EPOCHS, "chains": CHAINS}
"""by the folders in which they lie"""
MEASURED = ["pred", "energy", "joint_energy", "ce", "entropy", "prob_margin", "logit_margin"]
"""the columns that `pairs` sets side by side"""
