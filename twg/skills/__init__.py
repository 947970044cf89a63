"""The instructions by which coding agents use `twg`, and where each agent looks for them."""
