"""What is signed in to: one module a product family."""
