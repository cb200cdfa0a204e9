"""The networks: a row of the table of variants becomes a functional `keras.Model`."""
