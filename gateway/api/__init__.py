"""HTTP and JSON for practice software; what it asks for is done by the functions that inbox and cli use."""
