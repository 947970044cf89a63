"""What people meet when something is wrong: each situation made, and what twg says of it kept."""
