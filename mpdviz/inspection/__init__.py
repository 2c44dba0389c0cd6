"""A checkpoint, or a network of the user's own, over data: a recording."""
