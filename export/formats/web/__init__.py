"""An application for browsers: a page that classifies images, with the network in it."""
