"""What functions have in common that tf.data traces."""

import tensorflow as tf

unconverted = tf.autograph.experimental.do_not_convert  # AutoGraph would read their source
