"""Floor 4: M into M′. `LocalLearner` trains a local system; `toy_base` makes the small one that starts from nothing."""
