"""Events on the local disk: a directory of segments, in which events lie in frames."""
