"""SavedModel folders, by Keras' export archive."""
